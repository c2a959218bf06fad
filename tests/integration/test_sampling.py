"""Every sampler trains, mixtures are what the recipe says, and data that fails ends a run soon and clearly."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from PIL import Image

PLUGIN = '''
import os
import signal

from PIL import Image

from vlc_core import Dataset, Sample, hookimpl


class Tiles(Dataset):
    """Plain tiles, in shards if asked, that may be broken or kill the worker that reads them."""

    def __init__(self, *, count: int = 40, shard: int = 0, bad: bool = False, deadly: bool = False) -> None:
        """
        Args:
            count: How many.
            shard: How many to a shard.
            bad: Whether none can be used.
            deadly: Whether reading some kills the process.
        """
        self.count, self.bad, self.deadly, self.made_by = count, bad, deadly, os.getpid()
        self.shards = [min(shard, count - start) for start in range(0, count, shard)] if shard else None

    def __len__(self):
        return self.count

    def texts(self, index):
        return (f"tile number {index}",)

    def __getitem__(self, index):
        if self.deadly and index % 8 == 7:
            assert os.getpid() != self.made_by
            os.kill(os.getpid(), signal.SIGKILL)
        image = b"" if self.bad else Image.new("RGB", (9, 9), (index * 6 % 256, 0, index * 11 % 256))
        return Sample(image, self.texts(index), key=f"tile-{index}")


@hookimpl
def vlc_register(registry):
    registry.dataset("tiles", "vlc_plugin_tiles:Tiles", summary="Tiles")
'''

TILES, DIGITS = "{use: tiles, shard: 7}", "{use: digits, prompts: digits}"
MIXED = "{use: tiles, share: 0.25}, {use: digits, prompts: digits}"
SOURCES = {
    "shuffle": f"{TILES}, {DIGITS}",
    "balanced": f"{TILES}, {DIGITS}",
    "weighted": MIXED,
    "proportional": f"{TILES}, {DIGITS}",
    "class-balanced": MIXED,
    "shard-shuffle": TILES,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny):
    """The tiny recipe beside an installed plugin with a dataset of tiles."""
    made = tmp_path_factory.mktemp("sampling")
    (made / "tiny.yaml").write_text(tiny)
    site, info = made / "site", made / "site" / "vlc_plugin_tiles-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "vlc_plugin_tiles.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vlc-plugin-tiles\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vlc.plugins]\ntiles = vlc_plugin_tiles\n")
    return made


@pytest.fixture
def train(vlc, folder):
    def run(command: str, output: str, sources: str, *sets: str, devices: int = 1):
        both = [f"output={output}", f"data.train=[{sources}]", "evaluate.with=[]", *sets]
        more = ["--devices", str(devices)] if devices > 1 else []
        argv = [command, "tiny.yaml", *(f"--set={one}" for one in both), *more]
        return vlc(*argv, cwd=folder, env={"PYTHONPATH": str(folder / "site")})

    return run


@pytest.mark.parametrize("sampler", SOURCES)
def test_every_sampler_trains(train, folder, metrics, sampler):
    ended = train("train", sampler, SOURCES[sampler], f"data.sampler={sampler}", "data.workers=1")
    assert ended.code == 0, ended.err
    assert ended.err == ""
    rows = metrics(folder / sampler)
    assert [row["samples"] for row in rows] == [16, 32, 48, 64, 80, 96]
    assert rows[-1]["loss"] != rows[0]["loss"]


def test_ranks_and_workers_do_not_change_what_is_drawn(train, folder, metrics):
    sets = ("data.sampler={use: shard-shuffle, lanes: 4, block: 4}", "model.temperature.learn=false")
    ended = [train("train", f"at-{ranks}-{workers}", TILES, f"data.workers={workers}", *sets, devices=ranks)
             for ranks, workers in ((1, 0), (2, 2))]  # fmt: skip
    assert [one.code for one in ended] == [0, 0], ended[1].err
    alone, together = (metrics(folder / name) for name in ("at-1-0", "at-2-2"))
    for a, b in zip(alone, together, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


def test_classes_of_one_name_merge_on_request(train):
    sources = f"{DIGITS}, {{use: digits, name: held-out, split: test}}"
    assert ", 10 classes" in train("check", "merged", sources, "data.merge_classes=true").well().out


def test_data_that_is_bad_throughout_ends_the_run(train):
    ended = train("train", "bad", "{use: tiles, bad: true}", "data.workers=2", "data.max_bad=1000000")
    assert ended.code == 3
    assert "16 samples drawn in a row from the source tiles cannot be used" in ended.err
    assert "the file is empty" in ended.err
    assert "Traceback" not in ended.err


def test_a_killed_worker_ends_the_run_with_a_hint(train):
    ended = train("train", "deadly", "{use: tiles, deadly: true}", "data.workers=2")
    assert ended.code == 3, ended.err
    assert "worker process died" in ended.err
    assert "lower data.workers, which is 2" in ended.err
    assert "Traceback" not in ended.err


def test_redrawn_samples_come_from_their_own_source_and_are_listed(train, folder):
    mixed = f"{{use: tiles, share: 0.5}}, {{use: manifest, path: {folder}/table.csv, text: text, share: 0.5}}"
    rows = [f"digit-{i}.png,a digit" for i in range(30)]
    (folder / "table.csv").write_text("\n".join(["image,text", *rows]) + "\n")
    for i in range(0, 30, 2):
        Image.new("RGB", (9, 9), (i, i, i)).save(folder / f"digit-{i}.png")
    ended = train("train", "mixed", mixed, "data.sampler=weighted", "data.max_bad=1000")
    assert ended.code == 0, ended.err
    listed = [json.loads(line) for line in (folder / "mixed" / "skipped.jsonl").read_text().splitlines()]
    assert Counter(row["source"] for row in listed).keys() == {"manifest"}
    assert json.loads((folder / "mixed" / "exit.json").read_text())["skipped"] == len(listed)
    assert (
        f"{len(listed)} samples could not be used and had others drawn in place: see mixed/skipped.jsonl" in ended.out
    )
