"""Plugins that fail in every way, each from a fabricated distribution on ``sys.path``."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vlc_core import hookimpl
from vlc_core.errors import Diverged
from vlc_core.plugins import PluginStatus, load_plugins, plugins
from vlc_core.plugins.discovery import discover
from vlc_core.registry.catalogue import CATALOGUE

Install = Callable[..., str]
_numbers = itertools.count()

GOOD = """
from vlc_core import hookimpl

@hookimpl
def vlc_register(registry):
    registry.objective("mine", "somewhere:Mine", summary="Mine")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder at the head of ``sys.path``; what is imported from it is forgotten."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("VLC_PLUGINS", raising=False)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Makes a distribution with one plugin; returns the name of its module."""

    def install(
        name: str,
        code: str = GOOD,
        *,
        distribution: str = "",
        version: str = "1.2",
        requires: tuple[str, ...] = (),
        target: str = "",
    ) -> str:
        distribution = distribution or f"vlc-test-{name}"
        module = f"vlc_test_module_{next(_numbers)}"
        (site / f"{module}.py").write_text(code)
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        metadata = [f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}"]
        (info / "METADATA").write_text("\n".join([*metadata, *(f"Requires-Dist: {r}" for r in requires), ""]))
        (info / "entry_points.txt").write_text(
            f"[console_scripts]\nx = y:z\n\n[vlc.plugins]\n# a comment\n{name} = {module}{target}\n"
        )
        importlib.invalidate_caches()
        return module

    return install


def status(name: str) -> PluginStatus:
    found = [s for s in load_plugins().status if s.name == name]
    assert len(found) == 1
    return found[0]


def test_a_sound_plugin(install: Install):
    install("sound", requires=("vlc-core>=0.1,<99", "vlc-core-extras>99", 'vlc-core>99; extra == "x"', "numpy"))
    loaded = load_plugins()
    assert PluginStatus("sound", "vlc-test-sound", "1.2", "ok") in loaded.status
    entry = loaded.registry.find("objective", "mine")
    assert (entry.long_name, entry.summary, entry.target) == ("sound/mine", "Mine", "somewhere:Mine")


def test_a_class_and_an_attribute_are_plugins_too(install: Install):
    code = """
from vlc_core import hookimpl
class Plugin:
    @hookimpl
    def vlc_register(self, registry):
        registry.dataset("a", "m:A")
class Space:
    plugin = Plugin()
"""
    install("class", code, target=":Plugin")
    install("instance", code, target=" : Space.plugin [extra]")
    assert status("class").status == "ok"
    assert status("instance").status == "ok"
    assert len([e for e in load_plugins().registry.entries("dataset") if e.name == "a"]) == 2


