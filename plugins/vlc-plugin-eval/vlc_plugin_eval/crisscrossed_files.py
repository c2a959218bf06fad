"""The files of Crisscrossed Captions, and the captions of COCO that they name."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

import fsspec

from vlc_core.errors import DataError

Task = Literal["sts", "sis", "sits"]
TASKS: tuple[Task, ...] = ("sts", "sis", "sits")
SCORE = "agg_score"
_COLUMNS: Mapping[tuple[str, str], Task] = {
    ("caption1", "caption2"): "sts",
    ("image1", "image2"): "sis",
    ("caption", "image"): "sits",
}


class Rating(NamedTuple):
    """How alike people found two things, 0…5.

    Attributes:
        left: The number of the first, a caption or an image.
        right: The number of the second.
        score: The mean of their ratings.
    """

    left: int
    right: int
    score: float


class Caption(NamedTuple):
    """One caption of COCO.

    Attributes:
        image: The number of its image.
        text: What it says.
    """

    image: int
    text: str


def number_of(name: str) -> int | None:
    """The number in the name of an image or caption: 32001 of ``COCO_val2014_000000032001.jpg``; None without one."""
    found = re.findall(r"\d+", PurePosixPath(name).stem)
    return int(found[-1]) if found else None


def read_ratings(paths: Iterable[str]) -> dict[Task, list[Rating]]:
    """The ratings of all files, by task.

    Raises:
        DataError: A file cannot be read, or is not one of aggregated ratings.
    """
    ratings: dict[Task, list[Rating]] = {task: [] for task in TASKS}
    for path in paths:
        rows = csv.reader(_text(path).splitlines())
        header = next(rows, [])
        task = _COLUMNS.get((header[0], header[1])) if len(header) > 2 and header[2] == SCORE else None
        if task is None:
            raise DataError(
                f"{path} begins with {','.join(header)!r}, which is no file of Crisscrossed Captions: give sts_*.csv, "
                f"sis_*.csv and sits_*.csv, whose third column is {SCORE} (not those that end in _raw.csv)"
            )
        ratings[task] += [_rating(path, line, row) for line, row in enumerate(rows, start=2) if row]
    return ratings


def read_captions(path: str) -> dict[int, Caption]:
    """Captions by number, from COCO's ``captions_*.json``, Karpathy's ``dataset_coco.json`` or JSON lines.

    A line of the last holds ``image``, ``captions`` and ``caption_ids``.

    Raises:
        DataError: The file cannot be read, or is none of them.
    """
    text = _text(path)
    try:
        return dict(_captions(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} holds no numbered captions ({type(error).__name__}: {error}): give COCO's captions_*.json, "
            "Karpathy's dataset_coco.json, or JSON lines with image, captions and caption_ids"
        ) from error


def _rating(path: str, line: int, row: list[str]) -> Rating:
    try:
        left, right, score = number_of(row[0]), number_of(row[1]), float(row[2])
    except (IndexError, ValueError):
        left = right = None
        score = math.nan
    if left is None or right is None or not math.isfinite(score):
        raise DataError(
            f"{path}, line {line}: {','.join(row)!r} does not name two things and a number for how alike they are"
        )
    return Rating(left, right, score)


def _captions(text: str) -> Iterator[tuple[int, Caption]]:
    first = text.lstrip().split("\n", 1)[0]
    if '"captions"' in first and '"caption_ids"' in first:
        for line in filter(str.strip, text.splitlines()):
            yield from _of_line(json.loads(line))
        return
    document = json.loads(text)
    if "annotations" in document:
        for one in document["annotations"]:
            yield int(one["id"]), Caption(int(one["image_id"]), str(one["caption"]))
        return
    for image in document["images"]:
        for sentence in image["sentences"]:
            yield int(sentence["sentid"]), Caption(_image_number(image["filename"]), str(sentence["raw"]))


def _of_line(row: dict[str, Any]) -> Iterator[tuple[int, Caption]]:
    image = _image_number(row["image"])
    for number, text in zip(row["caption_ids"], row["captions"], strict=True):
        yield int(number), Caption(image, str(text))


def _image_number(name: str) -> int:
    number = number_of(name)
    if number is None:
        raise ValueError(f"the image {name!r} has no number")
    return number


def _text(path: str) -> str:
    try:
        with fsspec.open(path, "r", encoding="utf-8") as file:
            text: str = file.read()
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return text
