"""``vlc list-plugins`` and ``vlc show-plugin``, with whole, broken and quarrelling plugins."""

from __future__ import annotations

import json

import pytest

from vlc_cli.main import run
from vlc_core import hookimpl
from vlc_core.plugins import Plugins, plugins
from vlc_core.plugins.discovery import Offer


class Good:
    @hookimpl
    def vlc_register(self, registry):
        registry.objective("pull", "no_such_module:Pull", summary="pulls", source="A paper")
        registry.prompts("short", ["a {}"], summary="One template")


class Rival:
    @hookimpl
    def vlc_register(self, registry):
        registry.objective("pull", "other_module:Pull", summary="pulls harder")


class Watcher:
    @hookimpl
    def vlc_run_start(self, run):
        raise AssertionError("no run is started here")


class Broken:
    @hookimpl
    def vlc_register(self, registry):
        raise ImportError("no module called compass")


class Fixed(Offer):
    """An offer whose plugin is at hand."""

    def load(self):
        return {"good": Good, "rival": Rival, "watcher": Watcher, "broken": Broken}[self.name]


@pytest.fixture
def world(monkeypatch):
    """Makes these the only plugins."""
    made = Plugins()
    for name in ("broken", "good", "rival", "watcher"):
        made.load(Fixed(name, f"{name}:plugin", f"vlc-plugin-{name}", "1.2"))
    made.reject(Offer("old", "old:plugin", "vlc-plugin-old", "0.0"), "incompatible", "it is old", "upgrade it")
    monkeypatch.setattr("vlc_core.plugins.plugins", lambda: made)
    return made


