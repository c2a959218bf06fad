"""Every way in which a command can fail, by what it prints and the exit code."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
import typer

from vlc_cli import failures, main
from vlc_cli.logs import show_warnings
from vlc_cli.main import run
from vlc_cli.options import Debug
from vlc_core import errors

SENTENCE = "the loss is nan at step 7: lower train.optimizer.lr"


@pytest.fixture
def failing(monkeypatch):
    """Replaces a command by one that raises, and returns how ``vlc`` ends."""

    def end(error: BaseException, *argv: str) -> int:
        def command(debug: Debug = False) -> None:
            raise error

        monkeypatch.setattr(main, "load_command", lambda name: command)
        return run(["train", *argv])

    return end


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.VlcError, 1),
        (errors.RecipeError, 2),
        (errors.UnknownComponent, 2),
        (errors.AmbiguousComponent, 2),
        (errors.DataError, 3),
        (errors.Diverged, 4),
        (errors.StorageError, 5),
        (errors.RankLost, 6),
    ],
)
def test_an_error_of_vlc_is_its_sentence_and_its_exit_code(failing, capsys, error, code):
    assert failing(error(SENTENCE)) == code
    assert capsys.readouterr().err == f"error: {SENTENCE}\n"


def test_every_problem_of_a_recipe_stands_on_its_own_line(failing, capsys):
    assert failing(errors.RecipeError(["one", "two"])) == 2
    assert capsys.readouterr().err == "error: one\nerror: two\n"


def test_anything_unforeseen_is_one_sentence_that_offers_the_traceback(failing, capsys):
    assert failing(ValueError("first\nsecond")) == 1
    assert capsys.readouterr().err == ("error: vlc failed: ValueError: first — `vlc --debug …` shows the traceback\n")


@pytest.mark.parametrize("error", [ValueError("odd"), errors.DataError(SENTENCE)])
def test_debug_prints_the_traceback_before_the_sentence(failing, capsys, error):
    failing(error, "--debug")
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last)")
    assert "vlc --debug" not in told
    assert told.splitlines()[-1].startswith("error: ")


def test_debug_may_stand_before_the_command(monkeypatch, capsys):
    def command() -> None:
        raise ValueError("odd")

    monkeypatch.setattr(main, "load_command", lambda name: command)
    assert run(["--debug", "train"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_debug_of_one_command_does_not_outlive_it(failing, capsys):
    failing(ValueError("odd"), "--debug")
    capsys.readouterr()
    failing(ValueError("odd"))
    assert "Traceback" not in capsys.readouterr().err


def test_an_interrupt_ends_with_130(failing, capsys):
    assert failing(KeyboardInterrupt()) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_command_ends_with_the_code_it_exits_with(failing):
    assert failing(typer.Exit(4)) == 4
    assert failing(typer.Exit(0)) == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["trian"], "train"),
        (["train"], "RECIPE"),
        (["train", "x.yaml", "--stes", "a=1"], "--set"),
        (["train", "x.yaml", "--devices", "0"], "--devices"),
        (["train", "x.yaml", "--devices", "two"], "--devices"),
        (["eval"], "RUN"),
        (["show-plugin"], "NAME"),
        (["check"], "RECIPE"),
        (["list-plugins", "extra"], "extra"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(capsys, argv, words):
    assert run(argv) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("error: ")
    assert words in told
    assert "--help" in told


def test_no_command_at_all_prints_the_help(capsys):
    assert run([]) == 2
    assert "list-plugins" in capsys.readouterr().out


def test_a_warning_that_the_library_logs_is_told_on_stderr(capsys):
    show_warnings()
    logging.getLogger("vlc").warning("%d texts were cut", 3)
    logging.getLogger("vlc").info("not this")
    assert capsys.readouterr() == ("", "warning: 3 texts were cut\n")


def test_a_fault_that_all_ranks_find_is_told_by_the_first(failing, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert failing(errors.RecipeError(SENTENCE)) == 2
    assert capsys.readouterr().err == ""


def test_a_fault_of_another_rank_names_it(failing, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "3")
    assert failing(errors.DataError(SENTENCE)) == 3
    assert capsys.readouterr().err == f"error on rank 3: {SENTENCE}\n"


@pytest.mark.parametrize(
    ("variables", "rank"),
    [({}, 0), ({"RANK": "2"}, 2), ({"SLURM_PROCID": "5"}, 5), ({"RANK": "x"}, 0)],
)
def test_the_rank_is_the_launchers(monkeypatch, variables, rank):
    for name in ("RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert failures.rank() == rank


def vlc(*argv: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "vlc_cli", *argv]
    return subprocess.run(command, capture_output=True, env={**os.environ, **variables}, check=False)


def test_the_process_ends_with_the_code_and_python_m_is_vlc():
    assert vlc("--version").returncode == 0
    ended = vlc("trian")
    assert ended.returncode == 2
    assert b"Did you mean 'train'" in ended.stderr


def test_a_terminal_without_our_letters_is_no_reason_to_fail():
    ended = vlc("list-plugins", PYTHONIOENCODING="ascii")
    assert ended.returncode == 0
    assert ended.stderr == b""


def test_a_reader_that_leaves_early_is_no_traceback():
    command = f"{sys.executable} -m vlc_cli list-plugins --json | head -n 1"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert ended.stdout == b"[\n"
    assert b"Traceback" not in ended.stderr
