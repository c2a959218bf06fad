"""The stages of the filter, one after another: from pairs to those that are kept and those that are dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir

from vlc_plugin_curate.cleaning import grams, images, texts
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
        texts: The stage of the different texts.
        per_image: The stage of how many images have how many pairs.
        rules: Those that were asked.
        least: How often a known word or pair of words occurs at least.
    """

    kept: Stage
    dropped: Stage
    texts: Stage
    per_image: Stage
    rules: tuple[Rule, ...]
    least: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of all sources.

    Attributes:
        table: ``number`` and ``source`` (of the source), ``row``, ``part`` (of the texts of the row), ``key``,
            ``text``, ``width`` and ``height`` (null where unknown).
        digest: Of what they are.
        several: Whether a row may have several texts.
        near: Rows of ``number`` and ``row`` that are near-duplicates of evaluation sets; None without those.
    """

    table: ir.Table
    digest: str
    several: bool = False
    near: Stage | None = None


class Cleaning:
    """Runs the stages.

    Args:
        engine: Where.
        stages: Where results on the way are kept.
        pairs: What is filtered.
        chosen: By what.
    """

    def __init__(self, engine: Engine, stages: Stages, pairs: Pairs, chosen: Filter) -> None:
        self._engine, self._stages, self._pairs, self._chosen = engine, stages, pairs, chosen
        self.rules = rules_of(chosen, evaluation=pairs.near is not None)

    def run(self) -> Cleaned:
        """All of them.

        Raises:
            VlcError: The engine or the disk gave up.
        """
        most = self._chosen.max_texts
        counted = images.pairs_per_image(self._engine, self._pairs.table, most)
        per_image = self._make("texts-per-image", [self._pairs.digest, most], counted, "counting")
        different, salt = self._different()
        pairs = self._pairs.table
        pairs = pairs.mutate(id=texts.identified(self._engine, pairs.text, salt))
        found, least = self._texts_found(pairs, different)
        bad_texts = self._bad_texts(different, found)
        bad_images = self._bad_images(pairs, per_image)
        depends: list[Any] = [self._pairs.digest, bad_texts and bad_texts.digest, bad_images and bad_images.digest]
        depends += [self._chosen.min_side, self._chosen.max_aspect]
        flagged, left = self._dropped(pairs, bad_texts, bad_images), self._kept(pairs, bad_texts, bad_images)
        dropped = self._make("dropped", depends, flagged, "writing what is dropped", True)
        kept = self._make("kept", depends, left, "writing what is kept", True)
        return Cleaned(kept, dropped, different, per_image, self.rules, least)

    def _different(self) -> tuple[Stage, str]:
        """The texts, and what is added to them so that no two of them have one ``id``."""
        for salt in salts("texts"):
            table = texts.different_texts(self._engine, self._pairs.table, salt)
            found = self._make("texts", [self._pairs.digest, salt], table, "finding different texts")
            if all_differ(self._engine, self._read(found).select("id")):
                break
        return found, salt

    def _make(self, name: str, depends: Sequence[Any], table: ir.Table, what: str, ordered: bool = False) -> Stage:
        def write(path: Path) -> None:
            self._engine.write(table, path, what=what, ordered=ordered)

        return self._stages.make(name, [self._engine.name, *depends], write)

    def _read(self, stage: Stage) -> ir.Table:
        return self._engine.table(stage.path)

    def _texts_found(self, pairs: ir.Table, different: Stage) -> tuple[dict[str, Stage], int]:
        """The texts that rules drop which take counting, and the threshold of the rarest words."""
        found = {}
        table = self._read(different)
        if self._chosen.max_images is not None:
            shared = texts.shared(pairs, table, self._chosen.max_images)
            found["shared"] = self._make("shared", [different.digest, self._chosen.max_images], shared, "shared texts")
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
        chosen = self._chosen
        if not found and chosen.min_words is None and chosen.max_words is None:
            return None
        tables = {name: self._read(stage) for name, stage in found.items()}
        depends = [different.digest, chosen.min_words, chosen.max_words, {k: v.digest for k, v in found.items()}]
        return self._make("bad-texts", depends, texts.bad_texts(self._read(different), tables, chosen), "judging texts")

    def _bad_images(self, pairs: ir.Table, per_image: Stage) -> Stage | None:
        """The images that are dropped for other things than their size; None where there are none."""
        most, near = self._chosen.max_texts, self._pairs.near
        found = {}
        if most is not None:
            histogram = self._read(per_image)
            if self._engine.rows(histogram.aggregate(most=histogram.n.max()))[0]["most"] > most:
                found["crowded"] = images.crowded(self._engine, pairs, histogram, most)
        if near is not None:
            rows = self._read(near)
            found["near-duplicate"] = (
                pairs.select("key", "number", "row").semi_join(rows, ["number", "row"]).select("key")
            )
        if not found:
            return None
        flagged = [one.mutate(**{rule: ibis.literal(name == rule) for rule in found}) for name, one in found.items()]
        every = ibis.union(*flagged) if len(flagged) > 1 else flagged[0]
        bad = every.group_by("key").agg(**{name: every[name].any() for name in found})
        depends = [self._pairs.digest, most, near and near.digest]
        return self._make("bad-images", depends, bad, "judging images")

    def _flags(self, pairs: ir.Table, bad_texts: Stage | None, bad_images: Stage | None) -> ir.Table:
        """The pairs with a boolean by the name of each rule."""
        told = pairs
        for stage, by in ((bad_texts, "id"), (bad_images, "key")):
            if stage is not None:
                bad = self._read(stage)
                more = [name for name in bad.columns if name != by]
                told = told.left_join(bad, by).select(*told.columns, *more)
        flags: dict[str, ir.BooleanValue] = {}
        for rule in self.rules:
            if rule.name == "small":
                flags[rule.name] = images.is_small(told, self._chosen)
            elif rule.name == "elongated":
                flags[rule.name] = images.is_elongated(told, self._chosen)
            else:
                known = rule.name in told.columns
                flags[rule.name] = told[rule.name].fill_null(False) if known else ibis.literal(False)
        return told.select("number", "source", "row", "part", "key", "text", **flags)

    def _dropped(self, pairs: ir.Table, bad_texts: Stage | None, bad_images: Stage | None) -> ir.Table:
        told = self._flags(pairs, bad_texts, bad_images)
        first: ir.StringValue = ibis.literal("")
        if self.rules:
            first = ibis.cases(*((told[rule.name], rule.name) for rule in self.rules), else_="")
        some = told.mutate(rule=first)
        return self._in_order(some.filter(some.rule != ""), ["row", "part"])

    def _kept(self, pairs: ir.Table, bad_texts: Stage | None, bad_images: Stage | None) -> ir.Table:
        """Columns ``key``, ``source``, ``row`` and ``texts``, and ``number`` to sort by."""
        if self._chosen.min_side is not None:
            pairs = pairs.filter(~images.is_small(pairs, self._chosen))
        if self._chosen.max_aspect is not None:
            pairs = pairs.filter(~images.is_elongated(pairs, self._chosen))
        for stage, by in ((bad_texts, "id"), (bad_images, "key")):
            if stage is not None:
                pairs = pairs.anti_join(self._read(stage), by)
        if not self._engine.orderly:
            return pairs.select("key", "source", "row", "part", "text", "number")  # DuckDB makes rows of them
        if self._pairs.several:
            rows = pairs.group_by("number", "source", "row", "key").agg(texts=pairs.text.collect(order_by=pairs.part))
            return self._in_order(rows.select("key", "source", "row", "texts", "number"), ["row"])
        kept = pairs.select("key", "source", "row", texts=ibis.array([pairs.text]), number=pairs.number)
        return self._in_order(kept, ["row"])

    def _in_order(self, table: ir.Table, by: list[str]) -> ir.Table:
        """Sorted by source and row, by an engine that can; what was never taken apart is in order."""
        if not self._engine.orderly:
            return table  # it is sorted when its parts are joined
        if self._pairs.several:
            table = table.order_by("number", *by)
        return table.drop("number")


def _occurring(histogram: list[dict[str, Any]]) -> int:
    """How often what is counted occurs in all."""
    return sum(row["n"] * row["kinds"] for row in histogram)
