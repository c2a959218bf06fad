"""What is kept of settings that are done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlc_core.errors import StorageError
from vlc_plugin_eval.transfer.journal import Journal, Result


class Work:
    def __init__(self, value: float) -> None:
        self.value, self.calls = value, 0

    def __call__(self) -> Result:
        self.calls += 1
        return {"top1": self.value}


def test_a_setting_is_done_once_in_this_process_and_in_the_next(tmp_path: Path) -> None:
    file, work = tmp_path / "deep" / "settings.jsonl", Work(1 / 3)
    for _ in range(2):
        journal = Journal(file, {"model": "a"})
        for _ in range(2):
            assert journal.done({"lr": 0.1}, work, name="digits") == {"top1": 1 / 3}
    assert work.calls == 1
    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["name"], line["what"], line["result"]) == ("digits", {"lr": 0.1}, {"top1": 1 / 3})


def test_another_setting_or_model_is_another_line_and_another_name_is_not(tmp_path: Path) -> None:
    work = Work(0.5)
    journal = Journal(tmp_path / "j", {"model": "a"})
    journal.done({"lr": 0.1}, work, name="x")
    journal.done({"lr": 0.2}, work, name="x")
    journal.done({"lr": 0.1}, work, name="y")
    Journal(tmp_path / "j", {"model": "b"}).done({"lr": 0.1}, work, name="x")
    assert work.calls == 3


def test_a_line_that_was_cut_short_is_done_again_and_harms_no_other(tmp_path: Path) -> None:
    file, work = tmp_path / "j", Work(0.5)
    journal = Journal(file, {})
    for lr in (0.1, 0.2):
        journal.done({"lr": lr}, work, name="x")
    whole = file.read_text()
    file.write_text(whole[:-20])
    again = Journal(file, {})
    for lr in (0.1, 0.2):
        again.done({"lr": lr}, work, name="x")
    assert work.calls == 3
    assert Journal(file, {}).done({"lr": 0.2}, Work(9), name="x") == {"top1": 0.5}


def test_a_file_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        Journal(tmp_path / "file" / "j", {})
