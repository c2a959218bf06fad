"""The kinds of component, and one component that a plugin offers by an import string."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlc_core.errors import RecipeError

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


def spoken(kind: str) -> str:
    """The kind as words: ``"image encoder"``."""
    return "prompt set" if kind == "prompts" else kind.replace("_", " ")


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
