"""``vlc transfer`` by the real command, on the tiny run."""

from __future__ import annotations

import json
import shutil

import pytest
import typer

from vlc_core.errors import VlcError
from vlc_core.plugins import plugins

pytestmark = pytest.mark.xdist_group("trained")

DIGITS = "{name: digits, train: {use: digits, split: train}, test: {use: digits, split: test}}"
FEW = ("--examples=100", "--validation=20", "--draws=2", "--steps=2", "--steps=4", "--batch-size=8")


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    made = tmp_path_factory.mktemp("transfer")
    shutil.copytree(trained[0] / "run", made / "run")
    return made


def transfer(folder, monkeypatch, *argv):
    """The command in this process; its errors as they are raised."""
    from vlc_plugin_eval.transfer.commands import transfer

    monkeypatch.chdir(folder)
    app = typer.Typer()
    app.command()(transfer)
    typer.main.get_command(app).main(list(argv), standalone_mode=False)


def test_the_tables_are_printed_and_kept_and_nothing_is_done_twice(vlc, folder, monkeypatch, capsys):
    ended = vlc("transfer", "run", DIGITS, *FEW, cwd=folder)
    assert ended.code == 0, ended.err
    for word in ("lr 0.1, 2 steps", "strength 10^-6", "validation score", "digits", "tuned"):
        assert word in ended.out
    written = json.loads((folder / "run" / "evaluations" / "transfer.json").read_text())
    metrics = written["metrics"]
    assert {"frozen_mean", "tuned_mean", "digits_tuned_top1", "digits_frozen_mean_per_class"} <= set(metrics)
    assert 0.1 < metrics["frozen_mean"] < 1
    settings = folder / "run" / "evaluations" / "transfer" / "settings.jsonl"
    before = settings.read_bytes()
    transfer(folder, monkeypatch, "run", DIGITS, *FEW, "--json")
    assert settings.read_bytes() == before
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"] == metrics
    assert len(told["tables"]["sweep"]["rows"]) == len(written["tables"]["sweep"]["rows"])


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
    ],
)
def test_what_cannot_be_measured_is_one_sentence(folder, monkeypatch, argv, code, message):
    with pytest.raises(VlcError) as caught:
        transfer(folder, monkeypatch, *argv)
    assert caught.value.exit_code == code
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_folder_is_measured_into_another_place_with_views_and_text_heads(folder, monkeypatch, capsys):
    options = ("--only=tuned", "--head=text", "--prompts=digits", "--transform=clip", "--draws=1", "--steps=2")
    transfer(folder, monkeypatch, "run/model", DIGITS, *FEW[:2], *options, "--lr=0.01", "-o", "out", "--json")
    told = json.loads(capsys.readouterr().out)
    assert list(told["metrics"]) == [
        "tuned_mean",
        *(f"digits_tuned_{x}" for x in ("top1", "mean_per_class", "deviation")),
    ]
    assert (folder / "out" / "transfer.json").is_file()
    assert not list((folder / "run" / "model").glob("evaluations"))


def test_importing_the_plugin_and_its_command_imports_no_torch(vlc, folder):
    assert plugins().status
    assert "transfer" in vlc("--help", cwd=folder).out
