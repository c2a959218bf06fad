"""Captioned photographs as small copies, whole and in parts, and the same with the noise that alt-texts have.

Drawn from Flickr8k and CIFAR-10; only what is made here is read by the runs. The last shard is never trained on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results.pictures import Row, copied_folders, copied_photographs, with_wrong_texts, write_tables
from benchmarks.results.place import Place

SHARED = (
    "click to enlarge the picture",
    "image may be subject to copyright",
    "stock photo free download",
    "photo of the day",
    "thumbnail image for this post",
    "view larger version of this",
    "picture from our summer gallery",
    "no description available here",
    "share this on your page",
    "photograph by one of our readers",
)
"""Texts that stand beside many images and say nothing about any."""
NOISE = {"wrong": 0.2, "shared": 0.2, "rare": 0.2}
"""Shares of pairs with another image's caption, with one of the texts above, and with words that nobody else uses."""


def prepare(data: Path, out: Path) -> None:
    """Writes ``images/`` and the tables into ``out``."""
    (out / "images").mkdir()
    *shards, last = sorted((data / "flickr8k_wds").glob("*.tar"))
    train, test = list(copied_photographs(shards, out)), list(copied_photographs([last], out))
    pairs = _shuffled([{"image": row["image"], "text": text} for row in train for text in row["text"]])
    noisy = with_noise(pairs)
    cifar = {f"cifar-{split}": copied_folders(data / "cifar10" / split, out, split) for split in ("train", "val")}
    tables = {
        **cifar,
        "test": test,
        "right": pairs,
        "right-quarter": _of_images(pairs, train, 4),
        "noisy": noisy,
        "noisy-half": _of_images(noisy, train, 2),
    }
    write_tables(tables, out)
    filtered(out, Place(work=out.parent, data=data))


def filtered(out: Path, place: Place) -> None:
    """What ALIGN's filter leaves of the noisy pairs, as ``out/filtered/list.parquet``.

    Its sizes are for whole photographs, not for small copies; and of so few texts the words of two at least are known,
    where the paper takes the hundred million most frequent of billions, pairs of words included.
    """
    sizes, words = ("--min-side", "off", "--max-aspect", "off"), ("--no-bigrams", "--min-count", "2")
    place.call("vlc", "data", "clean", str(out / "noisy.jsonl"), "--out", str(out / "filtered"), *sizes, *words)
    report = json.loads((out / "filtered" / "report.json").read_text())
    print(f"filtered: {report['kept']['pairs']} rows")


def with_noise(pairs: Sequence[Row]) -> list[Row]:
    """The same images in the same order, where some have texts of the three kinds of noise."""
    draw = random.Random(2)
    wrong, shared, rare = (round(share * len(pairs)) for share in NOISE.values())
    rows = with_wrong_texts(list(pairs[:wrong]), 1.0)
    rows += [{**row, "text": draw.choice(SHARED)} for row in pairs[wrong : wrong + shared]]
    rows += [{**row, "text": _made_up(draw)} for row in pairs[wrong + shared : wrong + shared + rare]]
    return _shuffled([*rows, *pairs[wrong + shared + rare :]])


def _made_up(draw: random.Random) -> str:
    """What a camera or a shop might call an image."""
    return " ".join(f"{draw.choice(('dsc', 'img', 'sku', 'ref'))}{draw.getrandbits(28):07x}" for _ in range(4))


def _of_images(pairs: Sequence[Row], images: Sequence[Row], part: int) -> list[Row]:
    """The pairs of one in ``part`` of the images."""
    chosen = {row["image"] for row in images[::part]}
    return [row for row in pairs if row["image"] in chosen]


def _shuffled(rows: list[Row]) -> list[Row]:
    return random.Random(3).sample(rows, len(rows))
