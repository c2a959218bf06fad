"""Copies are found whatever was done to them, and different pictures are not taken for copies."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageOps

from vlc_core import DataError
from vlc_core.loading.picture import Picture
from vlc_core.loading.vectors import as_picture
from vlc_plugin_curate.near import near_duplicates
from vlc_plugin_curate.near.fingerprints import FLAT, SOUND, Fingerprints, fingerprints
from vlc_plugin_curate.near.looks import near_looks
from vlc_plugin_curate.near.phash import INNER, UNFRAMED, WHOLE, look_at, without_frame
from vlc_plugin_data.manifest import Manifest
from vlc_plugin_data.webdataset import WebDataset

COUNT = 40


@pytest.fixture(scope="module")
def scenes(drawn: SimpleNamespace) -> list[Image.Image]:
    return [drawn.scene(seed) for seed in range(COUNT)]


@pytest.fixture(scope="module")
def originals(scenes: list[Image.Image]) -> Fingerprints:
    return fingerprints([(str(i), picture) for i, picture in enumerate(scenes)])


@pytest.mark.parametrize(
    "change",
    ["half", "twice", "square", "quality 20", "crop 3 %", "white frame", "black bars", "frame, compressed", "brighter",
     "small, crop, compressed"],
)  # fmt: skip
def test_copies_of_drawings_are_found(
    scenes: list[Image.Image], originals: Fingerprints, drawn: SimpleNamespace, change: str
) -> None:
    copies = fingerprints([("", drawn.changes[change](picture)) for picture in scenes])
    near = near_looks(copies, originals)
    assert np.array_equal(near.left, near.right), "a pair of different pictures"
    assert len(near.left) >= 0.95 * COUNT


def test_a_copy_may_be_on_either_side(scenes: list[Image.Image], originals: Fingerprints) -> None:
    framed = fingerprints([("", ImageOps.expand(picture, 12, "white")) for picture in scenes])
    assert len(near_looks(originals, framed).left) == len(near_looks(framed, originals).left) == COUNT


def test_different_drawings_are_not_near(originals: Fingerprints) -> None:
    near = near_looks(originals, originals)
    assert np.array_equal(near.left, np.arange(COUNT))
    assert np.array_equal(near.right, np.arange(COUNT))
    assert not near.distance.any()


def test_copies_of_photographs_are_found_and_others_are_not(shared_data: Path, drawn: SimpleNamespace) -> None:
    photographs = Manifest(path=str(shared_data / "flickr8k" / "pairs.jsonl"))
    some = [as_picture(photographs[i].image) for i in range(0, 300, 8)]
    whole = fingerprints([("", image) for image in some])
    pictures = [Picture(image).pil() for image in some]
    for name in ("square", "quality 20", "crop 3 %", "white frame", "small, crop, compressed"):
        near = near_looks(fingerprints([("", drawn.changes[name](picture)) for picture in pictures]), whole)
        assert np.array_equal(near.left, near.right), name
        assert len(near.left) >= 0.97 * len(some), name


def test_no_photograph_is_taken_for_another(shared_data: Path) -> None:
    """Other photographs of the same kind: 45,000 pairs, none of which is a copy."""
    left = Manifest(path=str(shared_data / "flickr8k" / "pairs.jsonl"))
    right = WebDataset(path=str(shared_data / "flickr8k_wds" / "00000.tar"))
    some = [("", as_picture(left[i].image)) for i in range(150)]
    others = [("", as_picture(right[i].image)) for i in range(300)]
    assert len(near_duplicates(some, others)) == 0


@pytest.mark.parametrize("colour", ["white", "black", (12, 200, 90)])
def test_plain_pictures_are_near_nothing(drawn: SimpleNamespace, colour: str) -> None:
    plain = Image.new("RGB", (64, 48), colour)
    found = fingerprints([("", plain), ("", drawn.encoded(plain, 30)), ("", drawn.scene(1))])
    assert found.rows["state"].tolist() == [FLAT, FLAT, SOUND]
    assert found.flat == 2
    assert near_looks(found, found).left.tolist() == [2]


def test_a_plain_picture_in_a_frame_is_plain() -> None:
    assert look_at(ImageOps.expand(Image.new("RGB", (60, 60), "white"), 6, "black")).flat


def test_a_frame_is_taken_off_to_the_pixel(drawn: SimpleNamespace) -> None:
    grey = drawn.scene(3).convert("L")
    framed = ImageOps.expand(grey, (7, 5, 3, 0), 255)
    assert without_frame(framed).size == grey.size
    assert np.array_equal(np.asarray(without_frame(framed)), np.asarray(grey))


def test_most_of_a_picture_is_no_frame() -> None:
    page = Image.new("L", (100, 100), 255)
    page.paste(0, (40, 40, 60, 60))
    assert without_frame(page) is page


def test_the_three_hashes_are_of_three_parts(drawn: SimpleNamespace) -> None:
    picture = drawn.scene(4)
    plain, framed = look_at(picture), look_at(ImageOps.expand(picture, 12, "white"))
    assert plain.hashes[WHOLE] == plain.hashes[UNFRAMED] != plain.hashes[INNER]
    assert framed.hashes[UNFRAMED] == plain.hashes[WHOLE] != framed.hashes[WHOLE]
    assert np.bitwise_count(framed.fine[INNER] ^ plain.fine[INNER]).sum() <= 16  # a line of the ground may go along
    assert (framed.width, framed.height) == (184, 144)


def test_broken_files_are_named(drawn: SimpleNamespace) -> None:
    with pytest.raises(DataError, match="not an image"):
        look_at(b"no image")
    photograph = drawn.encoded(drawn.scene(1), 90)
    with pytest.raises(DataError, match="broken"):
        look_at(photograph[: len(photograph) // 2])
