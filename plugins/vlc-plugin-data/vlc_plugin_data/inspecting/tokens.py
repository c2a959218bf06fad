"""How long captions are to a tokenizer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import final

from vlc_core import RecipeError, Tokenizer, options
from vlc_core.options.use import Use
from vlc_core.recipe.tree import Mark
from vlc_core.recipe.yaml import parse
from vlc_core.registry import Registry

_UNCUT = 1_000_000
_IN_RUNS = ("", "model")
"""Where a model folder, or a tokenizer's own, and a run keep it."""


@final
class TokenCounter:
    """Counts tokens, those before and after each text among them, as an encoder would see it uncut."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, texts: Sequence[str]) -> list[int]:
        counts: list[int] = self._tokenizer.encode(texts, _UNCUT).mask.sum(dim=1).tolist()
        return counts


def token_counter(name: str, registry: Registry, captions: Callable[[], Iterable[str]]) -> TokenCounter:
    """The counter of the tokenizer that ``name`` means.

    Args:
        name: A run or a file or folder of a tokenizer; or a tokenizer as in a recipe, ``{use: …}`` or its name.
        registry: Where tokenizers are found.
        captions: What a tokenizer that is not trained yet is trained on.

    Raises:
        RecipeError: No tokenizer of that name, or options that it refuses.
        DataError: A file that holds none.
    """
    spec = _spec(name)
    return TokenCounter(options.build(registry, "tokenizer", spec, where="--tokenizer").make(captions))


def _spec(name: str) -> Use:
    if name.lstrip().startswith("{"):
        node = parse(name, Mark("--tokenizer", 0, Path.cwd()))
        plain = None if node is None else node.plain()
        if not isinstance(plain, dict) or not isinstance(plain.get("use"), str):
            raise RecipeError(f"--tokenizer {name} names none: write it as in a recipe, {{use: bpe, size: 8000}}")
        return Use.model_validate(plain)
    if os.path.exists(name):
        return Use.model_validate({"use": "file", "path": _home(Path(name))})
    return Use(use=name)


def _home(path: Path) -> str:
    homes = (path / inner for inner in _IN_RUNS)
    return str(next((home for home in homes if (home / "tokenizer.json").is_file()), path))
