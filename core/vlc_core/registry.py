"""Components by kind and name, each an import string until somebody loads it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlc_core.catalogue import distribution, offering
from vlc_core.errors import AmbiguousComponent, RecipeError, UnknownComponent
from vlc_core.nearest import nearest

# kind → the class that its components derive from, where they are classes
INTERFACES: dict[str, str | None] = {
    "image_encoder": "vlc_core.interfaces.encoder:ImageEncoder",
    "text_encoder": "vlc_core.interfaces.encoder:TextEncoder",
    "fusion_encoder": "vlc_core.interfaces.encoder:FusionEncoder",
    "tokenizer": "vlc_core.interfaces.tokenizer:TokenizerSource",
    "objective": "vlc_core.interfaces.objective:Objective",
    "dataset": "vlc_core.interfaces.dataset:Dataset",
    "sampler": "vlc_core.interfaces.sampler:Sampler",
    "transform": "vlc_core.interfaces.transform:Transform",
    "evaluator": "vlc_core.interfaces.evaluator:Evaluator",
    "prompts": None,
    "recipe": None,
}
KINDS = tuple(INTERFACES)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IMPORT_STRING = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_RESOURCE = re.compile(r"[A-Za-z_][\w.]*:[^:]+\.ya?ml")


@dataclass(frozen=True, slots=True)
class Entry:
    """One component that a plugin offers.

    Attributes:
        kind: One of :data:`KINDS`.
        name: Its short name.
        plugin: The name of the plugin that offers it.
        target: ``"module:Class"``; for prompts the templates themselves; for a recipe
            ``"package:path/in/it.yaml"``.
        summary: One line for people.
        source: The paper or place that it comes from.
    """

    kind: str
    name: str
    plugin: str
    target: str | tuple[str, ...]
    summary: str = ""
    source: str = ""

    @property
    def long_name(self) -> str:
        """``plugin/name``, which is never ambiguous."""
        return f"{self.plugin}/{self.name}"

    def load(self) -> Any:
        """The class; for prompts the tuple of templates, for a recipe the path of its file.

        Raises:
            RecipeError: The plugin's module cannot be imported, or offers something that is not of this kind.
        """
        if isinstance(self.target, tuple):
            return self.target
        try:
            return _resource(self.target) if self.kind == "recipe" else self._load_class(self.target)
        except RecipeError:
            raise
        except (Exception, SystemExit) as error:
            raise RecipeError(
                f"{self.describe()} cannot be loaded from {self.target}: {type(error).__name__}: {error};"
                f" repair or reinstall the plugin"
            ) from error

    def describe(self) -> str:
        """For messages: kind, name and plugin."""
        return f"{spoken(self.kind)} {self.name!r} of plugin {self.plugin!r}"

    def _load_class(self, target: str) -> Any:
        loaded = _attribute(target)
        interface = INTERFACES[self.kind]
        assert interface is not None
        if not isinstance(loaded, type):
            raise RecipeError(f"{self.describe()}: {target} is not a class")
        base = _attribute(interface)
        if not issubclass(loaded, base):
            raise RecipeError(f"{self.describe()}: {target} does not derive from vlc_core.{base.__name__}")
        missing = sorted(getattr(loaded, "__abstractmethods__", ()))
        if missing:
            raise RecipeError(f"{self.describe()}: {target} does not implement {', '.join(missing)}")
        return loaded


@dataclass(slots=True)
class Registry:
    """Every component of the loaded plugins.

    Attributes:
        unavailable: Plugins that are installed but not loaded, with the reason in one sentence.
    """

    unavailable: dict[str, str] = field(default_factory=dict)
    _entries: dict[str, dict[str, dict[str, Entry]]] = field(default_factory=dict)  # kind → name → plugin

    def add(self, entry: Entry) -> None:
        """Takes one more component.

        Raises:
            ValueError: The plugin has already offered one of this kind and name.
        """
        of_name = self._entries.setdefault(entry.kind, {}).setdefault(entry.name, {})
        if entry.plugin in of_name:
            raise ValueError(f"{entry.describe()} is registered twice")
        of_name[entry.plugin] = entry

    def remove(self, plugin: str) -> None:
        """Forgets all that ``plugin`` offered."""
        for names in self._entries.values():
            for name in [n for n, by_plugin in names.items() if plugin in by_plugin]:
                del names[name][plugin]
                if not names[name]:
                    del names[name]

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Components of one kind or of all, sorted by kind, name and plugin."""
        return sorted(self._walk(kind), key=lambda e: (KINDS.index(e.kind), e.name, e.plugin))

    def _walk(self, kind: str | None) -> Iterator[Entry]:
        for k in KINDS if kind is None else (kind,):
            for by_plugin in self._entries.get(k, {}).values():
                yield from by_plugin.values()

    def find(self, kind: str, name: str) -> Entry:
        """The component of ``kind`` called ``name``, be it ``"cma"`` or ``"tcl/cma"``.

        Raises:
            UnknownComponent: No loaded plugin offers it; the message says what comes nearest or to install.
            AmbiguousComponent: Several plugins offer that short name; the message prints the long ones.
        """
        plugin, _, short = name.rpartition("/")
        by_plugin = self._entries.get(kind, {}).get(short, {})
        found = [e for e in by_plugin.values() if plugin in ("", e.plugin)]
        if len(found) == 1:
            return found[0]
        if found:
            long_names = " or ".join(repr(e.long_name) for e in sorted(found, key=lambda e: e.plugin))
            raise AmbiguousComponent(
                f"{name!r} is offered as {spoken(kind)} by several plugins; write {long_names}"
            )
        raise UnknownComponent(self._unknown(kind, name))

    def _unknown(self, kind: str, name: str) -> str:
        """What to do about a name that nothing answers to, the likeliest cure first."""
        what = f"no {spoken(kind)} is called {name!r}"
        offering_it = offering(kind, name)
        for plugin in [*offering_it, name.rpartition("/")[0]]:
            if plugin in self.unavailable:
                return f"{what}: plugin {plugin!r} is not loaded ({self.unavailable[plugin]})"
        loaded = {e.plugin for e in self._walk(None)}
        if offering_it and offering_it[0] not in loaded:
            return f"{what} yet: pip install {distribution(offering_it[0])}"
        return f"{what}{self._alternatives(kind, name)}"

    def _alternatives(self, kind: str, name: str) -> str:
        prefix, _, short = name.rpartition("/")
        known = {e.name for e in self._walk(kind)}
        long_names = {e.long_name for e in self._walk(kind)} if prefix else set()
        close = nearest(name, known | long_names) or nearest(short, known)
        hint = f"; did you mean {close!r}?" if close else ";"
        offered = f"known are {', '.join(sorted(known))}" if known else "no loaded plugin offers any"
        absent = ", ".join(sorted(self.unavailable))
        return f"{hint} {offered}" + (
            f"; not loaded are the plugins {absent} (see vlc list-plugins)" if absent else ""
        )


