"""Numbers, tables and JSON as people and programs read them."""

from __future__ import annotations

import json

import pytest

from vlc_cli import console


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (51_200, "51,200"),
        (999_999, "999,999"),
        (3_400_000, "3.4 M"),
        (1_234_567_890, "1.23 G"),
    ],
)
def test_counts(number, shown):
    assert console.count(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1:00 min"),
        (65, "1:05 min"),
        (3600, "1:00:00 h"),
        (7400, "2:03:20 h"),
    ],
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
        ("samples", 1.0, "1"),
    ],
)
def test_shares_are_percent_and_other_numbers_stay(name, value, shown):
    assert console.metric_rows({name: value}) == [(name.replace("_", " "), shown)]


def test_a_table_is_aligned_and_every_row_is_a_line_where_nobody_looks():
    shown = console.table(("name", "n", "what"), [("a", "10", "x " * 200), ("long-name", "9", "y")], right=("n",))
    assert [line[:20].rstrip() for line in shown.splitlines()] == [
        "name         n   wha",
        "─────────   ──   ───",
        "a           10   x x",
        "long-name    9   y",
    ]


def test_a_terminal_wraps_the_last_column_only(terminal):
    terminal(40)
    lines = console.table(("name", "what"), [("a-long-name", "word " * 20)]).splitlines()
    assert sum("a-long-name" in line for line in lines) == 1
    assert sum("word" in line for line in lines) > 1
    assert all(len(line) <= 40 for line in lines if "\x1b" not in line)


def test_a_last_column_may_be_empty():
    assert console.table(("name", ""), [("a", "")]).splitlines()[-1] == "a"


def test_emphasis_shows_on_a_terminal_only(terminal, monkeypatch):
    assert console.bold("x") == console.dim("x") == "x"
    terminal(80)
    assert console.bold("x") == "\x1b[1mx\x1b[0m"
    assert console.dim("x") == "\x1b[2mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert console.bold("x") == "x"


def test_a_notice_comes_and_goes_on_a_terminal_only(terminal, capsys):
    notice = console.Notice()
    notice.show("wait")
    notice.clear()
    assert capsys.readouterr().out == ""
    terminal()
    notice.show("wait")
    assert capsys.readouterr().out == "\x1b[2mwait\x1b[0m"
    notice.clear()
    notice.clear()
    assert capsys.readouterr().out == "\r\x1b[2K"


def test_a_title_stands_above_the_table():
    assert console.table(("a",), [("b",)], title="Title").splitlines()[0] == "Title"


def test_a_listing_puts_texts_below_one_another():
    assert console.listing({"a": "1", "bcd": "2"}) == "a    1\nbcd  2\n"


def test_a_line_of_many_metrics_keeps_what_tells_most():
    many = {f"i2t_recall@{k}": 0.5 for k in (1, 5, 10)} | {"i2t_median_rank": 1.0, "t2i_recall@1": 0.25}
    many |= {"t2i_recall@5": 0.5, "mean_recall": 0.4, "images": 100.0}
    assert console.metric_line(many) == "i2t recall@1 50.0 % · t2i recall@1 25.0 % · mean recall 40.0 %"
    assert console.metric_line({"top1": 0.5, "classes": 10.0}) == "top1 50.0 %"
    assert console.metric_line({"median_rank": 3.0}) == "median rank 3"


def test_json_is_readable_and_keeps_letters(capsys):
    console.say_json([{"name": "é"}])
    told = capsys.readouterr().out
    assert "é" in told
    assert json.loads(told) == [{"name": "é"}]


@pytest.mark.parametrize(
    "name",
    [
        "strength",
        "silhouette",
        "against_silhouette",
        "shots_to_match_zero_shot",
        "k",
        "sts",
        "sis_deviation",
        "languages",
    ],
)
def test_what_is_no_share_is_not_told_in_percent(name):
    assert "%" not in console.metric_rows({name: 1.0})[0][1]
    assert "%" in console.metric_rows({"zero_shot": 1.0})[0][1]
