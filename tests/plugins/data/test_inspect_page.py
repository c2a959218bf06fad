"""The page: no script, nothing from outside, every text escaped, pictures inside it."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from vlc_core import DataError, Dataset, Sample
from vlc_plugin_data.inspecting.facts import look
from vlc_plugin_data.inspecting.page import as_page, chart, ranges
from vlc_plugin_data.inspecting.report import Measure, Report
from vlc_plugin_data.inspecting.sheet import Thumbnail, contact_sheet
from vlc_plugin_data.inspecting.spread import bars, spread
from vlc_plugin_data.inspecting.tally import report_on

CANARY = "<script>alert('canary')</script>\"'><img src=http://evil.example/x onerror=alert(1)>"
VOID = {"meta", "img", "br", "rect"}


class Pictures(Dataset):
    """Photographs of some sizes, every third cut short."""

    def __init__(self, number: int, text: str = "a dog", size: tuple[int, int] = (640, 480)) -> None:
        self.classes = [text, "other"]
        self._number, self._text, self._size = number, text, size

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index: int) -> Sample:
        buffer = io.BytesIO()
        Image.new("RGB", self._size, (index % 256, 0, 0)).save(buffer, "JPEG")
        data = buffer.getvalue()[: 200 if index % 3 == 2 else None]
        return Sample(data, (self._text, f"{self._text} {index}"), index % 2, f"{self._text}-{index % 5}")


class Read(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def inspected(dataset: Dataset, name: str, thumbnails: int = 12) -> tuple[Report, tuple[Thumbnail, ...]]:
    facts = [look(dataset, i, decoded=True) for i in range(len(dataset))]
    report = report_on(
        facts, name=name, spec=f"{{use: {name}}}", samples=len(dataset), classes=dataset.classes, note=name
    )
    return report, tuple(contact_sheet(dataset, range(len(dataset)), thumbnails))


def test_whatever_the_data_says_stays_text() -> None:
    page = as_page([inspected(Pictures(30, CANARY), CANARY)])
    read = Read(page)
    assert read.open == []
    assert "<script" not in page
    assert "script" not in {tag for tag, _ in read.tags}
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert read.text.count(CANARY) > 20  # title, heading, classes, captions, keys: all are there, as text
    sources = [attributes["src"] for _, attributes in read.tags if "src" in attributes]
    assert len(sources) == 12
    assert all(source is not None and source.startswith("data:image/") for source in sources)


def test_nothing_comes_from_outside_and_the_browser_is_told_so() -> None:
    page = as_page([inspected(Pictures(9), "here")])
    written = re.sub(r'data:image/[^"]*', "", page)
    assert not re.search(r"https?:|//|@import|url\(|<link|<iframe|<base|<object", written)
    policy = next(a for tag, a in Read(page).tags if a.get("http-equiv") == "Content-Security-Policy")["content"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert "prefers-color-scheme: dark" in page


def test_the_page_says_what_the_tables_say() -> None:
    text = " ".join(Read(as_page([inspected(Pictures(30), "here"), inspected(Pictures(3), "there")])).text.split())
    assert "here" in text
    assert "there" in text
    assert "broken 10 (33.3 %)" in text
    assert "JPEG 20" in text
    assert "Broken: training would pass these over" in text
    assert "2 a dog-2 the image is broken" in text
    assert "Contact sheet: 12 samples drawn at random" in text
    assert "2 classes, the largest first" in text
    assert "Captions of several images, the most frequent first" in text
    assert "a dog-0 · 640×480" in text


def test_many_classes_unfold() -> None:
    dataset = Pictures(6)
    assert dataset.classes is not None
    dataset.classes += [f"class {i}" for i in range(100)]
    text = " ".join(Read(as_page([inspected(dataset, "here")])).text.split())
    assert "62 more" in text
    assert "class 99" in text


def test_a_source_without_a_sound_sample_has_a_page_too() -> None:
    report, sheet = inspected(Pictures(30), "here")
    broken = report_on([look(Pictures(3), 2, decoded=True)], name="bad", spec="{}", samples=1)
    assert sheet
    assert "Broken" in as_page([(report, ()), (broken, ())])


def test_thumbnails_are_small_and_keep_their_shape() -> None:
    for one in contact_sheet(Pictures(9), range(9), 4):
        kind, data = re.fullmatch(r"data:image/(\w+);base64,(.*)", one.uri).groups()  # type: ignore[union-attr]
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert (picture.format, picture.size) == (kind.upper(), (224, 168))
        assert (one.width, one.height, one.small) == (640, 480, False)


def test_small_pictures_lose_nothing() -> None:
    (one,) = contact_sheet(Pictures(1, size=(32, 24)), range(1), 1)
    with Image.open(io.BytesIO(base64.b64decode(one.uri.partition(",")[2]))) as picture:
        assert (picture.format, picture.size) == ("PNG", (32, 24))
    assert one.small


def test_the_sheet_is_drawn_by_seed_from_what_was_looked_at() -> None:
    dataset = Pictures(300)
    keys = [one.texts for one in contact_sheet(dataset, range(100, 200), 10, seed=3)]
    assert keys == [one.texts for one in contact_sheet(dataset, range(100, 200), 10, seed=3)]
    assert keys != [one.texts for one in contact_sheet(dataset, range(100, 200), 10, seed=4)]
    numbers = [int(texts[1].split()[-1]) for texts in keys]
    assert all(100 <= number < 200 and number % 3 != 2 for number in numbers)


def test_sets_without_pictures_have_no_sheet() -> None:
    class Vectors(Dataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Sample:
            if index == 1:
                raise DataError("the row has no vector")
            return Sample(np.ones(4, np.float32))

    report, sheet = inspected(Vectors(), "here")
    assert sheet == ()
    assert "Contact sheet" not in as_page([(report, sheet)])


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({1: 5, 2: 3}, ["1", "2"]),
        (dict.fromkeys(range(40), 1), [f"{i} – {i + 1}" for i in range(0, 40, 2)]),
        ({0.5: 1, 1.5: 1}, None),
    ],
)
def test_bars_say_what_they_stand_for(values: dict[float, int], shown: list[str] | None) -> None:
    measure = Measure(spread(values), bars(values))
    found = ranges(measure)
    assert found == shown if shown else (found[0], found[-1]) == ("0.50 – 0.55", "1.45 – 1.50")
    drawn = chart("n", measure)
    assert [column.title for column in drawn.columns] == [
        f"{title}: {bar.values}" for title, bar in zip(found, measure.bars, strict=True)
    ]


def test_a_bar_with_anything_in_it_shows() -> None:
    values = {0: 1_000_000, 1: 1, 2: 0, 3: 5}
    drawn = chart("n", Measure(spread(values), bars(values)))
    assert [column.height > 1 for column in drawn.columns] == [True, True, False, True]
    assert all(column.y + column.height == pytest.approx(84) for column in drawn.columns)
    assert (drawn.first, drawn.last, drawn.highest) == ("0", "3", "1,000,000")
