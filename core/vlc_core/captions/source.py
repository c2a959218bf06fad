"""What somebody calls a source of texts: a text file, or whatever is data: a recipe, a table, a folder, a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlc_core.captions.lines import SUFFIXES as LINES
from vlc_core.captions.lines import count_lines, read_lines
from vlc_core.errors import DataError, RecipeError
from vlc_core.loading.sources import Texts, TrainingSource, walk_texts
from vlc_core.naming import SourceSpec, find_sources
from vlc_core.options.use import Use
from vlc_core.registry import Registry


@dataclass(frozen=True, slots=True)
class Captions:
    """The texts of a source.

    Attributes:
        name: What messages call it.
        samples: How many samples it has, or lines.
        walk: Their texts, sample by sample; class names, through their templates, come before and are no sample of
            their own. A sample that cannot be read has no texts.
        classes: How many class names there are.
    """

    name: str
    samples: int
    walk: Callable[[], Iterator[Texts]]
    classes: int = 0


def open_captions(source: str, registry: Registry, *, sets: Sequence[str] = ()) -> Captions:
    """Opens what ``source`` means.

    Args:
        source: A text file with a text a line; or whatever :func:`vlc_core.naming.find_sources` understands. Of a
            recipe the training data is read; a table needs no images.
        registry: Where datasets and presets are found.
        sets: ``KEY=VALUE`` changes of the recipe, or options of the dataset.

    Raises:
        RecipeError: ``source`` is none of these, or options are wrong.
        DataError: What it names is missing or cannot be read.
    """
    path = Path(source).expanduser()
    if source.lower().endswith(LINES):
        if sets:
            raise RecipeError(f"--set {sets[0]}: a text file has no options; leave it out.")
        return Captions(source, count_lines(path), lambda: ((line,) for line in read_lines(path)))
    sources = [_opened(spec, registry) for spec in find_sources(source, registry, sets=sets)]
    samples = sum(len(opened.dataset) for opened in sources)
    classes = sum(len(opened.dataset.classes or ()) for opened in sources)
    return Captions(source, samples, lambda: walk_texts(sources), classes)


def _opened(spec: SourceSpec, registry: Registry) -> TrainingSource:
    if spec.use.use != "manifest" or spec.where:
        return spec.opened(registry)
    opened = _table(spec, registry)
    if {"text", "label"}.isdisjoint(spec.use.options):
        raise DataError(
            f"{spec.name} has no column whose name tells that it holds captions: name yours, as in --set text=COLUMN."
        )
    return opened


def _table(spec: SourceSpec, registry: Registry) -> TrainingSource:
    """A table; one that has no images is read for its texts alone."""
    try:
        return spec.opened(registry)
    except DataError as refused:
        text = spec.use.options.get("text")
        if text is None or "image" in spec.use.options:
            raise
        bare = Use(use="manifest", **(spec.use.options | {"image": text, "group": False}))
        try:
            return replace(spec, use=bare).opened(registry)
        except DataError:
            raise refused from None
