"""Which installed distributions offer plugins: metadata only, nothing of theirs is imported."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from typing import Any

GROUP = "vlc.plugins"
CORE = "vlc-core"


@dataclass(frozen=True, slots=True)
class Offer:
    """One entry point of the plugin group.

    Attributes:
        name: The plugin's name, the left side of the entry point.
        target: The right side: ``"module"`` or ``"module:attribute"``.
        distribution: Of which distribution, by its name.
        version: The distribution's version.
        requires: The distribution's requirements, as written in its metadata.
    """

    name: str
    target: str
    distribution: str
    version: str
    requires: tuple[str, ...] = ()

    def load(self) -> Any:
        """Imports the plugin object; whatever its code raises comes out."""
        module, _, attribute = self.target.partition(":")
        value: Any = importlib.import_module(module.strip())
        for part in attribute.split("[")[0].strip().split(".") if attribute else ():
            value = getattr(value, part)
        return value

    def refuses(self) -> str:
        """Why the distribution's requirement excludes the running vlc-core; empty where it does not."""
        needed = [line for line in self.requires if line.lower().replace("_", "-").startswith(CORE)]
        if not needed:
            return ""
        from packaging.requirements import InvalidRequirement, Requirement

        running = installed_version(CORE)
        for line in needed:
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                return f"its requirement {line!r} cannot be read"
            if requirement.name.lower().replace("_", "-") != CORE or running is None:
                continue
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            if not requirement.specifier.contains(running, prereleases=True):
                return f"it requires {CORE}{requirement.specifier} and {running} is running"
        return ""


def installed_version(package: str) -> str | None:
    """The version of a distribution; None where it is not installed, as a checkout that is only on the path."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def discover() -> list[Offer]:
    """Every plugin on ``sys.path``, sorted by name and distribution.

    Of a distribution found twice the first one counts, as it is the one that imports see. A distribution
    whose metadata cannot be read is passed over: it is not ours to report.
    """
    found: dict[tuple[str, str], Offer] = {}
    shadowed: set[str] = set()
    for dist in distributions():
        text = _entry_points(dist)
        if GROUP not in text:
            continue
        name = str(dist.metadata["Name"] or "unnamed")
        folded = name.lower().replace("_", "-").replace(".", "-")
        if folded in shadowed:
            continue
        shadowed.add(folded)
        for plugin, target in _of_group(text):
            found[plugin, folded] = Offer(
                plugin, target, name, str(dist.metadata["Version"] or "0"), tuple(dist.requires or ())
            )
    return [found[key] for key in sorted(found)]


def _entry_points(dist: Distribution) -> str:
    try:
        return dist.read_text("entry_points.txt") or ""
    except (OSError, UnicodeDecodeError):
        return ""


def _of_group(text: str) -> Iterator[tuple[str, str]]:
    """The ``name = target`` lines of our section; a line without ``=`` is a target that cannot be loaded."""
    inside = False
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("["):
            inside = line == f"[{GROUP}]"
        elif inside and line and not line.startswith(("#", ";")):
            name, _, target = line.partition("=")
            yield name.strip(), target.strip()
