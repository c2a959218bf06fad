"""``vlc check``: what a recipe would train, and that it trains nothing."""

from __future__ import annotations

import json

import pytest

from vlc_cli.main import run


@pytest.fixture
def checked(tmp_path, monkeypatch, tiny, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(tiny)

    def check(*argv: str) -> str:
        assert run(["check", "tiny.yaml", *argv]) == 0
        told = capsys.readouterr()
        assert told.err == ""
        assert [path.name for path in tmp_path.iterdir() if path.name != "run"] == ["tiny.yaml"]
        return told.out

    return check


def test_people_are_told_parameters_data_and_epochs(checked):
    told = checked()
    assert "tiny is complete and sound" in told
    assert "8,785: image 4,448, text 4,336, temperature 1" in told
    assert "digits 1,442 samples, 10 classes" in told
    assert "6 steps, 96 samples, 0.0666 epochs of 1,442 samples" in told
    assert "zero-shot, retrieval" in told
    assert "output      run\n" in told
    assert "memory at most" in told
    assert "compute a step" in told


def test_the_special_tokens_are_told_and_what_lacks(checked):
    assert "tokenizer   36 ids; pad <pad>, start <start>, end <end>, mask <mask>, unknown <unknown>\n" in checked()
    told = json.loads(checked("--json"))["plan"]
    assert (told["vocabulary"], told["special"]["mask"]) == (36, "<mask>")


def test_a_batch_that_so_many_devices_do_not_divide_is_planned_as_the_nearest_that_they_do(checked):
    told = checked("--devices", "1024")
    assert "1,024 devices: train.batch_size is 16, which 1024 ranks do not divide" in told
    assert "Planned with --set train.batch_size=1024" in told
    ranks = json.loads(checked("--devices", "1,1024", "--json"))["plan"]["takes"]["ranks"]
    assert [(rank["devices"], rank["batch_size"]) for rank in ranks] == [(1, 16), (1024, 1)]
    assert ranks[1]["changed"] == {"train.batch_size": 1024}


def test_programs_are_told_the_same_and_the_resolved_recipe(checked):
    told = json.loads(checked("--set", "train.epochs=2", "--set", "train.steps=null", "--json"))
    assert told["plan"]["steps"] == round(2 * 1442 / 16)
    assert told["plan"]["epochs"] == pytest.approx(2, abs=0.01)
    assert told["plan"]["parameters"] == {"towers.image": 4448, "towers.text": 4336, "towers.temperature": 1}
    assert told["plan"]["sources"] == {"digits": 1442}
    assert told["recipe"]["train"]["epochs"] == 2
    assert told["recipe"]["train"]["optimizer"]["lr"] == 0.01


def test_of_several_sources_each_ones_part_of_a_batch_and_its_epochs_are_said(checked):
    sources = "{use: digits, share: 0.75}, {use: digits, name: held-out, split: test}"
    sets = ("--set", f"data.train=[{sources}]", "--set", "data.sampler=weighted", "--set", "train.steps=100")
    assert "batches     0.75 digits: 0.832 epochs, 0.25 held-out: 1.13 epochs\n" in checked(*sets)
    told = json.loads(checked(*sets, "--json"))["plan"]["exposures"]
    assert told[1] == {"source": "held-out", "size": 355, "share": 0.25, "epochs": pytest.approx(400 / 355)}
    assert "batches " not in checked()


def test_an_output_that_holds_a_run_is_said(checked, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("")
    assert "holds a run: train with --resume" in checked()


def test_the_shipped_quickstart_is_sound(capsys, shipped):
    for recipe in shipped:
        assert run(["check", str(recipe)]) == 0, capsys.readouterr().err


@pytest.fixture
def shipped(request):
    recipes = sorted((request.config.rootpath / "recipes").glob("*.yaml"))
    assert recipes
    return recipes
