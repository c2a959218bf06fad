"""The run folder: one run at a time, and nothing of anybody else's is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vlc_core.engine.folder import LOCK, RunFolder
from vlc_core.engine.run import Outcome
from vlc_core.errors import RecipeError, StorageError

OUTCOME = Outcome("finished", "all steps taken", 0, steps=3, seconds=1.5, metrics={"loss": 0.5})
HOLDER = """
import pathlib, sys, time
from vlc_core.engine.folder import RunFolder
with RunFolder(pathlib.Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(60)
"""


def run_in(folder: Path) -> RunFolder:
    folder.mkdir()
    (folder / "recipe.yaml").write_text("name: mine\n")
    return RunFolder(folder)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_somebody_elses_is_refused_with_and_without_resume(tmp_path: Path, resume: bool):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RecipeError, match="is not empty and holds no run"):
        RunFolder(tmp_path).check(resume=resume)


def test_what_may_be_written_to(tmp_path: Path):
    RunFolder(tmp_path / "new" / "deeper").check(resume=False)
    RunFolder(tmp_path).check(resume=False)
    RunFolder(tmp_path).check(resume=True)
    run_in(tmp_path / "run").check(resume=True)
    (tmp_path / LOCK).write_text("process 1 on a machine that died")
    (tmp_path / "run").rename(tmp_path.parent / "elsewhere")
    RunFolder(tmp_path).check(resume=False)
    assert not (tmp_path / "new").exists(), "looking makes nothing"


def test_another_run_is_refused(tmp_path: Path):
    with pytest.raises(RecipeError, match="holds another run: add --resume"):
        run_in(tmp_path / "run").check(resume=False)


def test_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError):
            RunFolder(folder).check(resume=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            RunFolder(tmp_path / "run").check(resume=False)
    finally:
        tmp_path.chmod(0o755)


def test_a_second_run_is_kept_out_until_the_first_one_ends_or_dies(tmp_path: Path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(RecipeError, match=rf"being written by another run \(process {first.pid} on "),
            RunFolder(tmp_path / "run").held(),
        ):
            pytest.fail("two runs in one folder")
        assert (tmp_path / "run" / LOCK).exists(), "the refused one has removed the lock of the other"
        first.kill()
    with RunFolder(tmp_path / "run").held():
        (tmp_path / "run" / "recipe.yaml").write_text("name: mine\n")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.yaml"]


def test_a_run_that_leaves_nothing_leaves_no_folder(tmp_path: Path):
    with RunFolder(tmp_path / "runs" / "mine").held():
        assert (tmp_path / "runs" / "mine").is_dir()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "own").mkdir()
    with RunFolder(tmp_path / "own").held():
        pass
    assert (tmp_path / "own").is_dir(), "it was there before"


def test_removal_spares_the_folder_and_its_lock(tmp_path: Path):
    folder = run_in(tmp_path / "run")
    with folder.held():
        (folder.path / "checkpoints" / "step-1").mkdir(parents=True)
        folder.remove()
        assert [path.name for path in folder.path.iterdir()] == [LOCK]


def test_records_are_replaced_and_not_rewritten_in_place(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.write_exit(OUTCOME)
    record = json.loads((tmp_path / "exit.json").read_text())
    assert (record["status"], record["exit_code"], record["steps"]) == ("finished", 0, 3)
    assert "evaluations" not in record
    assert [path.name for path in tmp_path.iterdir()] == ["exit.json"]


def test_a_record_that_cannot_be_written_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    folder = RunFolder(tmp_path)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match=r"exit.json cannot be written \(No space left on device\): make room"):
        folder.write_exit(OUTCOME)
