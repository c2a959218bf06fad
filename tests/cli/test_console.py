"""Numbers, tables and JSON as people and programs read them."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from vlc_cli import console


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (999, "999"), (51_200, "51,200"), (999_999, "999,999"), (3_400_000, "3.4 M"), (1_234_567_890, "1.23 G")],
)
def test_counts(number, shown):
    assert console.count(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (65, "1:05 min"), (3600, "1:00:00 h"), (7400, "2:03:20 h")],
)
def test_durations(seconds, shown):
    assert console.duration(seconds) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("top1", 0.9731, "97.3 %"),
        ("top1", 0, "0.0 %"),
        ("top1", 1.0, "100.0 %"),
        ("median_rank", 1.0, "1"),
        ("median_rank", 2.5, "2.5"),
        ("images", 359.0, "359"),
    ],
)
def test_shares_are_percent_and_other_numbers_stay(name, value, shown):
    assert console.metric_rows({name: value}) == [(name.replace("_", " "), shown)]


def printed(table, *, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, _environ={}).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_table_folds_its_last_column_only():
    lines = printed(console.table(("name", "what"), [("a-long-name", "word " * 10)]), width=40)
    assert sum("a-long-name" in line for line in lines) == 1
    assert sum("word" in line for line in lines) > 1


def test_cells_are_no_markup():
    assert any("[bold]" in line for line in printed(console.table(("a",), [("[bold]",)]), width=40))


def test_json_is_readable_and_keeps_letters(capsys):
    console.say_json([{"name": "é"}])
    told = capsys.readouterr().out
    assert "é" in told
    assert json.loads(told) == [{"name": "é"}]
