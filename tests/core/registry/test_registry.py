"""Finding and loading components by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlc_core import Objective
from vlc_core.errors import AmbiguousComponent, RecipeError, UnknownComponent
from vlc_core.nearest import did_you_mean, nearest
from vlc_core.plugins import load_plugins
from vlc_core.registry import KINDS, Entry, Registrar, Registry
from vlc_core.registry.catalogue import CATALOGUE, offering


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    for plugin, names in {"one": ["clip", "cma-soft"], "two": ["clip", "siglip"]}.items():
        for name in names:
            Registrar(registry, plugin).objective(name, "m:C")
    Registrar(registry, "one").image_encoder("vit", "m:V")
    return registry


def test_short_and_long_names(registry: Registry):
    assert registry.find("objective", "siglip").long_name == "two/siglip"
    assert registry.find("objective", "one/clip").plugin == "one"
    assert registry.find("objective", "two/clip").plugin == "two"


def test_an_ambiguous_short_name_prints_the_long_ones(registry: Registry):
    with pytest.raises(AmbiguousComponent) as caught:
        registry.find("objective", "clip")
    assert str(caught.value) == ("'clip' is offered as objective by several plugins; write 'one/clip' or 'two/clip'")


UNKNOWN = {
    ("objective", "siglp"): "no objective is called 'siglp'; did you mean 'siglip'? known are clip, cma-soft, siglip",
    ("objective", "SigLIP"): "no objective is called 'SigLIP'; did you mean 'siglip'? known are clip, cma-soft, siglip",
    ("objective", "cma_soft"): "did you mean 'cma-soft'?",
    ("objective", "zzz"): "no objective is called 'zzz'; known are clip, cma-soft, siglip",
    ("objective", "one/siglip"): "no objective is called 'one/siglip'; did you mean 'two/siglip'?",
    ("objective", "tow/siglip"): "did you mean 'two/siglip'?",
    ("objective", "mlm"): "no objective is called 'mlm' yet: pip install vlc-plugin-tcl",
    ("objective", "tcl/mlm"): "no objective is called 'tcl/mlm' yet: pip install vlc-plugin-tcl",
    ("objective", "one/mlm"): "no objective is called 'one/mlm'; known are clip, cma-soft, siglip",
    ("objective", "bic"): "pip install vlc-plugin-unicl",
    ("objective", "align"): "pip install vlc-plugin-align",
    ("dataset", "digits"): "pip install vlc-plugin-data",
    ("evaluator", "zero-shot"): "pip install vlc-plugin-eval",
    ("tokenizer", "bpe"): "pip install vlc-plugin-encoders",
    ("text_encoder", "vit"): "no text encoder is called 'vit'; a component of that name is of kind image encoder",
    ("fusion_encoder", "x"): "no fusion encoder is called 'x'; no loaded plugin offers any",
    ("objective", ""): "no objective is called ''",
    ("objective", "/"): "no objective is called '/'",
}


@pytest.mark.parametrize(("asked", "said"), UNKNOWN.items(), ids=map(str, UNKNOWN))
def test_what_is_said_of_an_unknown_name(registry: Registry, asked: tuple[str, str], said: str):
    with pytest.raises(UnknownComponent) as caught:
        registry.find(*asked)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_plugins_that_are_not_loaded_are_named(registry: Registry):
    registry.unavailable["mine"] = "broken: it raised"
    with pytest.raises(UnknownComponent, match=r"not loaded are the plugins mine \(see vlc list-plugins\)"):
        registry.find("objective", "other")
    with pytest.raises(UnknownComponent, match=r"plugin 'mine' is not loaded \(broken: it raised\)"):
        registry.find("objective", "mine/other")


def test_entries_are_sorted(registry: Registry):
    assert [e.long_name for e in registry.entries()] == [
        "one/vit",
        "one/clip",
        "two/clip",
        "one/cma-soft",
        "two/siglip",
    ]
    assert [e.name for e in registry.entries("image_encoder")] == ["vit"]
    assert registry.entries("dataset") == []


def test_removing_a_plugin_takes_all_that_it_offered(registry: Registry):
    registry.remove("one")
    assert [e.long_name for e in registry.entries()] == ["two/clip", "two/siglip"]
    assert registry.find("objective", "clip").plugin == "two"
    registry.remove("absent")


def test_every_kind_can_be_registered():
    registry = Registry()
    registrar = Registrar(registry, "p")
    for kind in KINDS:
        target: object = ["a {}"] if kind == "prompts" else "pkg:r/x.yml" if kind == "recipe" else "m.n:A.B"
        getattr(registrar, kind)("x", target, summary="S", source="P")
    assert [e.kind for e in registry.entries()] == list(KINDS)
    assert {(e.summary, e.source) for e in registry.entries()} == {("S", "P")}


def test_loading(parts: str):
    assert issubclass(Entry("objective", "pull", "p", f"{parts}:Pull").load(), Objective)
    assert Entry("prompts", "a", "p", ("a {}",)).load() == ("a {}",)
    assert Entry("recipe", "a", "p", "vlc_core:py.yaml").kind == "recipe"


CANNOT_LOAD = {
    "vlc_no_such_module:X": "cannot be loaded from vlc_no_such_module:X: ModuleNotFoundError",
    "{parts}:Absent": "cannot be loaded from vlc_sample_parts:Absent: AttributeError",
    "{parts}:function": "objective 'x' of plugin 'p': vlc_sample_parts:function is not a class",
    "{parts}:NotAComponent": "vlc_sample_parts:NotAComponent does not derive from vlc_core.Objective",
    "{parts}:Eye": "vlc_sample_parts:Eye does not derive from vlc_core.Objective",
    "{parts}:Unfinished": "vlc_sample_parts:Unfinished does not implement forward",
}


@pytest.mark.parametrize(("target", "said"), CANNOT_LOAD.items())
def test_what_cannot_be_loaded(parts: str, target: str, said: str):
    with pytest.raises(RecipeError) as caught:
        Entry("objective", "x", "p", target.format(parts=parts)).load()
    assert said in str(caught.value)


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "1/0", "import"])
def test_modules_that_fail_when_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "vlc_test_fails.py").write_text(code)
    with pytest.raises(RecipeError, match="objective 'x' of plugin 'p' cannot be loaded"):
        Entry("objective", "x", "p", "vlc_test_fails:X").load()


def test_the_catalogue_knows_all_that_our_own_plugins_offer():
    """Whoever adds a component adds it to the catalogue, so that those without the plugin learn what to install."""
    loaded = load_plugins()
    own = {s.name for s in loaded.status if s.distribution == f"vlc-plugin-{s.name}" and s.status == "ok"}
    missing = [
        f"{entry.kind} {entry.long_name}"
        for entry in loaded.registry.entries()
        if entry.plugin in own and entry.kind != "recipe" and not offering(entry.kind, entry.name)
    ]
    assert missing == []
    assert {kind for kinds in CATALOGUE.values() for kind in kinds} <= set(KINDS)


def test_our_own_components_load():
    loaded = load_plugins()
    own = {s.name for s in loaded.status if s.distribution == f"vlc-plugin-{s.name}" and s.status == "ok"}
    for entry in loaded.registry.entries():
        if entry.plugin in own:
            assert entry.load() is not None
            assert entry.summary


def test_nearest():
    assert nearest("stepz", ["steps", "epochs"]) == "steps"
    assert nearest("zzz", ["steps"]) is None
    assert nearest("x", []) is None
    assert nearest("LR", ["lr"]) == "lr"
    assert did_you_mean("stepz", ["steps"]) == "; did you mean 'steps'?"
    assert did_you_mean("zzz", ["steps"]) == ""
