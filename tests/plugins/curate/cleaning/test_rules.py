"""The rules on DuckDB against plain loops, and each of them at its threshold."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq
import pytest

from vlc_plugin_curate.cleaning.engines.duck import DuckDb, Limits
from vlc_plugin_curate.cleaning.options import Filter

Table = Callable[..., Path]
RULES = ["small", "elongated", "crowded", "shared", "short", "long", "rare"]


pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")


@pytest.mark.parametrize(
    "chosen",
    [
        Filter(min_side=130, max_aspect=1.5, max_texts=4, max_images=3, min_words=2, max_words=7, vocabulary=200),
        Filter(min_side=130, max_aspect=None, max_texts=None, max_images=5, vocabulary=20, bigrams=False),
        Filter(min_side=None, max_texts=6, max_images=None, min_words=None, max_words=None, min_count=4),
    ],
)
def test_every_pair_is_judged_as_by_plain_loops(
    tmp_path: Path, table: Table, small: SimpleNamespace, chosen: Filter
) -> None:
    pairs = small.corpus(400, seed=1)
    report = small.run_clean([table(pairs)], tmp_path / "out", chosen)
    expected = small.reasons(pairs, chosen)

    found: dict[int, set[str]] = {
        row["row"]: {name for name in RULES if row.get(name)} for row in small.dropped(tmp_path / "out")
    }
    assert {row: names for row, names in enumerate(expected) if names} == found
    kept = [(row["row"], row["key"], row["texts"]) for row in small.kept(tmp_path / "out")]
    assert kept == [(n, pairs[n][0], [pairs[n][1]]) for n, names in enumerate(expected) if not names]
    assert 0 < len(kept) < len(pairs)

    for rule in report.rules:
        mine = [pair for pair, names in zip(pairs, expected, strict=True) if rule.name in names]
        assert rule.alone == (len(mine), len({pair[0] for pair in mine}), len({pair[1] for pair in mine}))
        before = set(RULES[: RULES.index(rule.name)])
        assert rule.first.pairs == sum(rule.name in names and not names & before for names in expected)
    assert report.found == (len(pairs), len({pair[0] for pair in pairs}), len({pair[1] for pair in pairs}))
    assert report.kept.pairs == len(kept)
    assert report.kept.images == len({key for _, key, _ in kept})
    assert report.kept.texts == len({texts[0] for _, _, texts in kept})


def test_what_stands_at_a_threshold_is_kept(tmp_path: Path, table: Table, small: SimpleNamespace) -> None:
    rows = [
        ("http://x/0.jpg", "one two three", 200, 600),
        ("http://x/1.jpg", "one two three", 199, 300),
        ("http://x/2.jpg", "one two three", 200, 601),
        ("http://x/3.jpg", "one two", 300, 300),
        ("http://x/4.jpg", " ".join(["one"] * 20), 300, 300),
        ("http://x/5.jpg", " ".join(["one"] * 21), 300, 300),
        ("http://x/6.jpg", "one two three", None, None),
    ]
    report = small.run_clean([table(rows)], tmp_path / "out", Filter())
    assert [row["row"] for row in small.kept(tmp_path / "out")] == [0, 4, 6]
    assert [row["rule"] for row in small.dropped(tmp_path / "out")] == ["small", "elongated", "short", "long"]
    assert report.unknown_sizes == 1
    assert "unknown size" in report.notes[0]


def test_ten_images_may_share_a_text_and_an_image_have_a_thousand_texts(
    tmp_path: Path, table: Table, small: SimpleNamespace
) -> None:
    rows = [(f"http://x/{n}.jpg", "ten of us here") for n in range(10)] * 2
    rows += [(f"http://x/{n}.jpg", "eleven of us here") for n in range(11)]
    rows += [("http://x/full.jpg", f"text number {n}") for n in range(1000)]
    rows += [("http://x/over.jpg", f"text number {n}") for n in range(1001)]
    small.run_clean([table(rows)], tmp_path / "out", Filter())
    assert {row["key"] for row in small.kept(tmp_path / "out")} == {f"http://x/{n}.jpg" for n in range(10)} | {
        "http://x/full.jpg"
    }
    assert len(small.kept(tmp_path / "out")) == 20 + 1000


def test_each_rule_can_be_switched_off(tmp_path: Path, table: Table, small: SimpleNamespace) -> None:
    pairs = small.corpus(60, seed=2)
    path = table(pairs)
    report = small.run_clean([path], tmp_path / "all", small.OFF)
    assert report.rules == ()
    assert len(small.kept(tmp_path / "all")) == len(pairs)
    assert small.dropped(tmp_path / "all") == []
    alone = {"min_side": "small", "max_images": "shared", "min_words": "short", "min_count": "rare"}
    for option, rule in alone.items():
        report = small.run_clean([path], tmp_path / rule, dataclasses.replace(small.OFF, **{option: 3}))
        assert [one.name for one in report.rules] == [rule]


def test_the_list_is_the_same_every_time(tmp_path: Path, table: Table, small: SimpleNamespace) -> None:
    path = table(small.corpus(300, seed=3))
    chosen = Filter(max_images=3, vocabulary=100)
    for out in ("a", "b"):
        small.run_clean([path, path], tmp_path / out, chosen)
    for name in ("list.parquet", "dropped.parquet"):
        first, second = (pq.read_table(tmp_path / out / name).to_pylist() for out in ("a", "b"))
        assert first == second
    reports = [json.loads((tmp_path / out / "report.json").read_text()) for out in ("a", "b")]
    assert reports[0] == reports[1]


def test_texts_and_words_that_share_a_hash_are_still_told_apart(
    tmp_path: Path, table: Table, small: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is put behind them: the first hashes here are lengths."""
    own = DuckDb.hashed

    def poor(self: DuckDb, value: ir.StringValue) -> ir.IntegerValue:
        return ibis.cases((value.endswith("+"), own(self, value)), else_=value.length().cast("uint64"))

    path, chosen = table(small.corpus(200, seed=8)), Filter(min_side=None, max_texts=4, max_images=3, vocabulary=150)
    small.run_clean([path], tmp_path / "whole", chosen)
    for name in ("hashed", "hashed_word"):
        monkeypatch.setattr(DuckDb, name, poor)
    small.run_clean([path], tmp_path / "out", chosen, keep_stages=True)
    assert len(list((tmp_path / "out" / ".stages").glob("texts-[0-9a-f]*.parquet"))) == 2
    for read in (small.kept, small.dropped):
        assert read(tmp_path / "out") == read(tmp_path / "whole")


def test_hashes_of_texts_that_are_built_alike_differ(tmp_path: Path, table: Table) -> None:
    """DuckDB's own hash is the same for these two."""
    path = table([("http://x/1.jpg", "ca ba ca ha ca ba"), ("http://x/2.jpg", "ca ba co ha ca ha")])
    duck = DuckDb(Limits(500_000_000, 1, tmp_path / "temporary"))
    texts = duck.table(path)
    (row,) = duck.rows(texts.aggregate(hashes=duck.hashed(texts.caption).nunique()))
    duck.close()
    assert row["hashes"] == 2
