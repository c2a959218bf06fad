"""The filter goes on where it was stopped, wherever that was, and ends as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from vlc_core import DataError, Sample
from vlc_plugin_curate.cleaning import rewriting, stages
from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.cleaning.stages import Stages
from vlc_plugin_data.manifest import Manifest

Table = Callable[..., Path]

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

CHOSEN = Filter(min_side=None, max_aspect=None, max_texts=3, max_images=3, vocabulary=50)


class Stop(BaseException):
    """As sudden as a kill, within a process."""


def test_it_may_be_stopped_at_every_file(
    tmp_path: Path, table: Table, small: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = table(small.corpus(60, seed=5)), tmp_path / "out"
    small.run_clean([path], tmp_path / "whole", CHOSEN)
    names: list[str] = []
    settle = stages.settle

    def stops(partial: Path, final: Path) -> None:
        if final.name in names:
            settle(partial, final)
            return
        names.append(final.name)
        if len(names) % 2:  # every other file before it has its name, the rest after
            settle(partial, final)
        raise Stop

    monkeypatch.setattr(stages, "settle", stops)
    runs = 0
    while runs < 60:
        runs += 1
        try:
            small.run_clean([path], out, CHOSEN)
            break
        except Stop:
            continue
    assert runs == len(names) + 1
    assert len(names) >= 12
    for read in (small.kept, small.dropped):
        assert read(out) == read(tmp_path / "whole")
    left = {one.name for one in out.iterdir()}
    assert left == {"list.parquet", "dropped.parquet", "report.json", "report.html"}


def test_images_that_tars_lack_are_told_of_tars_that_were_there_too(
    tmp_path: Path, small: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    for name in "abc":
        Image.new("L", (9, 9)).save(folder / f"{name}.png")
    (folder / "pairs.csv").write_text("image,caption\n" + "".join(f"{name}.png,picture {name}\n" for name in "abc"))
    make = stages.settle

    def stops(partial: Path, final: Path) -> None:
        make(partial, final)
        raise Stop

    read = Manifest.__getitem__

    def lost(self: Manifest, index: int) -> Sample:
        if (out / "list.parquet").exists() and index != 1:
            raise DataError("it is gone")
        return read(self, index)

    monkeypatch.setattr(Manifest, "__getitem__", lost)
    monkeypatch.setattr(rewriting, "settle", stops)
    with pytest.raises(Stop):
        small.run_clean([folder / "pairs.csv"], out, shard=1)
    monkeypatch.setattr(rewriting, "settle", make)
    report = small.run_clean([folder / "pairs.csv"], out, shard=1)
    assert report.notes == (f"2 images could not be read for tars, the first: {folder}/a.png: it is gone",)
    monkeypatch.setattr(Manifest, "__getitem__", read)
    report = small.run_clean([folder / "pairs.csv"], out, shard=3)
    assert report.notes == ()
    assert sorted(path.name for path in (out / "tars").iterdir()) == ["00000.tar", "digest.txt"]


def test_what_is_made_of_the_same_is_made_once(tmp_path: Path) -> None:
    made: list[Any] = []

    def write(path: Path) -> None:
        made.append(path)
        path.write_text("content")

    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "cut.partial").write_text("half")
    for depends in ([1], [1], [2], [1]):
        stage = Stages(tmp_path / "stages").make("name", depends, write)
        assert stage.path.read_text() == "content"
    assert len(made) == 2
    assert not list((tmp_path / "stages").glob("*.partial"))


def test_a_killed_command_goes_on(vlc_path: str, tmp_path: Path, table: Table, small: SimpleNamespace) -> None:
    path, out = table(small.corpus(60, seed=6)), tmp_path / "out"
    command = [vlc_path, "data", "clean", str(path), "--out", str(out)]
    command += [
        "--max-texts",
        "3",
        "--max-images",
        "3",
        "--vocabulary",
        "50",
        "--min-side",
        "off",
        "--max-aspect",
        "off",
    ]
    environment = os.environ | {"VLC_PLUGINS": "data,curate"}
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    until = time.monotonic() + 150
    while not list(out.glob(".stages/texts-*.parquet")) and running.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    made = {one.name: one.stat().st_mtime_ns for one in out.glob(".stages/*.parquet")}
    assert made or (out / "list.parquet").exists()

    done = subprocess.run([*command, "--keep-stages"], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "pairs kept" in done.stdout
    after = {one.name: one.stat().st_mtime_ns for one in out.glob(".stages/*.parquet")}
    assert made.items() <= after.items()
    small.run_clean([path], tmp_path / "whole", CHOSEN)
    for read in (small.kept, small.dropped):
        assert read(out) == read(tmp_path / "whole")
