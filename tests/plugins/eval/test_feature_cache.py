"""What is encoded once, and what is never taken for something else."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from vlc_core.batch import Sample
from vlc_core.errors import DataError
from vlc_core.inference import Inference
from vlc_core.interfaces.dataset import Dataset
from vlc_core.model.towers import Features
from vlc_core.testing.ranks import run_on_ranks
from vlc_plugin_data.folder import Folder
from vlc_plugin_eval import fingerprint
from vlc_plugin_eval.feature_cache import image_features
from vlc_plugin_eval.fingerprint import dataset_fingerprint
from vlc_plugin_eval.once import once


class Counting:
    """Encodes pictures by their mean colours and counts how often it was asked."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor, self.calls = factor, 0

    def __call__(self, pixels: torch.Tensor) -> Features:
        self.calls += 1
        mean = self.factor * pixels.float().mean(dim=(2, 3))
        return Features(torch.nn.functional.normalize(mean, dim=1), mean)


def inference(
    encode: Counting, *, digest: str | None = None, cache: Path | None = None, batch_size: int = 4
) -> Inference:
    return Inference(
        encode, lambda ids, mask: ids.float(), SimpleNamespace(),  # type: ignore[arg-type]
        size=4, context=4, scale=1.0, batch_size=batch_size, digest=digest, cache=cache,
    )  # fmt: skip


class Coloured(Dataset):
    """Pictures of one colour each; the fourth cannot be read."""

    def __init__(self, number: int, shade: int = 0) -> None:
        self.number, self.shade, self.classes = number, shade, ["even", "odd"]

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> Sample:
        if index == 3:
            raise DataError("broken")
        colour = (20 * index % 256, 255 - index, self.shade)
        return Sample(Image.new("RGB", (5, 5), colour), (f"number {index}",), index % 2, str(index))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for n in range(6):
        place = tmp_path / "images" / ("cat" if n % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 5), (40 * n, 0, 9)).save(place / f"{n}.png")
    return tmp_path / "images"


def test_one_model_and_equal_data_are_encoded_once(images: Path) -> None:
    encode = Counting()
    model = inference(encode)
    first = image_features(model, Folder(path=str(images)))
    assert image_features(model, Folder(path=str(images))) is first
    assert encode.calls == 2
    image_features(inference(encode), Folder(path=str(images)))
    assert encode.calls == 4


def test_a_file_that_changes_in_place_is_noticed(images: Path, tmp_path: Path) -> None:
    encode = Counting()
    image_features(inference(encode, digest="a", cache=tmp_path / "kept"), Folder(path=str(images)))
    changed = sorted(images.rglob("*.png"))[2]
    stat = changed.stat()
    Image.new("RGB", (5, 5), (1, 2, 3)).save(changed)
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # its date does not tell
    again = image_features(inference(encode, digest="a", cache=tmp_path / "kept"), Folder(path=str(images)))
    assert encode.calls == 4
    assert [1.0, 2.0, 3.0] in again.summary.tolist()


def test_a_finished_model_keeps_them_and_other_weights_miss_them(images: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    encode = Counting()
    made = image_features(inference(encode, digest="a", cache=kept), Folder(path=str(images)))
    found = image_features(inference(encode, digest="a", cache=kept), Folder(path=str(images)))
    assert encode.calls == 2
    assert len(list(kept.iterdir())) == 1
    for field in ("embed", "summary", "labels"):
        assert torch.equal(getattr(made, field), getattr(found, field))
    assert (made.texts, made.keys, made.skipped) == (found.texts, found.keys, found.skipped)
    other = Counting(2.0)
    doubled = image_features(inference(other, digest="b", cache=kept), Folder(path=str(images)))
    assert other.calls == 2
    assert torch.equal(doubled.summary, 2 * made.summary)


def test_what_could_not_be_read_is_kept_too(tmp_path: Path) -> None:
    made = image_features(inference(Counting(), digest="a", cache=tmp_path), Coloured(9))
    found = image_features(inference(Counting(), digest="a", cache=tmp_path), Coloured(9))
    assert [skipped.number for skipped in found.skipped] == [3]
    assert found.skipped == made.skipped
    assert found.texts[3] == ("number 4",)


def test_a_broken_file_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image_features(inference(Counting(), digest="a", cache=tmp_path), Coloured(9))
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"\0" * 100)
    again = image_features(inference(Counting(), digest="a", cache=tmp_path), Coloured(9))
    assert len(again.keys) == 8
    assert "made anew" in caplog.text
    assert file.stat().st_size > 100


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    made = image_features(inference(Counting(), digest="a", cache=tmp_path / "file"), Coloured(9))
    assert len(made.keys) == 8
    assert "cannot be" in caplog.text


def test_every_part_of_a_sample_counts(known: SimpleNamespace) -> None:
    sample = known.sample(["a"], 0, "k")
    others = [
        replace(sample, texts=("b",)),
        replace(sample, label=1),
        replace(sample, key="other"),
        replace(sample, image=Image.new("RGB", (2, 2), "red")),
        replace(sample, image=Image.new("RGB", (4, 1))),
        replace(sample, image=b"bytes"),
    ]
    prints = [dataset_fingerprint(known.Rows([one], ["x", "y"])) for one in (sample, *others)]
    prints += [dataset_fingerprint(known.Rows([sample], ["x", "z"])), dataset_fingerprint(known.Rows([sample] * 2))]
    assert len(set(prints)) == len(prints)
    assert prints[0] == dataset_fingerprint(known.Rows([replace(sample)], ["x", "y"]))


def on_ranks(rank: int, world: int, folder: str) -> dict[str, Any]:
    from vlc_plugin_eval import fingerprint

    fingerprint.BLOCK = 4
    encode = Counting()
    model = inference(encode, digest="a", cache=Path(folder), batch_size=3)
    made = image_features(model, Coloured(11))
    calls = encode.calls
    again = image_features(inference(encode, digest="a", cache=Path(folder)), Coloured(11))
    return {
        "print": dataset_fingerprint(Coloured(11)),
        "summary": made.summary,
        "labels": made.labels,
        "same": torch.equal(made.embed, again.embed),
        "calls": (calls, encode.calls),
    }


def test_two_ranks_share_the_work_and_get_what_one_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "BLOCK", 4)
    alone = inference(Counting()).encode_images(Coloured(11))
    both = run_on_ranks(on_ranks, 2, str(tmp_path))
    for found in both:
        assert found["print"] == dataset_fingerprint(Coloured(11))
        assert torch.equal(found["summary"], alone.summary)
        assert torch.equal(found["labels"], alone.labels)
        assert found["same"]
        assert found["calls"] == (2, 2)
    assert len(list(tmp_path.iterdir())) == 1
    shutil.rmtree(tmp_path)


def failing(rank: int, world: int) -> list[str]:
    def work() -> str:
        if rank != 0:
            raise AssertionError("only the first rank works")
        raise DataError("nothing here")

    try:
        once(work)
    except DataError as error:
        return [str(error), str(once(lambda: rank))]
    return []


def test_what_goes_wrong_on_the_first_rank_is_raised_on_all() -> None:
    assert run_on_ranks(failing, 2) == [["nothing here", "0"]] * 2