BROKEN: dict[str, tuple[str, str]] = {
    "import": ("import vlc_no_such_module", "importing it raised ModuleNotFoundError: No module named"),
    "exit": ("import sys; sys.exit('bye')", "importing it raised SystemExit: bye"),
    "error": ("1/0", "importing it raised ZeroDivisionError: division by zero"),
    "syntax": ("def", "importing it raised SyntaxError"),
    "recursion": ("def f(): f()\nf()", "importing it raised RecursionError"),
    "two lines": ("raise ValueError('a\\n  b')", "importing it raised ValueError: a b"),
    "no hook": ("def vlc_register(registry): pass", "implements no hook; mark its functions with @vlc_core.hookimpl"),
    "misspelt hook": (GOOD.replace("vlc_register", "vlc_registr"), "unknown hook 'vlc_registr'"),
    "wrong argument": (GOOD.replace("(registry)", "(registyr)"), "Argument(s) {'registyr'} are declared"),
    "register raises": (GOOD + "    raise KeyError('x')", "its vlc_register raised KeyError: 'x'"),
    "register exits": (GOOD + "    raise SystemExit", "its vlc_register raised SystemExit"),
    "registered twice": (
        GOOD + "    registry.objective('mine', 'a:B')",
        "objective 'mine' of plugin 'register_twice' is registered twice",
    ),
    "no import string": (GOOD + "    registry.dataset('d', 'a.B')", "'a.B' is not of the form 'module:Class'"),
    "a class for a string": (GOOD + "    registry.dataset('d', dict)", "is not of the form 'module:Class'"),
    "bad name": (GOOD + "    registry.dataset('d/e', 'a:B')", "a name is made of letters"),
    "prompts without a place": (GOOD + "    registry.prompts('p', ['a'])", "each with {} for the class name"),
    "prompts as one text": (GOOD + "    registry.prompts('p', 'a {}')", "must be a list of templates"),
    "recipe outside a package": (GOOD + "    registry.recipe('r', '/a.yaml')", "'package:path/in/it.yaml'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_listed_and_leaves_nothing_behind(install: Install, case: str):
    code, reason = BROKEN[case]
    name = "register_twice" if case == "registered twice" else "bad"
    install(name, code)
    install("sound", GOOD.replace("mine", "sound"))
    loaded = load_plugins()
    broken = next(s for s in loaded.status if s.name == name)
    assert (broken.status, broken.distribution, broken.version) == ("broken", f"vlc-test-{name}", "1.2")
    assert reason in broken.reason
    assert "\n" not in broken.reason
    assert broken.mend
    assert "Traceback" in broken.details
    assert all(e.plugin != name for e in loaded.registry.entries())
    assert loaded.manager.get_plugin(name) is None
    assert loaded.registry.find("objective", "sound")
    assert loaded.manager.check_pending() is None


@pytest.mark.parametrize("target", [":absent", ":a.b", ":nothing"])
def test_an_entry_point_to_nothing(install: Install, target: str):
    install("bad", GOOD + "nothing = None\n", target=target)
    assert status("bad").status == "broken"


def test_one_object_under_two_names(install: Install, site: Path):
    module = install("first")
    info = site / "vlc_test_first-1.2.dist-info" / "entry_points.txt"
    info.write_text(f"[vlc.plugins]\nfirst = {module}\nsecond = {module}\nthird\n")
    assert status("first").status == "ok"
    assert "is also the plugin 'first'" in status("second").reason
    assert status("third").status == "broken"


def test_ctrl_c_is_no_fault_of_the_plugin(install: Install):
    install("bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins()


@pytest.mark.parametrize(
    "requirement", ["vlc-core>=99", "vlc_core<0.0.1", "VLC-Core (==99.*)", "vlc-core>=99; python_version > '3'"]
)
def test_an_incompatible_plugin_is_not_imported(install: Install, requirement: str):
    module = install("new", "raise RuntimeError", requires=("numpy", requirement))
    found = status("new")
    assert found.status == "incompatible"
    assert "it requires vlc-core" in found.reason
    assert "is running" in found.reason
    assert "pip install --upgrade vlc-test-new" in found.mend
    assert module not in sys.modules


def test_a_requirement_that_cannot_be_read(install: Install):
    install("odd", requires=("vlc-core >> 3",))
    assert status("odd").status == "incompatible"
    assert "cannot be read" in status("odd").reason


def test_two_distributions_of_one_plugin_name(install: Install):
    modules = [install("same", distribution=d) for d in ("vlc-test-a", "vlc-test-b")]
    found = [s for s in load_plugins().status if s.name == "same"]
    assert [(s.distribution, s.status) for s in found] == [("vlc-test-a", "conflict"), ("vlc-test-b", "conflict")]
    assert all(s.reason == "vlc-test-a and vlc-test-b both call a plugin 'same'" for s in found)
    assert not set(modules) & set(sys.modules)


def test_a_distribution_that_lies_on_the_path_twice_counts_once(install: Install):
    install("same", version="2.0", distribution="vlc-test-x")
    install("same", version="1.0", distribution="vlc.Test_X")
    assert [s.status for s in load_plugins().status if s.name == "same"] == ["ok"]


def test_two_plugins_of_one_component_name(install: Install):
    install("one")
    install("two")
    registry = load_plugins().registry
    assert [e.long_name for e in registry.entries("objective") if e.name == "mine"] == ["one/mine", "two/mine"]


def test_restriction(install: Install, monkeypatch: pytest.MonkeyPatch):
    kept, left = install("kept"), install("left", "1/0")
    monkeypatch.setenv("VLC_PLUGINS", " kept ,gone,")
    loaded = load_plugins()
    states = {s.name: s.status for s in loaded.status}
    assert states["kept"] == "ok"
    assert states["left"] == "disabled"
    assert states["gone"] == "missing"
    assert kept in sys.modules
    assert left not in sys.modules
    assert {e.plugin for e in loaded.registry.entries()} == {"kept"}
    monkeypatch.setenv("VLC_PLUGINS", "")
    assert {s.status for s in load_plugins().status} == {"disabled"}


def test_names_and_order(install: Install):
    install("zeta")
    install("Alpha")
    install("bad name")
    states = {s.name: s.status for s in load_plugins().status}
    assert list(states) == sorted(states)
    assert states["bad name"] == "broken"


def test_metadata_of_others_that_is_broken(install: Install, site: Path):
    install("sound")
    for number, content in enumerate(
        [b"[vlc.plugins\nno equals sign", b"\xff\xfe", b"[console_scripts]\nbroken line\n"]
    ):
        info = site / f"other{number}-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_bytes(content)
    assert status("sound").status == "ok"


def test_what_is_not_loaded_is_told_to_who_asks_for_it(install: Install, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(CATALOGUE, "hazy", {"objective": ("haze",)})
    install("hazy", "import vlc_no_such_module")
    with pytest.raises(
        Exception, match=r"'haze': plugin 'hazy' is not loaded.*broken: importing it raised ModuleNotFoundError"
    ):
        load_plugins().registry.find("objective", "haze")
    with pytest.raises(Exception, match="'hazy/new': plugin 'hazy' is not loaded"):
        load_plugins().registry.find("objective", "hazy/new")


HOOKS = """
from vlc_core import hookimpl
from vlc_core.errors import Diverged

calls = []

@hookimpl
def vlc_register(registry):
    registry.objective("NAME", "somewhere:Mine")

@hookimpl
def vlc_run_end(outcome):
    calls.append(outcome)
    RAISE
"""


def test_a_hook_that_raises_silences_its_plugin_and_no_other(install: Install):
    a = install("a", HOOKS.replace("NAME", "a").replace("RAISE", "raise OSError('offline')"))
    b = install("b", HOOKS.replace("NAME", "b").replace("RAISE", ""))
    loaded = load_plugins()
    silenced = loaded.call("vlc_run_end", run=None, outcome=1)
    assert [(s.name, s.status, s.reason) for s in silenced] == [
        ("a", "broken", "its vlc_run_end raised OSError: offline")
    ]
    assert loaded.call("vlc_run_end", run=None, outcome=2) == []
    assert sys.modules[a].calls == [1]
    assert sys.modules[b].calls == [1, 2]
    assert next(s for s in loaded.status if s.name == "a").status == "broken"
    assert loaded.registry.find("objective", "a"), "a run may still be using it"


def test_errors_of_vlc_itself_end_the_run(install: Install):
    install("a", HOOKS.replace("NAME", "a").replace("RAISE", "raise Diverged('enough')"))
    with pytest.raises(Diverged, match="enough"):
        load_plugins().call("vlc_run_end", run=None, outcome=1)


def test_what_is_registered_by_hand_is_called_too_and_not_guarded(site: Path):
    class Watcher:
        seen = 0

        @hookimpl
        def vlc_step_end(self, metrics):
            self.seen += metrics["loss"]
            if self.seen > 2:
                raise RuntimeError("a fault of our own")

    loaded, watcher = load_plugins(), Watcher()
    loaded.manager.register(watcher, name="watcher")
    loaded.call("vlc_step_end", run=None, metrics={"loss": 2})
    assert watcher.seen == 2
    with pytest.raises(RuntimeError, match="of our own"):
        loaded.call("vlc_step_end", run=None, metrics={"loss": 2})


def test_the_plugins_of_a_process_are_loaded_once():
    assert plugins() is plugins()


def test_discovery_imports_nothing(install: Install):
    module = install("a", "1/0")
    assert [o.name for o in discover() if o.distribution == "vlc-test-a"] == ["a"]
    assert module not in sys.modules