class Registrar:
    """What a plugin's ``vlc_register`` is given: it names components in the plugin's own name."""

    def __init__(self, registry: Registry, plugin: str) -> None:
        self._registry = registry
        self._plugin = plugin

    def image_encoder(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a class derived from ``vlc_core.ImageEncoder``."""
        self._class("image_encoder", name, target, summary, source)

    def text_encoder(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a class derived from ``vlc_core.TextEncoder``."""
        self._class("text_encoder", name, target, summary, source)

    def fusion_encoder(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a class derived from ``vlc_core.FusionEncoder``."""
        self._class("fusion_encoder", name, target, summary, source)

    def tokenizer(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a class derived from ``vlc_core.TokenizerSource``."""
        self._class("tokenizer", name, target, summary, source)

    def objective(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a class derived from ``vlc_core.Objective``."""
        self._class("objective", name, target, summary, source)

    def dataset(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a class derived from ``vlc_core.Dataset``."""
        self._class("dataset", name, target, summary, source)

    def sampler(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a class derived from ``vlc_core.Sampler``."""
        self._class("sampler", name, target, summary, source)

    def transform(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a class derived from ``vlc_core.Transform``."""
        self._class("transform", name, target, summary, source)

    def evaluator(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a class derived from ``vlc_core.Evaluator``."""
        self._class("evaluator", name, target, summary, source)

    def prompts(self, name: str, target: Sequence[str], *, summary: str = "", source: str = "") -> None:
        """Offers a set of prompt templates, each with ``{}`` where the class name goes."""
        if isinstance(target, str) or not target or any("{}" not in template for template in target):
            raise ValueError(
                f"prompts {name!r} must be a list of templates, each with {{}} for the class name"
            )
        self._add("prompts", name, tuple(target), summary, source)

    def recipe(self, name: str, target: str, *, summary: str = "", source: str = "") -> None:
        """Offers a preset recipe that ships inside a package: ``"package:path/in/it.yaml"``."""
        if not _RESOURCE.fullmatch(target):
            raise ValueError(f"recipe {name!r}: {target!r} is not of the form 'package:path/in/it.yaml'")
        self._add("recipe", name, target, summary, source)

    def _class(self, kind: str, name: str, target: str, summary: str, source: str) -> None:
        if not isinstance(target, str) or not _IMPORT_STRING.fullmatch(target):
            raise ValueError(f"{spoken(kind)} {name!r}: {target!r} is not of the form 'module:Class'")
        self._add(kind, name, target, summary, source)

    def _add(self, kind: str, name: str, target: str | tuple[str, ...], summary: str, source: str) -> None:
        if not NAME.fullmatch(name):
            raise ValueError(f"{spoken(kind)} {name!r}: a name is made of letters, digits, '-', '_' and '.'")
        self._registry.add(Entry(kind, name, self._plugin, target, summary, source))


def spoken(kind: str) -> str:
    """The kind as words: ``"image encoder"``."""
    return kind.replace("_", " ")


def _attribute(target: str) -> Any:
    module, _, name = target.partition(":")
    value: Any = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _resource(target: str) -> Path:
    from importlib.util import find_spec

    package, _, inside = target.partition(":")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No package named {package!r}")
    path = Path(next(iter(spec.submodule_search_locations)), inside)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    return path
