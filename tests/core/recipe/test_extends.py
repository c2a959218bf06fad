"""Chains of recipes: files, presets, cycles."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from vlc_core.errors import RecipeError
from vlc_core.recipe import load_recipe
from vlc_core.registry import Registrar, Registry

MINIMAL = Path(__file__).with_name("minimal.yaml").read_text(encoding="utf-8")


@pytest.fixture
def preset(here: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a preset ``sample/base``."""
    package = here / "site" / "vlc_sample_presets"
    (package / "recipes").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('presets are read without importing their package')")
    path = package / "recipes" / "base.yaml"
    path.write_text(MINIMAL)
    monkeypatch.syspath_prepend(str(here / "site"))
    importlib.invalidate_caches()
    Registrar(registry, "sample").recipe("base", "vlc_sample_presets:recipes/base.yaml")
    Registrar(registry, "sample").recipe("lost", "vlc_sample_presets:recipes/lost.yaml")
    Registrar(registry, "sample").recipe("homeless", "vlc_no_such_package:base.yaml")
    return path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def failure(registry: Registry, source: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(source, registry=registry)
    return str(caught.value)


def test_a_chain_of_files(here: Path, registry: Registry):
    write(
        here,
        a=MINIMAL,
        b="extends: ./a.yaml\ntrain: {steps: 20, batch_size: 8}\n",
        c="extends: b.yaml\ntrain: {steps: 30}\n",
    )
    loaded = load_recipe("c.yaml", registry=registry)
    assert (loaded.recipe.train.steps, loaded.recipe.train.batch_size) == (30, 8)
    assert loaded.where("train.steps") == "c.yaml:2"
    assert loaded.where("train.batch_size") == "b.yaml:2"
    assert loaded.where("model.image.size") == "a.yaml:2"
    assert loaded.recipe.name == "c"


def test_presets_by_long_and_short_name(preset: Path, here: Path, registry: Registry):
    assert load_recipe("sample/base", registry=registry).recipe.name == "sample-base"
    assert load_recipe("base", registry=registry).recipe.name == "base"
    write(here, child="extends: sample/base\n")
    loaded = load_recipe("child.yaml", registry=registry)
    assert loaded.recipe.data.train[0].options["path"] == str(preset.parent / "images")


def test_a_file_without_an_ending_counts_where_no_preset_has_its_name(here: Path, registry: Registry):
    (here / "plain").write_text(MINIMAL)
    assert load_recipe("plain", registry=registry).recipe.name == "plain"


def test_bare_component_names_merge_like_mappings(here: Path, registry: Registry):
    write(
        here, a=MINIMAL, b="extends: a.yaml\nmodel: {text: {width: 6}, image: eye}\nobjectives: {pull: {alpha: 0.1}}\n"
    )
    recipe = load_recipe("b.yaml", registry=registry).recipe
    assert recipe.model.text.options == {"width": 6}
    assert recipe.model.image.options == {"size": 8}
    assert recipe.objectives[0].options == {"alpha": 0.1}


def test_variables_in_extends(here: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch):
    write(here, a=MINIMAL, b="extends: ${BASE}.yaml\n")
    monkeypatch.setenv("BASE", "a")
    assert load_recipe("b.yaml", registry=registry).recipe.train.steps == 10
    monkeypatch.delenv("BASE")
    assert failure(registry, "b.yaml").startswith("b.yaml:1: extends: the environment variable BASE is not set")


def test_cycles(here: Path, registry: Registry):
    write(here, a="extends: b.yaml\n", b="extends: ./a.yaml\n", c="extends: c.yaml\n")
    assert failure(registry, "a.yaml") == "b.yaml:1: extends: the recipe extends itself: a.yaml → b.yaml → a.yaml"
    assert failure(registry, "c.yaml") == "c.yaml:1: extends: the recipe extends itself: c.yaml → c.yaml"


def test_chains_end_somewhere(here: Path, registry: Registry):
    for i in range(20):
        write(here, **{f"f{i}": f"extends: f{i + 1}.yaml\n"})
    assert "a chain of more than 16 recipes" in failure(registry, "f0.yaml")


@pytest.mark.parametrize(
    ("parent", "said"),
    [
        ("absent.yaml", "absent.yaml: no such recipe"),
        ("sample/bse", "child.yaml:1: extends: no recipe is called 'sample/bse'; did you mean 'sample/base'?"),
        ("sample/lost", "cannot be loaded from vlc_sample_presets:recipes/lost.yaml: FileNotFoundError"),
        ("sample/homeless", "cannot be loaded from vlc_no_such_package:base.yaml: ModuleNotFoundError"),
        ("5", "child.yaml:1: extends: must be the name of a preset or the path of a file"),
        ("[a, b]", "child.yaml:1: extends: must be the name of a preset or the path of a file"),
    ],
)
def test_parents_that_are_not_there(preset: Path, here: Path, registry: Registry, parent: str, said: str):
    write(here, child=f"extends: {parent}\n")
    assert said in failure(registry, "child.yaml")


def test_what_a_parent_that_is_no_yaml_is_blamed_for(here: Path, registry: Registry):
    write(here, a="model: [", b="extends: a.yaml\n")
    assert failure(registry, "b.yaml").startswith("a.yaml:1: not YAML")


def test_names_that_mean_nothing(here: Path, registry: Registry):
    assert failure(registry, "quickstart") == (
        "no recipe is called 'quickstart'; no loaded plugin offers any;"
        " a file is named with its ending, quickstart.yaml"
    )
    assert failure(registry, "").startswith("no recipe is named")
    assert "no such recipe" in failure(registry, "~nobody-at-all/x.yaml")
    assert failure(registry, "quickstart.yaml").startswith("quickstart.yaml: no such recipe")


def test_files_outside_the_working_directory_are_shown_in_full(
    here: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    write(here, a="nonsense: 1\n")
    (here / "sub").mkdir()
    monkeypatch.chdir(here / "sub")
    assert failure(registry, "../a.yaml").startswith(f"{here / 'a.yaml'}:1: ")
    assert "vlc_sample_presets" not in sys.modules
