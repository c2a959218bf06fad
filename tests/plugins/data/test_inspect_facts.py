"""What one sample tells: its size by the header, its captions, and why training would pass it over."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from vlc_core import DataError, Dataset, Sample
from vlc_core.loading import decode
from vlc_plugin_data.inspecting import header
from vlc_plugin_data.inspecting.facts import Facts, describe, look


@dataclass
class Fixed(Dataset):
    """The samples that it is given."""

    samples: list[Sample]
    classes: list[str] | None = field(default=None)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class Lost(Dataset):
    """Nothing that can be read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        raise DataError("there is no file a.jpg in this folder")


def encoded(width: int = 40, height: int = 20, kind: str = "JPEG", **options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(exif=exif)


def bomb() -> bytes:
    """A PNG of a few bytes whose header declares 400 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def facts(image: object, **more: object) -> Facts:
    return look(Fixed([Sample(image, **more)]), 0)  # type: ignore[arg-type]


def test_formats_are_those_that_training_reads() -> None:
    assert header.readable_formats is decode.readable_formats


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_size_and_format_come_from_the_header(kind: str) -> None:
    data = encoded(kind=kind)
    found = facts(data, key="a")
    assert (found.header, found.bytes, found.key, found.reason) == ((40, 20, kind), len(data), "a", "")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_upright_picture(orientation: int) -> None:
    data = turned(orientation)
    found = facts(data).header
    assert found is not None
    assert (found.width, found.height) == decode.decode(data).size


def test_a_file_that_is_cut_short_is_found_by_decoding_alone() -> None:
    data = encoded(200, 200)[:-3_000]
    assert facts(data).reason == ""
    assert look(Fixed([Sample(data)]), 0, decoded=True).reason != ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello", "not an image"),
        (b"<!doctype html><p>404", "a web page"),
        (encoded(kind="PNG")[:20], "image"),
        (bomb(), "pixels"),
    ],
    ids=["empty", "text", "web page", "cut off in the header", "bomb"],
)
def test_what_is_no_image_says_why(data: bytes, reason: str) -> None:
    found = facts(data, key="k")
    assert reason in found.reason
    assert found.key == "k"
    assert found.header is None


def test_postscript_is_no_image_here() -> None:
    found = facts(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n")
    assert "not an image" in found.reason


def test_what_the_dataset_cannot_read_is_a_reason_too() -> None:
    assert look(Lost(), 0) == Facts(0, "", "there is no file a.jpg in this folder")


def test_labels_beyond_the_classes_are_a_fault() -> None:
    dataset = Fixed([Sample(encoded(), label=2), Sample(encoded(), label=1)], classes=["a", "b"])
    assert look(dataset, 0).reason == "its label 2 is none of 2 classes"
    assert look(dataset, 1).label == 1


def test_drawn_pictures_and_vectors_have_no_file() -> None:
    drawn = facts(Image.new("RGB", (8, 6)))
    assert (drawn.header, drawn.bytes) == ((8, 6, "drawn"), 0)
    vector = facts(np.ones(512, np.float32))
    assert (vector.header, vector.bytes) == ((512, 1, "vector"), 0)


def test_captions_are_measured() -> None:
    one, blank, garbled = describe(["A small  dog.", " \n", "caf\ufffd"], lambda texts: [len(t) for t in texts])
    assert (one.text, one.characters, one.words, one.tokens, one.garbled) == ("A small  dog.", 13, 3, 13, False)
    assert (blank.characters, blank.words, blank.text) == (0, 0, "")
    assert garbled.garbled
    assert one.digest == describe(["A small  dog."])[0].digest != garbled.digest


def test_a_huge_caption_is_counted_whole_and_kept_in_part() -> None:
    (found,) = describe(["word " * 100_000])
    assert (found.words, found.characters) == (100_000, 500_000)
    assert len(found.text) < 200


def test_half_of_a_surrogate_pair_is_no_obstacle() -> None:
    assert describe(["\ud800"])[0].characters == 1


def test_equal_files_have_equal_digests() -> None:
    a, b, c = facts(encoded(), key="a"), facts(encoded(), key="b"), facts(encoded(41), key="c")
    assert a.content == b.content != c.content
