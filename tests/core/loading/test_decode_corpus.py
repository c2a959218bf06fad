"""Everything that a crawl brings, through the loader: a defined picture and text, or a reason and another sample."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from typing import Any, final

import numpy as np
import pytest
from PIL import Image

from vlc_core import Dataset, Sample, Transform
from vlc_core.loading.picture import Picture, fit
from vlc_core.tokenizer import MAX_CHARACTERS

RED, SIZE = (220, 30, 40), (20, 20)
Maker = Callable[[], bytes]


def file(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or Image.new("RGB", SIZE, RED)).save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> bytes:
    """Lies on its side: what is on the left of the file is at the top of the picture."""
    image = Image.new("RGB", SIZE, (0, 0, 0))
    image.paste(RED, (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    return file("JPEG", image, exif=exif, quality=95)


def palette() -> bytes:
    image = Image.new("P", SIZE, 1)
    image.putpalette([0, 0, 0, *RED])
    return file("PNG", image, transparency=0)


def see_through() -> bytes:
    image = Image.new("P", SIZE, 0)
    image.putpalette([0, 0, 0, *RED])
    return file("PNG", image, transparency=0)


def animated() -> bytes:
    frames = [Image.new("RGB", SIZE, (0, 0, 255))]
    return file("GIF", Image.new("RGB", SIZE, RED), save_all=True, append_images=frames)


def deep() -> bytes:
    return file("PNG", Image.fromarray(np.full(SIZE, 257 * 99, dtype=np.uint16)))


GOOD: dict[str, tuple[Maker, tuple[int, int, int]]] = {
    "JPEG": (lambda: file("JPEG", quality=95), RED),
    "progressive JPEG": (lambda: file("JPEG", quality=95, progressive=True), RED),
    "CMYK JPEG": (lambda: file("JPEG", Image.new("RGB", SIZE, RED).convert("CMYK"), quality=95), RED),
    "grey JPEG": (lambda: file("JPEG", Image.new("L", SIZE, 99), quality=95), (99, 99, 99)),
    "PNG": (lambda: file("PNG"), RED),
    "palette": (palette, RED),
    "transparent palette": (see_through, (255, 255, 255)),
    "transparent": (lambda: file("PNG", Image.new("RGBA", SIZE, (*RED, 0))), (255, 255, 255)),
    "16-bit": (deep, (99, 99, 99)),
    "1-bit": (lambda: file("PNG", Image.new("1", SIZE, 1)), (255, 255, 255)),
    "animated": (animated, RED),
    "WebP": (lambda: file("WEBP", lossless=True), RED),
    "one pixel": (lambda: file("PNG", Image.new("RGB", (1, 1), RED)), RED),
    "very long": (lambda: file("PNG", Image.new("RGB", (3000, 2), RED)), RED),
}

BAD: dict[str, tuple[Maker, str]] = {
    "nothing": (lambda: b"", "the file is empty"),
    "zeros": (lambda: bytes(5000), "the file is not an image"),
    "a web page": (lambda: b"<!doctype html><title>Not found</title>", "the file is not an image but a web page"),
    "a JPEG of text": (lambda: b"\xff\xd8\xff" + b"hello" * 100, "the file is not an image|the image is broken"),
    "half a JPEG": (lambda: file("JPEG", texture())[:-400], "the image is broken"),
    "half a PNG": (lambda: file("PNG", texture())[:-400], "the image is broken"),
    "half a WebP": (lambda: file("WEBP", texture())[:-200], "the image is broken|the file is not an image"),
    "numbers without a range": (lambda: file("TIFF", Image.new("F", SIZE)), "floating-point"),
}


def texture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", GOOD)
def test_odd_files_have_a_defined_picture(name: str) -> None:
    make, colour = GOOD[name]
    difference = np.abs(fit(Picture(make()), 8).astype(int) - colour)
    assert difference.max() <= 6


def test_a_photograph_that_lies_on_its_side_is_stood_up() -> None:
    upright = fit(Picture(turned()), 20).astype(int)
    assert np.abs(upright[:8] - RED).max() <= 12
    assert upright[12:].max() <= 12


@final
class Crawl(Dataset):
    """The bad files first, then good ones."""

    def __init__(self, texts: dict[str, tuple[str, ...]] | None = None) -> None:
        bad = [] if texts else [(name, make()) for name, (make, _) in BAD.items()]
        self.files = bad + [(name, make()) for name, (make, _) in GOOD.items()]
        self.captions = list((texts or {"a": ("picture",)}).items())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        name, data = self.files[index]
        return Sample(data, self.captions[index % len(self.captions)][1], key=name)


def test_bad_files_are_counted_with_their_reason_and_replaced(kit: Any) -> None:
    crawl = Crawl()
    maker = kit.maker(crawl)
    batch = maker(np.arange(len(crawl)))
    assert len(batch) == len(crawl)
    assert set(batch.keys) <= set(GOOD)
    assert {skipped.key for skipped in batch.skipped} == set(BAD)
    for skipped in batch.skipped:
        assert any(reason in skipped.reason for reason in BAD[skipped.key][1].split("|")), skipped
    assert maker(np.arange(len(crawl))).keys == batch.keys


def test_bombs_are_skipped_in_flat_memory(kit: Any, bomb: bytes) -> None:
    @final
    class Bombs(Dataset):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> Sample:
            return Sample(bomb if index % 2 else file("PNG"), ("picture",), key=f"{index}")

    maker = kit.maker(Bombs())
    tracemalloc.start()
    batch = maker(np.arange(40))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(batch.skipped) >= 20
    assert all("header declares" in skipped.reason for skipped in batch.skipped)
    assert peak < 2_000_000


class Untouched(Transform):
    """Looks at the picture's size alone."""

    def __call__(self, picture: Picture, size: int, rng: np.random.Generator) -> Any:
        return np.zeros((size, size, 3), np.uint8)


