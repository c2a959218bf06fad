"""Small copies of real images and tables of them: labelled ones, captioned ones, and parts of either.

Drawn from a folder of CIFAR-10, Caltech-101, OpenMoji and Flickr8k images; only what is made here is read by the runs.
"""

from __future__ import annotations

import io
import json
import random
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

SIDE = 40
"""The shorter side of the copies; crops of them become 32 pixels."""
CALTECH_TRAIN = 15
"""Images of each of Caltech's classes that are trained on; five are left to measure on."""

Row = dict[str, Any]


def prepare(data: Path, out: Path) -> None:
    """Writes ``images/`` and the tables into ``out``."""
    (out / "images").mkdir()
    cifar = {split: _folders(data / "cifar10" / split, out, f"cifar-{split}") for split in ("train", "val")}
    caltech = _folders(data / "caltech101", out, "caltech")
    train, test = _cut(caltech, CALTECH_TRAIN)
    labels = cifar["train"] + train
    emoji, photographs = list(_emoji(data / "openmoji", out)), list(_photographs(data / "flickr8k_wds", out))
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
        "pairs-worse": _with_wrong_texts(pairs, 0.5),
    }
    for name, rows in tables.items():
        (out / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        print(f"{name}: {len(rows)} images")


def _folders(folder: Path, out: Path, prefix: str) -> list[Row]:
    """A row for each image of a folder of class folders."""
    rows = []
    for number, path in enumerate(sorted(p for p in folder.glob("*/*") if p.suffix in {".png", ".jpg"})):
        with Image.open(path) as picture:
            name = _save(picture, out, f"{prefix}-{number:05d}")
        rows.append({"image": name, "label": path.parent.name.replace("_", " ").lower()})
    return rows


def _emoji(folder: Path, out: Path) -> Iterator[Row]:
    """Emoji that are not variants by skin tone, with their names and their groups."""
    for number, line in enumerate((folder / "manifest.jsonl").read_text().splitlines()):
        said = json.loads(line)
        if said["skintone"] == "":
            with Image.open(folder / said["file"]) as picture:
                name = _save(picture, out, f"emoji-{number:05d}")
            yield {"image": name, "text": [said["text"]], "label": said["group"].replace("-", " and ")}


def _photographs(folder: Path, out: Path) -> Iterator[Row]:
    """Photographs with five captions each."""
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            members = {member.name: member for member in tar if member.isfile()}
            for key in sorted(name.removesuffix(".jpg") for name in members if name.endswith(".jpg")):
                picture, said = (tar.extractfile(members[key + end]) for end in (".jpg", ".json"))
                assert picture is not None
                assert said is not None
                with Image.open(io.BytesIO(picture.read())) as opened:
                    name = _save(opened, out, f"photograph-{shard.stem}-{Path(key).name}")
                yield {"image": name, "text": json.loads(said.read())["captions"]}


def _save(picture: Image.Image, out: Path, name: str) -> str:
    """A copy on white whose shorter side is ``SIDE``; gives its path in ``out``."""
    if picture.mode in {"P", "LA", "RGBA"}:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    scale = SIDE / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    path = f"images/{name}.png"
    picture.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(out / path)
    return path


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


def _with_wrong_texts(rows: list[Row], share: float) -> list[Row]:
    """The same images, where ``share`` of them have each other's texts."""
    draw = random.Random(1)
    chosen = draw.sample(range(len(rows)), round(share * len(rows)))
    texts = [row["text"] for row in rows]
    for here, there in zip(chosen, chosen[1:] + chosen[:1], strict=True):
        texts[here] = rows[there]["text"]
    return [{"image": row["image"], "text": text} for row, text in zip(rows, texts, strict=True)]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower()) or [""]
