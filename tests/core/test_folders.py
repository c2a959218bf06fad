"""A folder is whole or not there, whatever happens to whoever writes it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vlc_core import folders
from vlc_core.errors import StorageError

OLD, NEW = {"a": b"old" * 50, "b": b"same"}, {"a": b"new" * 40, "b": b"same", "c": b"more"}

# Every call on which the content of a folder depends; a writer is killed or fails at each of them.
CALLS = ("mkdir", "open", "fsync", "rename", "rmtree")

WRITER = """
import builtins, os, pathlib, shutil, sys
from vlc_core import folders

target, die_at, how = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
count = 0

def struck(real):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == die_at:
            if how == "half" and hasattr(args[0], "name") and "open" in real.__name__:
                pathlib.Path(args[0]).write_bytes(b"ha")
            os._exit(7)
        return real(*args, **kwargs)
    return call

pathlib.Path.mkdir, pathlib.Path.open = struck(pathlib.Path.mkdir), struck(pathlib.Path.open)
pathlib.Path.rename, os.fsync, shutil.rmtree = struck(pathlib.Path.rename), struck(os.fsync), struck(shutil.rmtree)
folders.write_folder(target, {"a": b"new" * 40, "b": b"same", "c": b"more"})
"""


def content(folder: Path) -> dict[str, bytes]:
    """What a reader finds, whoever died before."""
    where = folders.found(folder)
    assert folders.problems(where) == []
    return {path.name: path.read_bytes() for path in where.iterdir() if path.name != folders.MANIFEST}


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_what_is_written_is_found(tmp_path: Path):
    folder = tmp_path / "deep" / "model"
    for files in (OLD, NEW, OLD):
        folders.write_folder(folder, files)
        assert content(folder) == files
        assert hidden(folder.parent) == []
    assert folders.schema(folder) == folders.SCHEMA


def killed_at_every_call(folder: Path, how: str):
    """A writer killed at its first, second, … call that matters, until it comes to its end; gives how often."""
    for die_at in range(1, 60):
        command = [sys.executable, "-c", WRITER, str(folder), str(die_at), how]
        code = subprocess.run(command, check=False).returncode
        if code == 0:
            return
        assert code == 7
        yield die_at
    pytest.fail("the writer came to no end")


@pytest.mark.parametrize("before", [None, OLD], ids=["first", "replacing"])
def test_a_writer_may_be_killed_at_any_point(tmp_path: Path, before):
    folder = tmp_path / "model"
    if before is not None:
        folders.write_folder(folder, before)
    states = []
    for die_at in killed_at_every_call(folder, "half" if before else "none"):
        if before is None and not folders.found(folder).exists():
            states.append("nothing")
            continue
        states.append("old" if content(folder) == before else "new")
        assert content(folder) in (before, NEW), die_at
        if states[-1] == "new":  # go back, to be killed a little later
            folders.settle(folder)
            if before is None:
                shutil.rmtree(folder)
            else:
                folders.write_folder(folder, before)
    assert content(folder) == NEW
    assert hidden(tmp_path) == []
    assert set(states) == ({"old", "new"} if before else {"nothing", "new"}), states
    assert len(states) > 8


def test_the_moment_between_two_names_is_bridged(tmp_path: Path):
    folder = tmp_path / "model"
    folders.write_folder(folder, OLD)
    folder.rename(tmp_path / ".model.old")
    assert content(folder) == OLD, "the old one, while the new one is not whole"
    folders.write_folder(tmp_path / "other", NEW)
    (tmp_path / "other").rename(tmp_path / ".model.partial")
    assert content(folder) == NEW, "the new one, once it is whole"
    assert folders.found(folder) == tmp_path / ".model.partial"
    folders.settle_all(tmp_path)
    assert folders.found(folder) == folder
    assert content(folder) == NEW
    assert hidden(tmp_path) == []


def test_what_dead_writers_left_is_removed(tmp_path: Path):
    folder = tmp_path / "model"
    folders.write_folder(folder, OLD)
    half = tmp_path / ".model.partial"
    half.mkdir()
    (half / "a").write_bytes(b"ne")
    (tmp_path / ".step-00000001.partial").mkdir()
    (tmp_path / ".cache").mkdir()
    folders.settle_all(tmp_path)
    assert hidden(tmp_path) == [".cache"], "what is somebody else's stays"
    assert content(folder) == OLD
    folders.settle_all(tmp_path / "not there")


@pytest.mark.parametrize("call", ["mkdir", "open", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failing_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int):
    folder = tmp_path / "model"
    folders.write_folder(folder, OLD)
    owner = os if call == "fsync" else Path
    real, failures, told = getattr(owner, call), 0, []
    for fail_at in range(1, 8):
        count = 0

        def failing(*args, _at=fail_at, **kwargs):
            nonlocal count, failures
            count += 1
            if count == _at:
                failures += 1
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        before = content(folder)
        monkeypatch.setattr(owner, call, failing)
        try:
            folders.write_folder(folder, NEW)
        except StorageError as error:
            told.append(str(error))
        finally:
            monkeypatch.setattr(owner, call, real)
        assert folder.exists(), "there is no moment to bridge without a kill"
        assert content(folder) in (before, NEW)
        assert hidden(tmp_path) == []
        folders.write_folder(folder, OLD)
    needed = f"it needs {sum(map(len, NEW.values()))} bytes" if number == errno.ENOSPC else "check that its folder"
    assert all(os.strerror(number) in sentence and needed in sentence for sentence in told)
    assert len(told) == failures
    assert failures >= {"mkdir": 1, "open": 4, "fsync": 5, "rename": 2}[call]


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")
def test_a_limit_on_file_size_is_a_full_disk(tmp_path: Path):
    code = (
        "import resource, signal, sys, pathlib\n"
        "from vlc_core import folders; from vlc_core.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try: folders.write_folder(pathlib.Path(sys.argv[1]), {'a': b'x' * 3_000_000})\n"
        "except StorageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "m")], capture_output=True, text=True, check=True)
    assert "it needs 3,000,000 bytes (2.9 MiB), make room there" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_a_file_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        folders.write_folder(tmp_path / "file" / "model", NEW)


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"3", b'{"sha256": [1]}', b'{"sha256": {"a": 1}}', b"\xff\xfe"])
def test_a_manifest_that_is_none_is_a_problem(tmp_path: Path, manifest: bytes):
    folders.write_folder(tmp_path / "m", NEW)
    (tmp_path / "m" / folders.MANIFEST).write_bytes(manifest)
    assert folders.problems(tmp_path / "m") != []


def test_problems_name_the_files(tmp_path: Path):
    folders.write_folder(tmp_path / "m", NEW)
    (tmp_path / "m" / "a").write_bytes(b"other")
    (tmp_path / "m" / "c").unlink()
    assert folders.problems(tmp_path / "m") == ["a", "c"]
    assert folders.problems(tmp_path / "nothing") == [folders.MANIFEST]
