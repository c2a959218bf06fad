"""Facts of samples, one after the other, to the report on their source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from vlc_core.batch import UNLABELLED
from vlc_plugin_data.inspecting.facts import Caption, Facts, digest
from vlc_plugin_data.inspecting.header import VECTOR
from vlc_plugin_data.inspecting.report import Broken, Concepts, Measure, Named, Report
from vlc_plugin_data.inspecting.shards import ShardCounts
from vlc_plugin_data.inspecting.spread import bars, spread

MOST_COMMON = 100
"""Concepts that a report names."""

_DIGITS = 3
"""Of aspect ratios, so that a million photographs have a thousand of them."""


class Occurrences:
    """How often things are seen; names are kept of those alone that are seen again."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self._names: dict[int, str] = {}

    def add(self, key: int, name: str) -> bool:
        """Counts one; true where it was there before."""
        self.counts[key] += 1
        again = self.counts[key] > 1
        if again:
            self._names[key] = name
        return again

    def repeated(self, most: int | None = None) -> tuple[Named, ...]:
        """What was seen more than once, the most frequent first, then by name."""
        found = [Named(name, self.counts[key]) for key, name in self._names.items()]
        return tuple(sorted(found, key=lambda one: (-one.samples, one.name))[:most])


class Tally:
    """Sums over the samples of one source. Its memory grows by 16 bytes or so for each sample and caption."""

    def __init__(self) -> None:
        self.examined = 0
        self.broken: list[Broken] = []
        self.formats: Counter[str] = Counter()
        self.values: dict[str, Counter[float]] = {}
        self.captioned = self.captions = self.empty = self.garbled = self.identical = 0
        self.without: list[str] = []
        self.labels: Counter[int] = Counter()
        self.texts, self.keys, self.files = Occurrences(), Occurrences(), Occurrences()

    def add(self, facts: Facts) -> None:
        """Counts one sample."""
        self.examined += 1
        if facts.key:
            self.keys.add(digest(facts.key.encode("utf-8", "surrogatepass")), facts.key)
        if facts.reason or facts.header is None:
            self.broken.append(Broken(facts.sample, facts.key, facts.reason))
            return
        self._add_file(facts)
        if facts.label != UNLABELLED:
            self.labels[facts.label] += 1
        self._add_captions(facts)

    def _add_file(self, facts: Facts) -> None:
        assert facts.header is not None
        width, height, kind = facts.header
        self.formats[kind] += 1
        self.identical += self.files.add(facts.content, "")
        if facts.bytes:
            self._value("bytes", facts.bytes)
        if kind == VECTOR:
            self._value("vector length", width)
            return
        self._value("width", width)
        self._value("height", height)
        self._value("shorter side", min(width, height))
        self._value("aspect ratio", round(width / height, _DIGITS))

    def _add_captions(self, facts: Facts) -> None:
        said = [caption for caption in facts.captions if caption.characters]
        self.empty += len(facts.captions) - len(said)
        self.garbled += sum(caption.garbled for caption in said)
        self.captions += len(said)
        if said:
            self.captioned += 1
            self._value("captions per image", len(said))
        else:
            self.without.append(facts.key or f"sample {facts.sample}")
        for caption in said:
            self._add_caption(caption)
        for caption in {caption.digest: caption for caption in said}.values():
            self.texts.add(caption.digest, caption.text)

    def _add_caption(self, caption: Caption) -> None:
        self._value("caption words", caption.words)
        self._value("caption characters", caption.characters)
        if caption.tokens is not None:
            self._value("caption tokens", caption.tokens)

    def _value(self, name: str, value: float) -> None:
        self.values.setdefault(name, Counter())[value] += 1


def report_on(
    facts: Iterable[Facts],
    *,
    name: str,
    spec: str,
    samples: int,
    decoded: bool = False,
    classes: Sequence[str] | None = None,
    note: str = "",
    shards: ShardCounts | None = None,
) -> Report:
    """The report on a source of ``samples`` samples, some or all of whose ``facts`` are given.

    Args:
        facts: Of the samples that were looked at.
        name: What the source is called.
        spec: How a recipe names it.
        samples: How many it holds.
        decoded: Whether the samples were decoded.
        classes: The names of its classes.
        note: What its user may not have thought of.
        shards: What the indexes of its shards say, where it has any.
    """
    tally = Tally()
    for one in facts:
        tally.add(one)
    named = _classes(tally.labels, classes)
    return Report(
        name=name,
        spec=spec,
        note=note,
        samples=samples,
        shards=shards,
        examined=tally.examined,
        decoded=decoded,
        sound=tally.examined - len(tally.broken),
        broken=tuple(tally.broken),
        formats=dict(tally.formats.most_common()),
        measures={name: _measure(values) for name, values in tally.values.items()},
        captioned=tally.captioned,
        captions=tally.captions,
        empty_captions=tally.empty,
        garbled_captions=tally.garbled,
        without_caption=tuple(tally.without) if tally.captioned or tally.empty else (),
        labelled=tally.labels.total(),
        classes=named,
        concepts=_concepts(tally, named),
        duplicate_keys=tally.keys.repeated(),
        identical_files=tally.identical,
    )


def _classes(labels: Counter[int], classes: Sequence[str] | None) -> tuple[Named, ...] | None:
    if not classes and not labels:
        return None
    names = classes or [str(label) for label in range(max(labels) + 1)]
    return tuple(Named(name, labels[label]) for label, name in enumerate(names))


def _concepts(tally: Tally, classes: tuple[Named, ...] | None) -> dict[str, Concepts]:
    concepts = {}
    if classes is not None:
        there = sorted((one for one in classes if one.samples), key=lambda one: -one.samples)
        images = Counter(one.samples for one in there)
        concepts["class"] = Concepts(len(there), _measure(images), tuple(there[:MOST_COMMON]))
    if tally.captions:
        images = Counter(tally.texts.counts.values())
        concepts["caption"] = Concepts(len(tally.texts.counts), _measure(images), tally.texts.repeated(MOST_COMMON))
    return concepts


def _measure(values: Mapping[int, int] | Mapping[float, int]) -> Measure:
    return Measure(spread(values), bars(values))
