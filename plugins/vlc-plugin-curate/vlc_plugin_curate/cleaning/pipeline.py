"""The stages of the filter, one after another: from pairs to those that are kept and those that are dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning import grams, images, numbers, texts, writing
from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.hashing import all_differ, salts
from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.cleaning.rules import Rule, rules_of
from vlc_plugin_curate.cleaning.stages import Stage, Stages


class Cleaned(NamedTuple):
    """What came out.

    Attributes:
        kept: The stage with the rows that are kept, sorted by source and row.
        dropped: The stage with the pairs that are dropped, sorted alike, with a boolean by the name of each rule and
            the first of them in ``rule``.
        judged: The stage of all pairs as numbers, with what :func:`.places.marks` tells of each.
        per_image: The stage of how many images have how many pairs.
        rules: Those that were asked.
        least: How often a known word or pair of words occurs at least.
    """

    kept: Stage
    dropped: Stage
    judged: Stage
    per_image: Stage
    rules: tuple[Rule, ...]
    least: int


class Looked(NamedTuple):
    """What all rows were read for.

    Attributes:
        texts: The stage of the different texts.
        numbers: The stage of all rows as numbers.
        salt: What is behind names and texts whose hashes those are.
    """

    texts: Stage
    numbers: Stage
    salt: str


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of all sources.

    Attributes:
        table: ``number`` and ``source`` (of the source), ``row``, ``part`` (of the texts of the row), ``key``,
            ``text``, ``width`` and ``height`` (null where unknown), and ``reason`` (why it could not be read, or "").
        digest: Of what they are.
        several: Whether a row may have several texts.
    """

    table: ir.Table
    digest: str
    several: bool = False


