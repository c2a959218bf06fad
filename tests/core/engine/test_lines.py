"""Lines are there as soon as they are written, whole, once and in order, through a full disk and a kill."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from vlc_core.engine import lines as module
from vlc_core.engine.lines import Lines, cut_after
from vlc_core.errors import StorageError


def lines(*steps: int) -> str:
    return "".join(json.dumps({"step": step, "loss": 1.0}) + "\n" for step in steps)


def test_a_line_is_there_as_soon_as_it_is_written_and_what_was_there_stays(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(1))
    file = Lines(path)
    file.write({"step": 2, "loss": 1.0})
    assert path.read_text() == lines(1, 2)
    file.write({"key": "a\nb"}, {"key": "c"})
    file.close()
    assert [json.loads(line) for line in path.read_text().splitlines()[2:]] == [{"key": "a\nb"}, {"key": "c"}]


def test_what_is_not_finite_is_null(tmp_path: Path):
    file = Lines(tmp_path / "metrics.jsonl")
    file.write({"step": 1, "loss": float("nan"), "grad_norm": float("inf"), "lr": 0.5})
    file.close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": null, "grad_norm": null, "lr": 0.5}\n'


@pytest.mark.parametrize(
    "rest",
    ["", '{"step": 4, "lo', '{"step": 4}', "\0\0\0\n", "[1]\n", '{"loss": 2}\n', "\xff\n", "\n"],
)
def test_steps_beyond_the_resumed_one_and_half_lines_are_cut_off(tmp_path: Path, rest: str):
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(1, 2, 3, 4, 5) + rest, encoding="latin-1")
    cut_after(path, step=3)
    assert path.read_text() == lines(1, 2, 3)
    assert [other.name for other in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_file_that_is_not_there_has_nothing_to_cut(tmp_path: Path):
    cut_after(tmp_path / "metrics.jsonl", step=3)
    assert not list(tmp_path.iterdir())


def test_a_kill_while_lines_are_cut_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(1, 2, 3))
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cut_after(path, step=2)
    assert path.read_text() == lines(1, 2, 3)


class Disk:
    """A file on a disk with room for some bytes."""

    def __init__(self, path: Path, room: int) -> None:
        self.file, self.room = path.open("ab", buffering=0), room

    def write(self, content: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written: int = self.file.write(content[: self.room])  # as a disk does: what fits is there
        self.room -= written
        return written

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize("room", range(0, 60, 7))
def test_what_a_full_disk_did_not_take_follows_when_there_is_room(tmp_path: Path, room: int, caplog: Any):
    path = tmp_path / "metrics.jsonl"
    file = Lines(path)
    disk = Disk(path, room)
    file._file.close()
    file._file = disk  # type: ignore[assignment]
    for step in (1, 2, 3):
        file.write({"step": step, "loss": 1.0})
    assert path.read_text() == lines(1, 2, 3)[:room]
    assert len(caplog.records) == 1
    assert "its lines are held until there is room" in caplog.text
    disk.room = 10_000
    file.write({"step": 4, "loss": 1.0})
    file.close()
    assert path.read_text() == lines(1, 2, 3, 4)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_disk_that_stays_full_is_a_storage_error_at_the_end_or_when_too_much_is_held(monkeypatch: Any):
    file = Lines(Path("/dev/full"))
    file.write({"step": 1})
    monkeypatch.setattr(module, "HELD_BYTES", 20)
    with pytest.raises(StorageError, match="No space left on device"):
        file.write({"step": 2})
    with pytest.raises(StorageError, match="/dev/full cannot be written"):
        file.close()


def test_a_folder_that_is_gone_is_a_storage_error(tmp_path: Path):
    with pytest.raises(StorageError, match="cannot be written"):
        Lines(tmp_path / "gone" / "metrics.jsonl")
