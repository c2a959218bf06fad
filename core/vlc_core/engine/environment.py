"""What a run runs with: data, versions, machine; and whether a run that goes on finds what it began with."""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlc_core.errors import DataError
from vlc_core.plugins.discovery import installed_version

if TYPE_CHECKING:
    from vlc_core.assemble import Data
    from vlc_core.plugins import Plugins

log = logging.getLogger("vlc")

_PACKAGES = ("vlc-core", "torch", "deepspeed", "numpy", "pillow", "tokenizers", "safetensors", "transformers")

_TELLS_NOTHING = (OSError, ValueError, TypeError, AttributeError, KeyError)
"""What a file that is missing, broken or of an earlier version meets its reader with."""

Environment = Mapping[str, Any]


def environment(plugins: Plugins, data: Data, *, world: int, device: str) -> Environment:
    """What ``environment.json`` of a run folder holds."""
    return {
        "packages": {name: installed_version(name) for name in _PACKAGES},
        "plugins": {status.name: status.version for status in plugins.status},
        "data": {source.name: _size(source.dataset) for source in data.sources},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "device": device,
        "world": world,
        "command": sys.argv,
    }


def trained_classes(began: Path) -> list[str]:
    """The names of the classes that a run was trained on, of all its sources.

    Args:
        began: The ``environment.json`` of the run; one that is missing, broken or of an earlier version names none.
    """
    try:
        sources = json.loads(began.read_bytes())["data"].values()
        return [str(name) for source in sources for name in source.get("class_names", ())]
    except _TELLS_NOTHING:
        return []


def compare_environments(began: Path, now: Environment, *, allow: bool) -> None:
    """Looks at what a run had before and has now, and warns of other versions.

    Args:
        began: The ``environment.json`` of the run; one that is missing or broken tells nothing.
        now: Of today.
        allow: Whether the run goes on with other data, of which it then warns.

    Raises:
        DataError: A source has other samples or classes, so that the run would draw others than it had drawn.
    """
    try:
        before = json.loads(began.read_bytes())
        versions = list(_other_versions(before, now))
        data = list(_other_data(before, now))
    except _TELLS_NOTHING:
        return
    if data and not allow:
        raise DataError(
            f"{data[0]}, so the run would draw other samples than those it began with: put the data back, start in "
            f"another output folder, or go on all the same by --allow-changes"
        )
    for sentence in [*data, *versions]:
        log.warning("going on although %s", sentence)


def _size(dataset: Any) -> dict[str, Any]:
    """How many samples, and the classes' names in their order."""
    return {"samples": len(dataset), "class_names": list(dataset.classes or ())}


def _other_data(before: Environment, now: Environment) -> Iterator[str]:
    for name, had in before.get("data", {}).items():
        has = now["data"].get(name, had)  # of another name: the recipes have been compared
        old, new = had["class_names"], has["class_names"]
        if has["samples"] != had["samples"]:
            yield f"data.train.{name} has {has['samples']:,} samples and had {had['samples']:,}"
        if len(new) != len(old):
            yield f"data.train.{name} has {len(new):,} classes and had {len(old):,}"
        elif new != old:
            yield f"the classes of data.train.{name} have other names, or another order, than they had"


def _other_versions(before: Environment, now: Environment) -> Iterator[str]:
    old = {**before["packages"], **_plugins(before), "python": before["python"]}
    new = {**now["packages"], **_plugins(now), "python": now["python"]}
    changed = [f"{name} is {new[name]} and was {old[name]}" for name in old if name in new and new[name] != old[name]]
    if changed:
        yield ", ".join(changed)


def _plugins(of: Environment) -> dict[str, str]:
    return {f"plugin {name}": found for name, found in of["plugins"].items()}
