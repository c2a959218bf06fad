"""Components by kind and name, each an import string until somebody loads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vlc_core.errors import AmbiguousComponent, UnknownComponent
from vlc_core.nearest import nearest
from vlc_core.registry.catalogue import distribution, offering
from vlc_core.registry.entry import KINDS, NAME, Entry, spoken

__all__ = ["KINDS", "NAME", "Entry", "Registrar", "Registry", "spoken"]

_IMPORT_STRING = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_RESOURCE = re.compile(r"[A-Za-z_][\w.]*:[^:]+\.ya?ml")


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
            raise AmbiguousComponent(f"{name!r} is offered as {spoken(kind)} by several plugins; write {long_names}")
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
        others = sorted({e.kind for e in self._walk(None) if name in (e.name, e.long_name)})
        if others:
            return f"{what}; a component of that name is of kind {' and '.join(map(spoken, others))}"
        return f"{what}{self._alternatives(kind, name)}"

    def _alternatives(self, kind: str, name: str) -> str:
        prefix, _, short = name.rpartition("/")
        known = {e.name for e in self._walk(kind)}
        close = nearest(short, known)
        if close and prefix:
            long_names = [e.long_name for e in self.entries(kind) if e.name == close]
            close = nearest(name, long_names) or long_names[0]
        hint = f"; did you mean {close!r}?" if close else ";"
        offered = f"known are {', '.join(sorted(known))}" if known else "no loaded plugin offers any"
        absent = ", ".join(sorted(self.unavailable))
        return f"{hint} {offered}" + (f"; not loaded are the plugins {absent} (see vlc list-plugins)" if absent else "")


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
            raise ValueError(f"prompts {name!r} must be a list of templates, each with {{}} for the class name")
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
