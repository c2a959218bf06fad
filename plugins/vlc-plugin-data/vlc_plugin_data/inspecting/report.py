"""What an inspection found out about one source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from vlc_plugin_data.inspecting.shards import ShardCounts
from vlc_plugin_data.inspecting.spread import Bar, Spread


class Broken(NamedTuple):
    """``sample``, by its index, which training would pass over; ``key`` is empty where it could not be read at all."""

    sample: int
    key: str
    reason: str


class Named(NamedTuple):
    """Something by its ``name``, and on how many samples it is."""

    name: str
    samples: int


class Measure(NamedTuple):
    """A quantity over all sound samples; ``spread`` is None where no sample has it."""

    spread: Spread | None
    bars: tuple[Bar, ...]


class Concepts(NamedTuple):
    """Things that images show, told apart by class or by caption.

    Attributes:
        distinct: How many there are.
        images: How many images each has.
        common: Those with the most images; of captions, only those with more than one.
    """

    distinct: int
    images: Measure
    common: tuple[Named, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One source.

    Attributes:
        name: What it is called.
        spec: How a recipe names it.
        note: What its user may not have thought of; empty where there is nothing.
        samples: How many it holds.
        examined: How many were looked at; all figures below are of these.
        shards: What the indexes of its shards say, where it has any.
        decoded: Whether every pixel was decoded, or headers were read only.
        sound: How many training would take.
        broken: The others. Everything below is of the sound ones.
        formats: Of their files.
        measures: Quantities by name, those with at least one value.
        captioned: Samples with at least one caption that says something.
        captions: All captions that do.
        empty_captions: Those that do not.
        garbled_captions: Those with bytes that are no UTF-8.
        without_caption: Keys of samples without a caption that says something, where others have one.
        labelled: Samples with a label.
        classes: How many images each class has, in the order of the labels; None without classes.
        concepts: By class and by caption, where there are such.
        duplicate_keys: Keys that several samples bear, and how many.
        identical_files: Samples whose file is, byte for byte, that of an earlier one.
    """

    name: str
    spec: str
    note: str
    samples: int
    shards: ShardCounts | None
    examined: int
    decoded: bool
    sound: int
    broken: tuple[Broken, ...]
    formats: dict[str, int]
    measures: dict[str, Measure]
    captioned: int
    captions: int
    empty_captions: int
    garbled_captions: int
    without_caption: tuple[str, ...]
    labelled: int
    classes: tuple[Named, ...] | None
    concepts: dict[str, Concepts]
    duplicate_keys: tuple[Named, ...]
    identical_files: int

    def as_json(self) -> dict[str, Any]:
        """The report as plain values: named tuples become objects."""
        plain = {name: _plain(getattr(self, name)) for name in self.__slots__}
        if self.classes is not None:
            plain["classes"] = {one.name: one.samples for one in self.classes}
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
