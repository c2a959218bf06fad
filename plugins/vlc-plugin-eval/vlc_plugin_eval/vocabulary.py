"""Lists of concepts in files."""

from __future__ import annotations

import json
from collections.abc import Iterable

import fsspec

from vlc_core.errors import DataError


def fold(concept: str) -> str:
    """What two spellings of a concept have in common: neither case, underscores nor spaces around it count."""
    return " ".join(concept.replace("_", " ").casefold().split())


def distinct(concepts: Iterable[str]) -> dict[str, str]:
    """Folded concepts to the first spelling of each, in the order of their first appearance."""
    found: dict[str, str] = {}
    for concept in concepts:
        found.setdefault(fold(concept), concept)
    return found


def read_vocabulary(path: str) -> dict[str, str]:
    """The :func:`distinct` concepts of a file with one on each line, or with a list of them in JSON.

    Raises:
        DataError: There is no such file, or it holds no concepts.
    """
    try:
        with fsspec.open(path, "r", encoding="utf-8") as file:
            text: str = file.read()
        listed = json.loads(text) if text.lstrip().startswith("[") else text.splitlines()
    except FileNotFoundError as error:
        raise DataError(
            f"there is no vocabulary {path}: give a file with one concept on each line, or a list"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"the vocabulary {path} cannot be read: {error}") from error
    wrong = [concept for concept in listed if not isinstance(concept, str)]
    if wrong:
        raise DataError(f"the vocabulary {path} is to be a list of texts, and has {wrong[0]!r} in it")
    concepts = [concept.strip() for concept in listed if concept.strip()]
    if not concepts:
        raise DataError(f"the vocabulary {path} is empty: write one concept on each line")
    return distinct(concepts)
