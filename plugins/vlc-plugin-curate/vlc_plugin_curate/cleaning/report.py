"""What the filter did, in figures: by rule, how many pairs, images and texts it dropped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.examples import Example, Examples
from vlc_plugin_curate.cleaning.near_rule import NearReport
from vlc_plugin_curate.cleaning.numbers import IMAGE, TEXT
from vlc_plugin_curate.cleaning.pipeline import Cleaned


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
        cut_shards: Where shards break off of which the samples before that are used, a sentence each.
        reasons: Why samples could not be read, of some.
    """

    name: str
    read_as: str
    pairs: int
    unreadable: int
    without_image: int
    without_text: int
    bad_shards: tuple[str, ...]
    cut_shards: tuple[str, ...]
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


def per_image(engine: Engine, cleaned: Cleaned) -> tuple[tuple[int, int], ...]:
    """How many images have how many pairs, ascending."""
    table = engine.table(cleaned.per_image.path)
    counted = table.group_by("n").agg(images=table.images.sum())
    return tuple(sorted((row["n"], int(row["images"])) for row in engine.rows(counted)))


class Tally(NamedTuple):
    """How many there are of everything.

    Attributes:
        found: That could be judged.
        kept: What is left of it.
        rules: By rule, what it is the first to drop and what it drops by itself.
    """

    found: Counts
    kept: Counts
    rules: tuple[tuple[Counts, Counts], ...]


def tally(engine: Engine, cleaned: Cleaned) -> Tally:
    """Counts pairs, images and texts.

    The marks of an image or a text are those of its pairs together, so that each is looked at once for all rules, and
    in the end only different sets of marks are counted.
    """
    judged = engine.table(cleaned.judged.path)
    images, texts = (judged.group_by(name).agg(marks=judged.marks.bit_or()) for name in (IMAGE, TEXT))
    sets = [engine.rows(one.group_by("marks").agg(n=one.count())) for one in (judged, images, texts)]

    def counts(bit: int) -> Counts:
        return Counts(*(sum(row["n"] for row in rows if row["marks"] >> bit & 1) for rows in sets))

    many = len(cleaned.rules)
    found = Counts(*(sum(row["n"] for row in rows) for rows in sets))
    return Tally(found, counts(2 * many), tuple((counts(many + place), counts(place)) for place in range(many)))


def on_rules(engine: Engine, cleaned: Cleaned, counted: Tally) -> tuple[RuleReport, ...]:
    """What each rule did."""
    told = zip(cleaned.rules, counted.rules, strict=True)
    examples = Examples(engine, cleaned, sum(first.pairs for first, _ in counted.rules))
    return tuple(
        RuleReport(rule.name, rule.drops, first, alone, examples.of(rule, first.pairs, alone.pairs))
        for rule, (first, alone) in told
    )