TEXTS = {
    "NUL": ("picture \0 caption",),
    "lone surrogate": ("picture \ud800 caption",),
    "bytes that were no UTF-8": (b"picture \xff\xfe caption".decode(errors="replace"),),
    "right to left": ("תמונה \u202e caption",),
    "control characters": ("\x1b[31m picture \x7f",),
    "a special token": ("<pad> <unk> picture",),
    "one beside empty ones": ("", " \t", "picture"),
}


def test_odd_texts_become_tokens(kit: Any) -> None:
    batch = kit.maker(Crawl(TEXTS), transform=Untouched())(np.arange(14))
    assert batch.skipped == ()
    assert batch.tokens.shape == batch.mask.shape
    assert batch.tokens.min() >= 0
    assert batch.mask.any(dim=1).all()


@pytest.mark.parametrize("texts", [("",), (" \n\t",), ("", "\u3000"), ()], ids=repr)
def test_samples_without_a_text_are_skipped(texts: tuple[str, ...], kit: Any) -> None:
    @final
    class Half(Dataset):
        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> Sample:
            return Sample(file("PNG"), texts if index % 2 else ("picture",), key=f"{index}")

    batch = kit.maker(Half())(np.arange(20))
    assert all(int(key) % 2 == 0 for key in batch.keys)
    reason = "its caption is empty" if texts else "it has neither a caption nor a label"
    assert {skipped.reason for skipped in batch.skipped} == {reason}


def test_a_caption_of_fifty_megabytes_is_cut_before_it_is_tokenised(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches the tokenizer is counted, not timed."""
    seen: list[int] = []

    class Counting:
        def __init__(self, backend: Any) -> None:
            self.backend = backend

        def encode_batch_fast(self, texts: list[str], **options: Any) -> Any:
            seen.extend(map(len, texts))
            return self.backend.encode_batch_fast(texts, **options)

    book = Crawl({"book": ("picture " * 6_250_000,)})
    assert len(book.captions[0][1][0]) == 50_000_000
    maker = kit.maker(book, transform=Untouched())
    monkeypatch.setattr(maker.tokenizer, "_backend", Counting(maker.tokenizer._backend))
    batch = maker(np.arange(4))
    assert seen == [MAX_CHARACTERS] * 4
    assert batch.tokens.shape == (4, 12)
    assert batch.truncated == 4