@pytest.fixture
def listed(capsys):
    def read(*argv):
        assert run([*argv, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return read


def test_the_keys_of_the_list_are_these(listed):
    keys = ["kind", "name", "plugin", "version", "summary", "source", "status", "reason"]
    rows = listed("list-plugins")
    assert rows
    assert all(list(row) == keys for row in rows)
    assert all(isinstance(value, str) for row in rows for value in row.values())


def test_everything_registered_is_listed_once(listed):
    rows = {(row["kind"], row["plugin"], row["name"]) for row in listed("list-plugins")}
    assert {(e.kind, e.plugin, e.name) for e in plugins().registry.entries()} <= rows
    assert ("objective", "clip", "clip") in rows
    assert all(row["status"] == "ok" for row in listed("list-plugins"))


@pytest.mark.usefixtures("world")
def test_every_plugin_is_accounted_for_with_its_reason(listed):
    rows = {(row["kind"], row["plugin"], row["name"]): row for row in listed("list-plugins")}
    assert set(rows) == {
        ("objective", "good", "pull"),
        ("objective", "rival", "pull"),
        ("prompts", "good", "short"),
        ("plugin", "broken", "broken"),
        ("plugin", "old", "old"),
        ("plugin", "watcher", "watcher"),
    }
    assert rows["plugin", "broken", "broken"]["status"] == "broken"
    assert "no module called compass" in rows["plugin", "broken", "broken"]["reason"]
    assert rows["plugin", "old", "old"]["reason"] == "it is old; upgrade it"
    assert rows["plugin", "watcher", "watcher"]["status"] == "ok"
    assert rows["objective", "good", "pull"]["status"] == "conflict"
    assert "write good/pull" in rows["objective", "good", "pull"]["reason"]
    assert rows["objective", "good", "pull"]["version"] == "1.2"
    assert rows["objective", "good", "pull"]["source"] == "A paper"


@pytest.mark.usefixtures("world")
def test_people_see_what_to_write_and_what_is_not_loaded(capsys):
    assert run(["list-plugins"]) == 0
    told = capsys.readouterr().out
    assert "rival/pull" in told
    above, below = told.split("not loaded")
    assert "short" in above
    assert "no module called compass" in below
    assert "it is old; upgrade it" in below
    assert "watcher" not in below


def test_no_plugin_at_all_is_a_list_too(capsys, monkeypatch):
    monkeypatch.setattr("vlc_core.plugins.plugins", Plugins)
    assert run(["list-plugins"]) == 0
    assert run(["list-plugins", "--json"]) == 0
    assert capsys.readouterr().out.endswith("[]\n")


def test_a_component_shows_every_option_with_type_default_range_and_text(capsys):
    from vlc_core.options import describe

    described = describe(plugins().registry.find("image_encoder", "vit").load())
    assert run(["show-plugin", "vit"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "image encoder encoders/vit" in lines[0]
    for option in described:
        line = next(line for line in lines if line.startswith(f"{option.name} "))
        assert option.type in line
        assert option.description.split("``")[0] in line
    assert "int, > 0" in next(line for line in lines if line.startswith("patch "))
    assert " 16 " in next(line for line in lines if line.startswith("patch "))


def test_an_encoder_shows_the_keys_that_the_recipe_reads_beside_its_options(capsys, listed):
    assert run(["show-plugin", "vit"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("recipe's own key"))
    told = [line.split()[0] for line in lines[start + 1 :] if line[:1].isalpha()]
    assert told == ["use", "pretrained", "freeze", "layer_decay", "compile", "head"]
    assert "torch.compile" in next(line for line in lines[start:] if line.startswith("compile "))
    (component,) = listed("show-plugin", "vit")["components"]
    assert [key["name"] for key in component["recipe_keys"]] == told


def test_a_long_name_shows_the_same(capsys):
    run(["show-plugin", "vit"])
    short = capsys.readouterr().out
    assert run(["show-plugin", "encoders/vit"]) == 0
    assert capsys.readouterr().out == short


def test_the_options_of_a_component_are_a_json_schema(listed):
    (component,) = listed("show-plugin", "vit")["components"]
    assert component["kind"] == "image_encoder"
    patch = component["options"]["properties"]["patch"]
    assert patch["type"] == "integer"
    assert patch["exclusiveMinimum"] == 0
    assert patch["default"] == 16
    assert patch["description"]


def test_a_name_of_a_plugin_and_of_components_shows_them_all(listed, capsys):
    shown = listed("show-plugin", "clip")
    assert [plugin["name"] for plugin in shown["plugins"]] == ["clip"]
    assert ("objective", "clip") in {(one["kind"], one["name"]) for one in shown["plugins"][0]["components"]}
    assert "objective" in {component["kind"] for component in shown["components"]}
    assert run(["show-plugin", "clip"]) == 0
    told = capsys.readouterr().out
    assert "plugin clip · vlc-plugin-clip" in told
    assert "objective clip/clip" in told


def test_prompts_are_shown_as_they_are(capsys, listed):
    assert run(["show-plugin", "clip80"]) == 0
    assert "a photo of a {}." in capsys.readouterr().out
    assert len(listed("show-plugin", "clip80")["components"][0]["templates"]) == 80


def test_every_component_can_be_shown(listed, capsys):
    for entry in plugins().registry.entries():
        shown = listed("show-plugin", entry.long_name)
        assert entry.kind in {component["kind"] for component in shown["components"]}
        assert run(["show-plugin", entry.long_name]) == 0
        assert entry.summary in capsys.readouterr().out


@pytest.mark.usefixtures("world")
def test_a_broken_plugin_is_shown_with_its_traceback(capsys):
    assert run(["show-plugin", "broken"]) == 0
    told = capsys.readouterr().out
    assert "broken: its vlc_register raised ImportError: no module called compass" in told
    assert "Traceback" in told


@pytest.mark.usefixtures("world")
def test_a_component_whose_module_is_missing_is_a_sentence(capsys):
    assert run(["show-plugin", "good/pull"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "'pull' of plugin 'good'" in told
    assert "no_such_module" in told


@pytest.mark.parametrize(
    ("name", "hint"),
    [("vitt", "did you mean 'vit'?"), ("encoders/vitt", "'encoders/vit'"), ("zzzz", "vlc list-plugins")],
)
def test_an_unknown_name_is_told_the_nearest(capsys, name, hint):
    assert run(["show-plugin", name]) == 2
    assert hint in capsys.readouterr().err
