"""What the filter did, in figures: by rule, how many pairs, images and texts it dropped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.near_rule import NearReport
from vlc_plugin_curate.cleaning.pipeline import Cleaned
from vlc_plugin_curate.cleaning.rules import Rule

EXAMPLES = 8
_SPREAD = (7919, 100_003)  # primes: examples come from all over the data, and are the same every time


class Counts(NamedTuple):
    """How many there are.

    Attributes:
        pairs: Of an image and a text.
        images: Different ones.
        texts: Different ones.
    """

    pairs: int
    images: int
    texts: int


class Example(NamedTuple):
    """A pair that a rule drops."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What one rule did.

    Attributes:
        name: Of the rule.
        drops: What it drops, in words.
        first: Of pairs that no rule before it drops.
        alone: Of all pairs that it drops, whatever other rules say.
        examples: Some of the latter.
    """

    name: str
    drops: str
    first: Counts
    alone: Counts
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What was read of one source.

    Attributes:
        name: As it was given.
        read_as: As a recipe writes it.
        pairs: That have an image and a text.
        unreadable: Samples that could not be read.
        without_image: Rows of a table that name no image.
        without_text: Samples without any text.
        bad_shards: Why shards were left out, a sentence each.
        reasons: Why samples could not be read, of some.
    """

    name: str
    read_as: str
    pairs: int
    unreadable: int
    without_image: int
    without_text: int
    bad_shards: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the filter did.

    Attributes:
        digest: Of the sources and the options.
        engine: Where the rules ran.
        options: The thresholds.
        sources: What was read.
        found: All that could be judged.
        kept: What is left of it.
        rules: In the order in which they were asked.
        near: What was found of each evaluation set.
        least: How often known words, and pairs of them, occur at least; 1 where all are known.
        pairs_per_image: How many images have how many pairs, ascending.
        unknown_sizes: Pairs whose image's size is not known, where a rule asked for it.
        notes: What its user may not have thought of.
    """

    digest: str
    engine: str
    options: dict[str, Any]
    sources: tuple[SourceReport, ...]
    found: Counts
    kept: Counts
    rules: tuple[RuleReport, ...]
    near: tuple[NearReport, ...]
    least: int
    pairs_per_image: tuple[tuple[int, int], ...]
    unknown_sizes: int
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        plain = asdict(self)
        for one, rule in zip(plain["rules"], self.rules, strict=True):
            one |= {"first": rule.first._asdict(), "alone": rule.alone._asdict()}
            one["examples"] = [example._asdict() for example in rule.examples]
        return plain | {"found": self.found._asdict(), "kept": self.kept._asdict()}


def found_in(engine: Engine, cleaned: Cleaned) -> Counts:
    """All that could be judged."""
    texts, images = engine.table(cleaned.texts.path), engine.table(cleaned.per_image.path)
    (of_texts,) = engine.rows(texts.aggregate(texts=texts.count(), pairs=texts.n.sum()))
    (of_images,) = engine.rows(images.aggregate(images=images.images.sum()))
    return Counts(int(of_texts["pairs"] or 0), int(of_images["images"] or 0), of_texts["texts"])


def kept_in(engine: Engine, cleaned: Cleaned) -> Counts:
    """What is left. Names and texts are counted by their hashes, like everything in a report."""
    rows = engine.table(cleaned.kept.path)
    texts = rows.select(text=rows.texts.unnest())
    (of_texts,) = engine.rows(texts.aggregate(pairs=texts.count(), texts=engine.hashed(texts.text).nunique()))
    (of_images,) = engine.rows(rows.aggregate(images=engine.hashed(rows.key).nunique()))
    return Counts(of_texts["pairs"], of_images["images"], of_texts["texts"])


def per_image(engine: Engine, cleaned: Cleaned) -> tuple[tuple[int, int], ...]:
    """How many images have how many pairs, ascending."""
    table = engine.table(cleaned.per_image.path)
    counted = table.group_by("n").agg(images=table.images.sum())
    return tuple(sorted((row["n"], int(row["images"])) for row in engine.rows(counted)))


def on_rules(engine: Engine, cleaned: Cleaned) -> tuple[RuleReport, ...]:
    """What each rule did."""
    dropped = engine.table(cleaned.dropped.path)
    if not cleaned.rules:
        return ()
    counted = _counted(engine, dropped, cleaned.rules)
    return tuple(
        RuleReport(rule.name, rule.drops, first, alone, _examples(engine, dropped, rule) if alone.pairs else ())
        for rule, (first, alone) in zip(cleaned.rules, counted, strict=True)
    )


def _counted(engine: Engine, dropped: ir.Table, rules: tuple[Rule, ...]) -> list[tuple[Counts, Counts]]:
    """For each rule, what it is the first to drop and what it drops by itself.

    A bit says the one or the other of a pair. Those of an image or text are its pairs' together, so that each is looked
    at once for all rules, and in the end only different sets of bits are counted.
    """
    bits = ibis.literal(0, "int64")
    for place, rule in enumerate(rules):
        first, alone = dropped.rule == rule.name, dropped[rule.name]
        bits = bits + first.cast("int64") * (1 << 2 * place) + alone.cast("int64") * (2 << 2 * place)
    told = dropped.select(bits=bits, image=engine.hashed(dropped.key), text=engine.hashed(dropped.text))
    images = told.group_by("image").agg(bits=told.bits.bit_or())
    texts = told.group_by("text").agg(bits=told.bits.bit_or())
    sets = [engine.rows(one.group_by("bits").agg(n=one.count())) for one in (told, images, texts)]

    def counts(bit: int) -> Counts:
        return Counts(*(sum(row["n"] for row in rows if row["bits"] >> bit & 1) for rows in sets))

    return [(counts(2 * place), counts(2 * place + 1)) for place in range(len(rules))]


def _examples(engine: Engine, dropped: ir.Table, rule: Rule) -> tuple[Example, ...]:
    factor, modulus = _SPREAD
    mine = dropped.filter(dropped[rule.name])
    place = (mine.row * factor) % modulus
    some = mine.order_by(ibis.desc(mine.rule == rule.name), place, "source", "row", "part").limit(EXAMPLES)
    return tuple(Example(row["key"], row["text"]) for row in engine.rows(some.select("key", "text")))
