"""Small copies of real images and tables of them: labelled ones, captioned ones, and parts of either.

Drawn from a folder of CIFAR-10, Caltech-101, OpenMoji and Flickr8k images; only what is made here is read by the runs.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results.pictures import (
    Row,
    copied_folders,
    copied_photographs,
    save,
    with_wrong_texts,
    write_tables,
)
from PIL import Image

CALTECH_TRAIN = 15
"""Images of each of Caltech's classes that are trained on; five are left to measure on."""


def prepare(data: Path, out: Path) -> None:
    """Writes ``images/`` and the tables into ``out``."""
    (out / "images").mkdir()
    cifar = {split: copied_folders(data / "cifar10" / split, out, f"cifar-{split}") for split in ("train", "val")}
    caltech = copied_folders(data / "caltech101", out, "caltech")
    train, test = _cut(caltech, CALTECH_TRAIN)
    labels = cifar["train"] + train
    emoji = list(_emoji(data / "openmoji", out))
    photographs = list(copied_photographs(sorted((data / "flickr8k_wds").glob("*.tar")), out))
    pairs = photographs + [{k: row[k] for k in ("image", "text")} for row in emoji]
    tables = {
        "cifar-train": cifar["train"],
        "cifar-test": cifar["val"],
        "caltech-train": train,
        "caltech-test": test,
        "emoji-groups": emoji,
        "labels-100": labels,
        **{f"labels-{share}": _share_of_each_class(labels, share / 100) for share in (10, 30, 50)},
        "pairs": pairs,
        "pairs-half": _some(pairs, len(labels) // 2),
        "pairs-many": _some(pairs, len(pairs) // 4),
        "pairs-few": _of_common_words(pairs, len(pairs) // 4),
        "pairs-worse": with_wrong_texts(pairs, 0.5),
    }
    write_tables(tables, out)


def _emoji(folder: Path, out: Path) -> Iterator[Row]:
    """Emoji that are not variants by skin tone, with their names and their groups."""
    for number, line in enumerate((folder / "manifest.jsonl").read_text().splitlines()):
        said = json.loads(line)
        if said["skintone"] == "":
            with Image.open(folder / said["file"]) as picture:
                name = save(picture, out, f"emoji-{number:05d}")
            yield {"image": name, "text": [said["text"]], "label": said["group"].replace("-", " and ")}


def _cut(rows: list[Row], each: int) -> tuple[list[Row], list[Row]]:
    """The first ``each`` of every class, and the others."""
    seen: Counter[str] = Counter()
    first: list[Row] = []
    rest: list[Row] = []
    for row in rows:
        (first if seen[row["label"]] < each else rest).append(row)
        seen[row["label"]] += 1
    return first, rest


def _share_of_each_class(rows: list[Row], share: float) -> list[Row]:
    by_class: dict[str, list[Row]] = {}
    for row in rows:
        by_class.setdefault(row["label"], []).append(row)
    return [row for members in by_class.values() for row in members[: max(1, round(share * len(members)))]]


def _some(rows: list[Row], count: int) -> list[Row]:
    return random.Random(0).sample(rows, count)


def _of_common_words(rows: list[Row], count: int) -> list[Row]:
    """The rows whose rarest word is the most common: as good texts of fewer things."""
    uses = Counter(word for row in rows for word in {w for text in row["text"] for w in _words(text)})
    return sorted(rows, key=lambda row: -min(uses[word] for text in row["text"] for word in _words(text)))[:count]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower()) or [""]
