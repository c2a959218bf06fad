"""Near-duplicates of evaluation sets: by hashes, then by a model's embeddings; stopped anywhere and gone on with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from vlc_cli.main import run
from vlc_core.errors import DataError, StorageError
from vlc_plugin_curate.cleaning.sources import walked
from vlc_plugin_curate.near import embedder, fingerprints

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

MIN_COSINE = 0.85  # a picture and itself mirrored: 0.9, two pictures: 0.75 at most


def dropped_rows(small: SimpleNamespace, out: Path) -> list[int]:
    return [row["row"] for row in small.dropped(out)]


def test_a_model_finds_what_hashes_do_not(
    tmp_path: Path, small: SimpleNamespace, shards: SimpleNamespace, model: Path
) -> None:
    """Its folder may be named as well as the run; a cosine that none reaches leaves what the hashes tell."""
    given = {"sources": [shards.train], "evaluation": [shards.test]}
    small.run_clean(**given, out=tmp_path / "hashes")
    assert dropped_rows(small, tmp_path / "hashes") == [shards.halved]
    report = small.run_clean(**given, out=tmp_path / "both", model=model, min_cosine=MIN_COSINE)
    assert dropped_rows(small, tmp_path / "both") == [shards.halved, shards.mirrored]
    small.run_clean(**given, out=tmp_path / "exported", model=model / "model", min_cosine=1.0)
    assert dropped_rows(small, tmp_path / "exported") == [shards.halved]

    (found,) = report.near
    assert (found.name, found.images, found.unreadable, found.flat) == (str(shards.test), 3, 0, 0)
    assert (found.found, found.by_looks, found.by_model) == (2, 1, 1)
    told = json.loads((tmp_path / "both" / "report.json").read_text())
    assert told["near"] == [dataclasses.asdict(found)]
    assert {name: told["options"][name] for name in ("radius", "model", "min_cosine")} == {
        "radius": 10,
        "model": str(model),
        "min_cosine": MIN_COSINE,
    }
    page = (tmp_path / "both" / "report.html").read_text()
    assert "by model alone" in page
    assert "by model alone" not in (tmp_path / "hashes" / "report.html").read_text()


class Stop(BaseException):
    """As sudden as a kill, within a process."""


def test_it_may_be_stopped_at_every_part(
    tmp_path: Path, small: SimpleNamespace, shards: SimpleNamespace, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each file of samples, hashes, embeddings, stages and tars: half written, or when it has its name."""
    for module in (walked, fingerprints, embedder):
        monkeypatch.setattr(module, "PART", 4)
    given = {
        "sources": [shards.train],
        "evaluation": [shards.test],
        "model": model,
        "min_cosine": MIN_COSINE,
        "shard": 3,
    }
    chosen = dataclasses.replace(small.OFF, max_words=20)
    small.run_clean(**given, out=tmp_path / "whole", chosen=chosen)
    seen: list[str] = []
    replace = Path.replace

    def stops(self: Path, target: Path) -> Path:
        name = str(target)
        if str(tmp_path / "out") not in name or name in seen:
            return replace(self, target)
        seen.append(name)
        if len(seen) % 2:
            replace(self, target)
        elif self.is_file() and self.stat().st_nlink == 1:  # a second name of a stage has nothing of its own
            self.write_bytes(self.read_bytes()[: self.stat().st_size // 2])
        raise Stop

    monkeypatch.setattr(Path, "replace", stops)
    for _ in range(60):
        try:
            small.run_clean(**given, out=tmp_path / "out", chosen=chosen)
            break
        except Stop:
            continue
    names = [Path(name).name for name in seen]
    assert sum(name.endswith(".npy") for name in names) == 6  # two parts and one: of hashes and of embeddings
    assert sum(name.startswith("part-") for name in names) == 2
    assert sum(name.endswith(".tar") for name in names) == 2
    assert {name.rpartition("-")[0] for name in names} >= {
        *("numbers", "near", "texts", "bad-images", "judged", "dropped", "kept")
    }

    whole = {path.relative_to(tmp_path / "whole"): path for path in (tmp_path / "whole").rglob("*") if path.is_file()}
    assert {Path(name) for name in ("list.parquet", "dropped.parquet", "report.json", "tars/00001.tar")} <= set(whole)
    assert {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()} == set(
        whole
    )
    for name, path in whole.items():
        assert (tmp_path / "out" / name).read_bytes() == path.read_bytes(), name


def test_what_was_embedded_is_not_embedded_again(
    tmp_path: Path, small: SimpleNamespace, shards: SimpleNamespace, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another radius or cosine compares what is kept; another model embeds anew."""
    from vlc_core.inference import DualEncoder

    pictures: list[int] = []
    encode = DualEncoder.encode_image

    def counted(self: DualEncoder, images: list[object], **more: object) -> object:
        pictures.append(len(images))
        return encode(self, images, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(DualEncoder, "encode_image", counted)
    given = {"sources": [shards.train], "evaluation": [shards.test], "out": tmp_path / "out", "keep_stages": True}
    for more in ({}, {"min_cosine": 1.0}, {"radius": 0}):
        small.run_clean(**given, model=model, **more)
    assert sum(pictures) == 6 + 3


def test_sets_and_models_that_say_nothing_are_refused(
    tmp_path: Path,
    small: SimpleNamespace,
    shards: SimpleNamespace,
    drawn: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"sources": [shards.train], "out": tmp_path / "out"}
    with pytest.raises(StorageError, match="holds no model"):
        small.run_clean(**given, evaluation=[shards.test], model=tmp_path)
    assert not list((tmp_path / "out" / ".stages").glob("read-*")), "a wrong model is found before anything is read"
    broken = drawn.write(tmp_path / "broken", {"x/1.png": b"no image", "x/2.png": b"nor this"})
    with pytest.raises(DataError, match=r"none of the 2 images of .*broken can be read"):
        small.run_clean(**given, evaluation=[broken])
    assert run(["data", "clean", str(shards.train), "--out", str(tmp_path / "out"), "--model", "run"]) == 2
    assert (
        "--model run tells near-duplicates of evaluation sets: name one by --evaluation-set" in capsys.readouterr().err
    )
