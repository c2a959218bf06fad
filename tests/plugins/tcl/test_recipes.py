"""The presets are complete and sound, and say what was published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from vlc_cli.main import run
from vlc_core.plugins import plugins
from vlc_core.recipe import load_recipe


def resolved(name: str) -> dict[str, Any]:
    return load_recipe(name, registry=plugins().registry).resolved


@pytest.mark.parametrize("name", ["quick", "shapes", pytest.param("pretrain", marks=pytest.mark.slow)])
def test_a_preset_is_sound_and_nothing_is_to_be_said_against_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    # Less data, which it reads for its words, and a queue that fits it.
    less = ["--set", "data.train.shapes.length=600", "--set", "model.momentum.queue=128"]
    assert run(["check", f"tcl/{name}", *less, "--set", "train.batch_size=64"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert f"tcl-{name} is complete and sound" in told.out
    assert "memory at most" in told.out


@pytest.mark.parametrize("name", ["quick", "shapes", "pretrain"])
def test_a_third_each_makes_the_mean_of_six_terms(name: str):
    weights = {one["name"]: one["weight"] for one in resolved(f"tcl/{name}")["objectives"]}
    assert weights == {"cma": 0.3333, "imc": 0.3333, "lmi": 0.3333, "itm": 1.0, "mlm": 1.0}


def test_the_large_one_is_as_published():
    recipe = resolved("tcl/pretrain")
    model, objectives = recipe["model"], {one["name"]: one for one in recipe["objectives"]}
    image = {key: model["image"][key] for key in ("use", "size", "patch", "width", "depth")}
    assert image == {"use": "vit", "size": 256, "patch": 16, "width": 768, "depth": 12}
    assert (model["text"]["depth"], model["text"]["width"], model["fusion"]["depth"]) == (6, 768, 6)
    assert (model["embed_dim"], model["momentum"]["queue"], model["momentum"]["decay"]) == (256, 65536, 0.995)
    temperature = model["temperature"]
    assert (temperature["init"], temperature["min"], temperature["max"]) == (0.07, 0.001, 0.5)
    assert temperature["learn_as"] == "temperature"
    assert (objectives["cma"]["alpha"], objectives["cma"]["ramp"], objectives["mlm"]["alpha"]) == (0.4, 1, 0.4)
    assert (objectives["mlm"]["probability"], objectives["lmi"]["pool"]) == (0.15, 4)
    train = recipe["train"]
    assert (train["batch_size"], train["epochs"]) == (512, 30)
    assert (train["optimizer"]["lr"], train["optimizer"]["weight_decay"]) == (1e-4, 0.02)
    assert recipe["data"]["transform"]["use"] == "tcl"


def test_a_first_recipe_explains_itself_and_is_the_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert run(["init", "tcl"]) == 0
    assert "tcl/quick" in capsys.readouterr().out
    text = Path("tcl.yaml").read_text()
    for words in ("How much of itself a twin keeps in each step", "The encoder that reads text and image together"):
        assert f"# {words}" in text
    written, preset = yaml.safe_load(text), resolved("tcl/quick")
    again = resolved("tcl.yaml")
    assert written["name"] == "tcl"
    for key in ("model", "objectives", "train"):
        assert again[key] == preset[key], key
