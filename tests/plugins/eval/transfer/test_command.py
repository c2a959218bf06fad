"""``vlc transfer`` through the command line, on a run that is nothing but its model."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from vlc_cli.main import run
from vlc_core.folders import write_folder
from vlc_core.inference import DualEncoder
from vlc_core.model.folder import model_files
from vlc_core.recipe.schema import Model

DIGITS = "{name: digits, train: {use: digits, split: train}, test: {use: digits, split: test}}"
FEW = ("--examples=60", "--validation=20", "--draws=1", "--steps=1", "--steps=2", "--batch-size=8")


@pytest.fixture(scope="module")
def folder(small: SimpleNamespace, model: DualEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("transfer")
    section = Model.model_validate(small.section)
    files = model_files(section, model.towers.state_dict(), model.tokenizer, tmp_path_factory.mktemp("scratch"))
    write_folder(made / "run" / "model", files)
    (made / "run" / "recipe.yaml").write_text("name: run\n")
    return made


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_tables_are_printed_and_kept_and_nothing_is_done_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["transfer", "run", DIGITS, "{name: whole, train: {use: digits, split: all}}", *FEW]) == 0
    told = capsys.readouterr().out
    for words in (
        "lr 0.1, 2 steps",
        "strength 10^-6",
        "validation score",
        "tuned",
        "mean",
        "whole",
        "run/evaluations",
    ):
        assert words in told
    assert "±" not in told
    written = json.loads(Path("run/evaluations/transfer.json").read_text())
    assert {"frozen_mean", "tuned_mean", "digits_tuned_top1", "whole_frozen_mean_per_class"} <= set(written["metrics"])
    assert written["details"]["tasks"]["whole"]["test_held_out_of_train"] is True
    assert len(written["details"]["tasks"]["digits"]["draws"]) == 2
    settings = Path("run/evaluations/transfer/settings.jsonl")
    before = settings.read_bytes()
    assert run(["transfer", "run", DIGITS, *FEW, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert settings.read_bytes() == before
    assert again["metrics"]["digits_tuned_top1"] == written["metrics"]["digits_tuned_top1"]
    assert again["tables"]["results"]["rows"] == [written["tables"]["results"]["rows"][0]]


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (("nowhere", DIGITS), 5, "holds no model"),
        (("run", "nothing/there"), 3, "there is no nothing/there"),
        (("run", "{use: digit}"), 2, "did you mean 'digits'"),
        (("run", DIGITS, "--examples=10", "--validation=10"), 2, "leaves none of --examples 10"),
        (("run", DIGITS, "--transform={use: clop}"), 2, "clop"),
        (("run", DIGITS, "--transform=[1]"), 2, "names no transform"),
        (("run", DIGITS, "--head=text", "--prompts=clip8"), 2, "clip80"),
        (("run/model", DIGITS), 2, "say where results go with -o DIR"),
        (("run", DIGITS, "--output=run/recipe.yaml"), 5, "choose another place by -o"),
        (("run", DIGITS, "--optimizer=adam"), 2, "--optimizer"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], code: int, message: str
) -> None:
    assert run(["transfer", *argv]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert "Traceback" not in told.err


def test_a_model_folder_is_measured_into_another_place_with_views_and_a_head_of_texts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--only=tuned", "--head=text", "--prompts=digits", "--transform=clip", "--draws=1", "--steps=1")
    assert run(["transfer", "run/model", DIGITS, *FEW[:2], *options, "--lr=0.01", "-o", "out", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    names = ("tuned_mean", "digits_tuned_top1", "digits_tuned_mean_per_class", "digits_tuned_deviation")
    assert tuple(told["metrics"]) == names
    assert Path("out/transfer.json").is_file()
    assert sorted(path.name for path in Path("run/model").iterdir() if path.is_dir()) == []


def test_what_is_wrong_with_a_draw_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--only=frozen", "--examples=100", "--holdout=0.8", "--draws=1", "-o", "few")
    assert run(["transfer", "run", "{use: digits, split: test}", *options]) == 0
    assert "note: digits has 70 examples to learn from, fewer than 100" in capsys.readouterr().err
