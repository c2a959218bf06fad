"""Learning a tokenizer from a source of texts, and putting it where recipes find it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlc_core import options
from vlc_core.captions.source import Captions, open_captions
from vlc_core.captions.summary import Reservoir, Summary, summarise
from vlc_core.errors import DataError, RecipeError, StorageError
from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.options.use import Use
from vlc_core.progress import track
from vlc_core.registry import Registry
from vlc_core.tokenizer import BACKEND_FILE, VOCABULARY_FILE, Tokenizer

Waiting = Callable[[str], AbstractContextManager[None]]
"""Shows a sentence for as long as its context lasts."""

FILE = ".json"


@dataclass(frozen=True, slots=True)
class Learnt:
    """A tokenizer, and what it learnt from.

    Attributes:
        tokenizer: It.
        kind: Of tokenizer.
        size: The most ids that were asked for; None for a kind that has no such option.
        samples: Of the source.
        classes: Of the source; their names are among the texts.
        empty: How many of them have no text, or could not be read.
        texts: How many texts there were.
        summary: What it makes of them; of 20,000 of them where there are more.
    """

    tokenizer: Tokenizer
    kind: str
    size: int | None
    samples: int
    classes: int
    empty: int
    texts: int
    summary: Summary


def learn(
    source: str,
    kind: str,
    spec: Mapping[str, Any],
    registry: Registry,
    *,
    sets: Sequence[str] = (),
    waiting: Waiting = lambda _: nullcontext(),
) -> Learnt:
    """Learns a tokenizer of ``kind`` with the options ``spec`` from what ``source`` means to :func:`open_captions`.

    Raises:
        RecipeError: ``kind`` learns nothing, or options are wrong.
        DataError: The source is missing, or has no text.
    """
    teacher = find_teacher(kind, spec, registry)
    captions = open_captions(source, registry, sets=sets)
    with _Reading(captions, waiting) as reading:
        try:
            tokenizer = teacher.make(reading.texts)
        except DataError as error:
            if reading.seen.texts or not reading.over:
                raise
            raise DataError(
                f"{source} has no text in {captions.samples:,} samples or lines; name a source of captions or classes."
            ) from error
    size: int | None = getattr(teacher, "size", None)
    summary = summarise(tokenizer, reading.seen.texts)
    return Learnt(
        tokenizer, kind, size, captions.samples, captions.classes, reading.empty, reading.seen.passed, summary
    )


def find_teacher(kind: str, spec: Mapping[str, Any], registry: Registry) -> TokenizerSource:
    """The tokenizer source of that name, made with its options.

    Raises:
        RecipeError: There is none, it reads no captions, or its options are wrong.
    """
    component = registry.find("tokenizer", kind).load()
    if not component.learns:
        able = ", ".join(entry.name for entry in registry.entries("tokenizer") if _learns(entry.load))
        raise RecipeError(f"--kind {kind}: a tokenizer of this kind exists already and learns nothing; choose {able}.")
    made: TokenizerSource = options.build(registry, "tokenizer", Use(use=kind, **spec), where=f"--kind {kind}")
    return made


def check_output(output: Path, *, overwrite: bool) -> None:
    """Looks whether a tokenizer can be put at ``output``, before anything is learnt.

    Raises:
        StorageError: There is one, or something else stands there, or it cannot be written.
    """
    files = [output] if _is_file(output) else [output / BACKEND_FILE, output / VOCABULARY_FILE]
    if _is_file(output) and output.is_dir():
        raise StorageError(f"{output} is a folder: name a file in it, or a folder whose name does not end in {FILE}.")
    if not _is_file(output) and output.exists() and not output.is_dir():
        raise StorageError(f"{output} is a file: name a folder, or a file that ends in {FILE}.")
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        raise StorageError(
            f"{there[0]} is there already: add --overwrite to replace it, or name another place with -o."
        )
    home = next(parent for parent in (output, *output.absolute().parents) if parent.is_dir())
    if not os.access(home, os.W_OK):
        raise StorageError(f"{home} cannot be written: name another place with -o.")


def write(tokenizer: Tokenizer, output: Path) -> None:
    """Writes ``tokenizer`` as a folder, or as a ``tokenizer.json`` alone where ``output`` ends in .json.

    Raises:
        StorageError: It cannot be written.
    """
    if not _is_file(output):
        tokenizer.save(output)
        return
    if tokenizer.vocabulary.start is None:
        raise StorageError(f"{output}: a file alone does not tell that texts have no start and end: name a folder.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(tokenizer.to_json(), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"Cannot write {output}: {error}; free space or choose another file.") from error


class _Reading:
    """Hands texts to a tokenizer that learns, shows how far that is, and keeps some of them."""

    def __init__(self, captions: Captions, waiting: Waiting) -> None:
        self.seen = Reservoir()
        self.empty = 0
        self.over = False
        self._captions, self._waiting = captions, waiting
        self._shown = ExitStack()

    def __enter__(self) -> _Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def texts(self) -> Iterator[str]:
        """The texts; when they are over, the tokenizer works on them, and that is shown."""
        self.seen, self.empty = Reservoir(), 0
        for found in track(self._captions.walk(), "reading texts", self._captions.samples):
            there = [text for text in found if text.strip()]
            self.empty += not there
            for text in there:
                self.seen.add(text)
                yield text
        self.over = True
        self._shown.enter_context(self._waiting("learning …"))


def _learns(load: Callable[[], Any]) -> bool:
    try:
        return bool(load().learns)
    except RecipeError:
        return False  # vlc list-plugins tells what is wrong with it


def _is_file(output: Path) -> bool:
    return output.suffix == FILE
