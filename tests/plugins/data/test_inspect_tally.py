"""Facts to a report: what is counted, over which samples, and how it is told."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from vlc_plugin_data.inspecting.facts import Facts, describe
from vlc_plugin_data.inspecting.header import Header
from vlc_plugin_data.inspecting.report import Report
from vlc_plugin_data.inspecting.shown import facts_of, measures_of, number, sparkline
from vlc_plugin_data.inspecting.spread import Bar
from vlc_plugin_data.inspecting.tally import report_on
from vlc_plugin_data.inspecting.terminal_report import as_text, one_line


def sample(i: int, *texts: str, size: tuple[int, int] = (40, 20), content: int | None = None, **more: Any) -> Facts:
    head = Header(*size, "JPEG")
    file: dict[str, Any] = {"key": f"k{i}", "bytes": 1_000 + i, "content": i if content is None else content} | more
    return Facts(i, reason="", header=head, captions=describe(texts), **file)


def report(*facts: Facts, **more: Any) -> Report:
    about: dict[str, Any] = {"name": "here", "spec": "{use: there}", "samples": len(facts)} | more
    return report_on(facts, **about)


CAPTIONED = (
    sample(0, "a dog", "a dog", "a black dog runs"),
    sample(1, "a dog", size=(10, 30)),
    sample(2, "", " "),
    sample(3, "a c\ufffdt", content=0),
    sample(4, key="k1"),
    Facts(5, "k5", "the file is empty"),
    Facts(6, "", "there is no file b.jpg"),
)


def test_counts_are_of_the_sound_samples() -> None:
    found = report(*CAPTIONED, samples=70)
    assert (found.samples, found.examined, found.sound) == (70, 7, 5)
    assert [tuple(one) for one in found.broken] == [(5, "k5", "the file is empty"), (6, "", "there is no file b.jpg")]
    assert found.formats == {"JPEG": 5}
    assert (found.captions, found.captioned, found.empty_captions, found.garbled_captions) == (5, 3, 2, 1)
    assert found.without_caption == ("k2", "k1")
    assert [tuple(one) for one in found.duplicate_keys] == [("k1", 2)]
    assert found.identical_files == 1


def test_measures_are_of_images_and_of_captions() -> None:
    spreads = {name: measure.spread for name, measure in report(*CAPTIONED).measures.items()}
    assert {name: (s.values, s.minimum, s.maximum) for name, s in spreads.items() if s} == {
        "bytes": (5, 1_000, 1_004),
        "width": (5, 10, 40),
        "height": (5, 20, 30),
        "shorter side": (5, 10, 20),
        "aspect ratio": (5, 0.333, 2.0),
        "captions per image": (3, 1, 3),
        "caption words": (5, 2, 4),
        "caption characters": (5, 5, 16),
    }


def test_a_caption_twice_on_an_image_is_one_image_of_that_concept() -> None:
    concepts = report(*CAPTIONED).concepts["caption"]
    assert concepts.distinct == 3
    assert [tuple(one) for one in concepts.common] == [("a dog", 2)]
    assert concepts.images.spread is not None
    assert (concepts.images.spread.minimum, concepts.images.spread.maximum) == (1, 2)


def test_classes_are_counted_in_the_order_of_their_labels_empty_ones_too() -> None:
    found = report(sample(0, label=2), sample(1, label=2), sample(2, label=0), sample(3), classes=["a", "b", "c"])
    assert found.classes is not None
    assert [tuple(one) for one in found.classes] == [("a", 1), ("b", 0), ("c", 2)]
    assert found.labelled == 3
    assert found.concepts["class"].distinct == 2
    assert [tuple(one) for one in found.concepts["class"].common] == [("c", 2), ("a", 1)]
    assert found.without_caption == ()
    assert facts_of(found)["classes"] == "3, 1 of them without image, 1 samples without label"


def test_keys_that_are_not_given_are_no_duplicates() -> None:
    assert report(sample(0, key=""), sample(1, key="")).duplicate_keys == ()


def test_vectors_are_measured_by_their_length() -> None:
    found = report(Facts(0, "a", "", Header(512, 1, "vector"), content=1))
    assert set(found.measures) == {"vector length"}


def test_tokens_are_a_measure_where_they_were_counted() -> None:
    counted = sample(0)._replace(captions=describe(["a b c"], lambda texts: [7] * len(texts)))
    measure = report(counted).measures["caption tokens"]
    assert measure.spread is not None
    assert measure.spread.median == 7


def test_the_json_is_plain() -> None:
    plain = json.loads(json.dumps(report(*CAPTIONED, classes=["x"]).as_json()))
    assert plain["broken"][0] == {"sample": 5, "key": "k5", "reason": "the file is empty"}
    assert plain["classes"] == {"x": 0}
    assert plain["measures"]["width"]["spread"]["maximum"] == 40
    assert sum(bar["values"] for bar in plain["measures"]["width"]["bars"]) == 5
    assert plain["concepts"]["caption"]["common"] == [{"name": "a dog", "samples": 2}]


def test_the_tables_say_it_all() -> None:
    told = as_text(report(*CAPTIONED, samples=70)).splitlines()
    assert told[0] == "here"
    for line in [
        "read as           {use: there}",
        "samples           70",
        "examined          7 (headers only; --decode finds files that are cut short)",
        "broken            2 (28.6 %)",
        "formats           JPEG 5",
        "captions          5 on 3 samples, 3 distinct",
        "without caption   2 (40.0 %)",
        "empty captions    2",
        "garbled captions  1 with bytes that are no UTF-8",
        "classes           none",
        "duplicate keys    1 keys on several samples",
        "identical files   1 byte for byte like an earlier one",
        "6              there is no file b.jpg",
        "     2   a dog",
    ]:
        assert line in told, line
    assert any(line.startswith("width ") and line.split()[1:5] == ["10", "40", "34", "40"] for line in told)


def test_long_lists_are_cut_and_say_so() -> None:
    told = as_text(report(sample(0), *(Facts(i, f"k{i}", "the file is empty") for i in range(1, 31))))
    assert told.count("the file is empty") == 10
    assert "… and 20 more" in told


def test_what_captions_hold_cannot_move_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    evil = "a\x1b[2Jb\r\nc\u202ed"
    told = as_text(report(sample(0, evil, key=evil), sample(1, evil, key=evil), classes=[evil]))
    assert "a [2Jb c d" in told
    assert not set("\x1b\r\u202e") & set(told)
    assert "\u202e" not in one_line(evil)


@pytest.mark.parametrize(("value", "shown"), [(3.0, "3"), (12_345.6, "12,346"), (15.25, "15.2"), (0.333, "0.33")])
def test_numbers_are_written_with_the_digits_that_matter(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_line_of_blocks_shows_the_smallest_bar() -> None:
    assert sparkline([Bar(0, 1, 1_000), Bar(1, 2, 1), Bar(2, 3, 0), Bar(3, 4, 500)]) == "█▁ ▄"


def test_measures_stand_in_one_order() -> None:
    assert list(measures_of(report(*CAPTIONED)))[-1] == "images per caption"
