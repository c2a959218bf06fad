"""Whether the texts of a query are captions that the model was trained on."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlc_core.captions.source import Captions, open_captions
from vlc_core.errors import RecipeError
from vlc_core.registry import Registry

_ENDS = " .,;:!?…\"'“”‘’"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the training captions know of a text.

    Attributes:
        text: It.
        captions: How many were compared.
        exactly: How many are this very text.
        alike: How many differ from it at most by case, blanks, and punctuation at the ends.
    """

    text: str
    captions: int
    exactly: int
    alike: int

    def __str__(self) -> str:
        if self.alike == 0:
            return f"{self.text!r} is none of {self.captions:,} training captions"
        same = "" if self.exactly == self.alike else f", {self.exactly:,} to the letter"
        return f"{self.text!r} is {self.alike:,} of {self.captions:,} training captions{same}"


def training_captions(run: Path, sources: Sequence[str], registry: Registry) -> list[Captions]:
    """The captions to compare with.

    Args:
        run: A run folder; the training data of its recipe is read where ``sources`` is empty.
        sources: Recipes, tables, tars or text files with captions.
        registry: Where datasets are found.

    Raises:
        RecipeError: The run has no recipe, or a source cannot be understood.
        DataError: The data is missing.
    """
    recipe = run / "recipe.yaml"
    if not sources and not recipe.is_file():
        raise RecipeError(f"{run} has no recipe.yaml that tells its training captions: name them with --captions")
    return [open_captions(source, registry) for source in sources or [str(recipe)]]


def find_seen(texts: Sequence[str], captions: Sequence[Captions], progress: Callable[[int, int], None]) -> list[Seen]:
    """What ``captions`` know of each of ``texts``."""
    total, done, compared = sum(one.samples for one in captions), 0, 0
    exactly, alike = dict.fromkeys(texts, 0), dict.fromkeys(map(fold, texts), 0)
    for one in captions:
        for of_sample in one.walk():
            for caption in of_sample:
                compared += 1
                if (folded := fold(caption)) in alike:
                    alike[folded] += 1
                    if caption in exactly:
                        exactly[caption] += 1
            done += 1
            progress(min(done, total), total)
    return [Seen(text, compared, exactly[text], alike[fold(text)]) for text in dict.fromkeys(texts)]


def fold(text: str) -> str:
    """``text`` without what hardly tells it from another: case, forms of letters, blanks, punctuation at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_ENDS)