class Cleaning:
    """Runs the stages.

    Args:
        engine: Where.
        stages: Where results on the way are kept.
        rows: What is filtered.
        chosen: By what.
        evaluation: Whether there are evaluation sets, of whose images no near-duplicate may be left.
    """

    def __init__(self, engine: Engine, stages: Stages, rows: Rows, chosen: Filter, *, evaluation: bool = False) -> None:
        self._engine, self._stages, self._rows, self._chosen = engine, stages, rows, chosen
        self._pairs = numbers.judged(rows.table)
        self.rules = rules_of(chosen, evaluation=evaluation)

    def look(self) -> Looked:
        """Reads all rows, for their different texts and to make numbers of them.

        Raises:
            VlcError: The engine or the disk gave up.
        """
        for salt in salts("texts"):
            table = texts.different_texts(self._engine, self._pairs, salt)
            different = self._make("texts", [self._rows.digest, salt], table, "finding different texts")
            if all_differ(self._engine, self._read(different).select("id")):
                break
        # The rules on size come first and have the first bits, whichever others are asked.
        depends = [different.digest, self._chosen.min_side, self._chosen.max_aspect]
        every = numbers.as_numbers(self._engine, self._rows.table, self._chosen, self.rules, salt)
        return Looked(different, self._make("numbers", depends, every, "telling images and texts apart"), salt)

    def run(self, looked: Looked, near: Stage | None = None) -> Cleaned:
        """All that comes after.

        Args:
            looked: Of :meth:`look`.
            near: Rows of ``number`` and ``row`` that are near-duplicates of evaluation sets; None without those.

        Raises:
            VlcError: The engine or the disk gave up.
        """
        most = self._chosen.max_texts
        different, every, salt = looked
        pairs = numbers.pairs_of(self._read(every))
        counted = images.pairs_per_image(pairs, most)
        per_image = self._make("texts-per-image", [every.digest, most], counted, "counting")
        found, least = self._texts_found(pairs, every, different)
        bad = {
            numbers.TEXT: self._bad_texts(different, found),
            numbers.IMAGE: self._bad_images(pairs, looked, per_image, near),
        }
        by = writing.By(self._engine, self._chosen, self.rules, salt, self._rows.several)
        tables = {name: self._read(stage) for name, stage in bad.items() if stage is not None}
        depends = [every.digest, self._names(), [stage and stage.digest for stage in bad.values()]]
        marked = writing.judged(pairs, tables, by)
        judged = self._make("judged", depends, marked, "judging pairs")
        dropped, kept = writing.dropped(self._pairs, tables, by), writing.kept(self._pairs, tables, by)
        return Cleaned(
            self._make("kept", depends, kept, "writing what is kept", last=True),
            self._make("dropped", depends, dropped, "writing what is dropped", last=True),
            judged,
            per_image,
            self.rules,
            least,
        )

    def _names(self) -> list[str]:
        return [rule.name for rule in self.rules]

    def _make(self, name: str, depends: Sequence[Any], table: ir.Table, what: str, *, last: bool = False) -> Stage:
        def write(path: Path) -> None:
            self._engine.write(table, path, what=what, last=last)

        return self._stages.make(name, [self._engine.name, *depends], write)

    def _read(self, stage: Stage) -> ir.Table:
        return self._engine.table(stage.path)

    def _texts_found(self, pairs: ir.Table, every: Stage, different: Stage) -> tuple[dict[str, Stage], int]:
        """The texts that rules drop which take counting, and the threshold of the rarest words."""
        found = {}
        table = self._read(different)
        if self._chosen.max_images is not None:
            shared = texts.shared(pairs, table, self._chosen.max_images)
            found["shared"] = self._make("shared", [every.digest, self._chosen.max_images], shared, "shared texts")
        least = 1
        if self._chosen.rare:
            rare, least = self._rare(different, table)
            if rare is not None:
                found["rare"] = rare
        return found, least

    def _rare(self, different: Stage, table: ir.Table) -> tuple[Stage | None, int]:
        """The texts with rare words, and how often words must occur; None where none is rare."""
        words = self._make("words", [different.digest], grams.count_words(table), "counting words")
        counted = self._read(words)
        rows = self._engine.rows(grams.histogram(counted))
        if not self._chosen.bigrams:
            least = grams.threshold(rows, self._chosen)
            rare = grams.texts_with_rare_words(table, counted, least, alone=False)
            return self._make("rare", [words.digest, least], rare, "texts with rare words"), least
        salt = self._salt(counted)
        pairs = self._make(
            "pairs", [different.digest, salt], grams.count_pairs(self._engine, table, salt), "counting pairs of words"
        )
        twice = self._engine.rows(grams.histogram(self._read(pairs)))
        (first,) = self._engine.rows(grams.first_words(table))
        once = _occurring(rows) - (first["n"] or 0) - _occurring(twice)
        least = grams.threshold([*rows, *twice, {"n": 1, "kinds": once}], self._chosen)
        if least <= 1:
            return None, least
        rare = ibis.union(
            grams.texts_with_rare_pairs(self._engine, table, self._read(pairs), least, salt),
            grams.texts_with_rare_words(table, counted, least, alone=True),
        )
        return self._make("rare", [pairs.digest, least], rare, "texts with rare words"), least

    def _salt(self, words: ir.Table) -> str:
        """What is added to words so that no two of them have one hash."""
        for salt in salts("words"):
            if all_differ(self._engine, grams.word_hashes(self._engine, words, salt)):
                break
        return salt

    def _bad_texts(self, different: Stage, found: dict[str, Stage]) -> Stage | None:
        """The texts that are dropped, with the bits of the rules; None where no rule asks for texts."""
        chosen = self._chosen
        if not found and chosen.min_words is None and chosen.max_words is None:
            return None
        tables = {name: self._read(stage) for name, stage in found.items()}
        depends = [different.digest, chosen.min_words, chosen.max_words, {k: v.digest for k, v in found.items()}]
        bad = texts.bad_texts(self._read(different), tables, chosen, self.rules)
        return self._make("bad-texts", [*depends, self._names()], bad, "judging texts")

    def _bad_images(self, pairs: ir.Table, looked: Looked, per_image: Stage, near: Stage | None) -> Stage | None:
        """The images that are dropped for other things than their size, with bits; None where there are none."""
        most = self._chosen.max_texts
        found = {}
        if most is not None:
            histogram = self._read(per_image)
            if self._engine.rows(histogram.aggregate(most=histogram.n.max()))[0]["most"] > most:
                found["crowded"] = images.crowded(pairs, histogram, most)
        if near is not None:
            some = self._pairs.select("key", "number", "row").semi_join(self._read(near), ["number", "row"])
            found["near-duplicate"] = some.select(image=numbers.identified(self._engine, some.key, looked.salt))
        if not found:
            return None
        bad = images.bad_images(found, self.rules)
        depends = [looked.numbers.digest, most, near and near.digest, self._names()]
        return self._make("bad-images", depends, bad, "judging images")


def _occurring(histogram: list[dict[str, Any]]) -> int:
    """How often what is counted occurs in all."""
    return sum(row["n"] * row["kinds"] for row in histogram)
