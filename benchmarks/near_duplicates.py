"""What perceptual hashes find of copies, what they take for copies by mistake, and how fast pairs are found.

Run: ``python benchmarks/near_duplicates.py [--data FOLDER] [--train N] [--reference M] [--what looks|search|all]``.

*looks*: the 700 photographs of ``FOLDER/flickr8k``, each changed as copies are; the share that is found by the 64 bits
alone, and with the fine hash that confirms them. Then the same two counts over all pairs with the 6,091 other
photographs of ``FOLDER/flickr8k_wds``, none of which is a copy: every pair that is found is a mistake.

*search*: all pairs within the radius among N random hashes and M others of which 1,000 are near one of the N, in
seconds of one thread: looking at all pairs, looking up parts, and usearch's graph over Hamming distances, with what it
finds of the pairs that are there.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from usearch.index import Index

from vlc_core.loading.picture import Picture
from vlc_core.loading.vectors import as_picture
from vlc_plugin_curate.near import hamming
from vlc_plugin_curate.near.fingerprints import Fingerprints, fingerprints
from vlc_plugin_curate.near.looks import RADIUS, near_looks
from vlc_plugin_data.manifest import Manifest
from vlc_plugin_data.webdataset import WebDataset

NEAR = 1_000
PROCESSOR = time.process_time

Change = Callable[[Image.Image], Image.Image]


def compressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(BytesIO(buffer.getvalue())).convert("RGB")


def cropped(picture: Image.Image, share: float, draw: random.Random) -> Image.Image:
    """Without ``share`` of the width and of the height, at a place drawn at random."""
    across, down = round(picture.width * share), round(picture.height * share)
    left, top = draw.randint(0, across), draw.randint(0, down)
    return picture.crop((left, top, left + picture.width - across, top + picture.height - down))


def changes() -> dict[str, Change]:
    draw = random.Random(0)
    return {
        "half the size": lambda p: p.resize((p.width // 2, p.height // 2), Image.Resampling.BICUBIC),
        "squashed to 96 × 96": lambda p: p.resize((96, 96), Image.Resampling.BILINEAR),
        "JPEG, quality 20": lambda p: compressed(p, 20),
        "20 % brighter": lambda p: p.point(lambda v: min(255, int(v * 1.2))),
        "grey": lambda p: p.convert("L").convert("RGB"),
        "white frame of 3 %": lambda p: ImageOps.expand(p, max(2, round(0.03 * p.width)), "white"),
        "black frame of 8 %, JPEG": lambda p: compressed(ImageOps.expand(p, round(0.08 * p.width), "black"), 50),
        "cut by 2 %": lambda p: cropped(p, 0.02, draw),
        "cut by 5 %": lambda p: cropped(p, 0.05, draw),
        "cut by 4 %, small, JPEG": lambda p: compressed(cropped(p, 0.04, draw).resize((120, 120)), 40),
        "cut by 10 %": lambda p: cropped(p, 0.10, draw),
    }


def coarse(left: Fingerprints, right: Fingerprints) -> hamming.Near:
    """The pairs by the 64 bits alone: the fine hashes are taken out."""
    return near_looks(without_fine(left), without_fine(right), RADIUS)


def without_fine(prints: Fingerprints) -> Fingerprints:
    rows = prints.rows.copy()
    rows["fine"] = 0
    return Fingerprints(rows)


def looks(folder: Path) -> None:
    photographs = Manifest(path=str(folder / "flickr8k" / "pairs.jsonl"))
    pictures = [Picture(as_picture(photographs[i].image)).pil() for i in range(len(photographs))]
    whole = fingerprints(photographs)
    print(f"{len(pictures)} photographs, radius {RADIUS}: share of the copies found by 64 bits, and confirmed")
    for name, change in changes().items():
        copies = fingerprints([("", change(picture)) for picture in pictures])
        found = [
            int((near.left == near.right).sum()) / len(pictures)
            for near in (coarse(copies, whole), near_looks(copies, whole))
        ]
        print(f"{name:28} {found[0]:6.1%} {found[1]:6.1%}")
    others = WebDataset(path=str(folder / "flickr8k_wds" / "*.tar"))
    started = PROCESSOR()
    prints = fingerprints(others)
    rate = len(others) / (PROCESSOR() - started)
    mistakes = [len(near.left) for near in (coarse(prints, whole), near_looks(prints, whole))]
    print(
        f"pairs of different photographs: {len(prints) * len(whole):,}; taken for copies: {mistakes[0]}, {mistakes[1]}"
    )
    print(f"96 × 96 JPEG decoded and hashed: {rate:,.0f} a second of one core")


def hashes(train: int, reference: int) -> tuple[hamming.Hashes, hamming.Hashes]:
    draw = np.random.default_rng(0)
    left = draw.integers(0, 2**64, train, dtype=np.uint64)
    right = draw.integers(0, 2**64, reference, dtype=np.uint64)
    for row in range(NEAR):
        flips = draw.choice(64, row % (RADIUS + 1), replace=False).astype(np.uint64)
        right[row] = left[row * (train // NEAR)] ^ np.bitwise_or.reduce(np.uint64(1) << flips, initial=np.uint64(0))
    return left, right


def by_graph(left: hamming.Hashes, right: hamming.Hashes) -> Iterator[str]:
    index = Index(ndim=64, metric="hamming", dtype="b1")
    started = PROCESSOR()
    index.add(np.arange(len(right)), right.view(np.uint8).reshape(-1, 8), threads=1)
    built = PROCESSOR() - started
    started = PROCESSOR()
    found = index.search(left.view(np.uint8).reshape(-1, 8), 4, threads=1)
    near = int((np.asarray(found.distances) <= RADIUS).sum())
    yield f"usearch, 4 nearest           {built + PROCESSOR() - started:8.1f} s   {near:,} pairs"


def search(train: int, reference: int) -> None:
    left, right = hashes(train, reference)
    print(f"{train:,} × {reference:,} hashes, {NEAR:,} pairs within {RADIUS} bits, seconds of one core")
    for name, few in (("all pairs", 1 << 62), ("by parts", 0)):
        hamming.FEW = few
        started = PROCESSOR()
        near = hamming.pairs_within(left, right, RADIUS)
        print(f"{name:28} {PROCESSOR() - started:8.1f} s   {len(near.left):,} pairs")
    print(*by_graph(left, right), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("VLC_TEST_DATA", "../shared/data"))
    parser.add_argument("--train", type=int, default=1_000_000)
    parser.add_argument("--reference", type=int, default=10_000)
    parser.add_argument("--what", choices=["looks", "search", "all"], default="all")
    chosen = parser.parse_args()
    if chosen.what != "search":
        looks(Path(chosen.data))
    if chosen.what != "looks":
        search(chosen.train, chosen.reference)


if __name__ == "__main__":
    main()
