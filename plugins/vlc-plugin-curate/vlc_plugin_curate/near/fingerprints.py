"""The fingerprints of a collection of images: made once, kept in parts, made again where an image has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlc_core import DataError, Dataset
from vlc_core.batch import Skipped
from vlc_core.progress import Tracker
from vlc_plugin_curate.near.kept import KeptParts
from vlc_plugin_curate.near.phash import FINE, VARIANTS, look_at
from vlc_plugin_curate.near.reading import ImageSource, Picture
from vlc_plugin_data.inspecting.walk import walk

PART = 4096
"""Images that are kept together: a run that is killed does these again at most."""

SOUND, FLAT, UNREADABLE = range(3)

ROW = np.dtype(
    [
        ("digest", "<u8", (2,)),
        ("hashes", "<u8", (VARIANTS,)),
        ("fine", "<u8", (VARIANTS, FINE)),
        ("texts", "<u8"),
        ("width", "<u4"),
        ("height", "<u4"),
        ("state", "u1"),
    ]
)
"""One image: what its bytes, its looks and its captions hash to, its size in pixels, SOUND, FLAT or UNREADABLE."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Of a collection.

    Attributes:
        rows: (N,) of :data:`ROW`.
        unreadable: The images that could not be decoded, by row and key, and why.
    """

    rows: NDArray[np.void]
    unreadable: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def flat(self) -> int:
        """How many images are too plain for their looks to be compared."""
        return int((self.rows["state"] == FLAT).sum())

    @property
    def readable(self) -> int:
        """How many images can be read."""
        return int((self.rows["state"] != UNREADABLE).sum())

    @property
    def comparable(self) -> NDArray[np.int64]:
        """The rows whose looks say something, ascending."""
        return np.flatnonzero(self.rows["state"] == SOUND)


def fingerprints(
    source: ImageSource,
    *,
    name: str = "images",
    cache: Path | None = None,
    keep_as: str | None = None,
    workers: int = 0,
) -> Fingerprints:
    """The fingerprints of every image of ``source``, with a progress bar on stderr.

    Args:
        source: Where images come from.
        name: What it is called: on the progress bar, and among unreadable images.
        cache: A folder. Fingerprints that are there are taken for images whose bytes are still the same: images are
            then read, but not decoded.
        keep_as: What tells it apart from others in ``cache``; ``name`` if not given.
        workers: Processes that decode images of a dataset; 0 decodes in this one.

    Raises:
        StorageError: ``cache`` cannot be written.
    """
    total = len(source) if isinstance(source, Dataset) else 0
    kept = KeptParts(cache, name if keep_as is None else keep_as, ROW) if cache is not None else None
    parts: list[NDArray[np.void]] = []
    unreadable: list[Skipped] = []
    done = 0
    images = None if isinstance(source, Dataset) else iter(source)
    with Tracker(f"looking at {name}") as tracker:
        while True:
            known = None if kept is None else kept.read(len(parts))
            rows = np.zeros(PART, ROW)
            taken = 0
            for taken, (row, skipped) in enumerate(_part(source, images, done, known, name, workers), start=1):
                rows[taken - 1] = row
                unreadable += [skipped] if skipped is not None else []
                tracker(done + taken, max(total, done + taken))
            if taken == 0:
                break
            parts.append(rows[:taken])
            if kept is not None and (known is None or not np.array_equal(known, parts[-1])):
                kept.write(len(parts) - 1, parts[-1])
            done += taken
    return Fingerprints(np.concatenate(parts) if parts else np.zeros(0, ROW), tuple(unreadable))


Looked = tuple[NDArray[np.void], Skipped | None]


def _part(
    source: ImageSource,
    images: Iterator[tuple[str, Picture]] | None,
    start: int,
    known: NDArray[np.void] | None,
    name: str,
    workers: int,
) -> Iterator[Looked]:
    """The fingerprints of the next images, a part of them at most."""
    if isinstance(source, Dataset):
        indices = range(start, min(start + PART, len(source)))
        yield from walk(source, indices, partial(_sample, known=known, start=start, name=name), workers=workers)
        return
    assert images is not None
    for row, (key, image) in enumerate(islice(images, PART)):
        yield _fingerprint(image, key, start + row, name, _at(known, row))


def _sample(dataset: Dataset, index: int, *, known: NDArray[np.void] | None, start: int, name: str) -> Looked:
    try:
        sample = dataset[index]
        if isinstance(sample.image, np.ndarray):
            raise DataError("it is a vector, not an image")
    except DataError as error:
        return _lost(np.zeros((), ROW), index, name, f"#{index}", error)
    return _fingerprint(sample.image, sample.key, index, name, _at(known, index - start), sample.texts)


def _fingerprint(
    image: Picture, key: str, number: int, name: str, known: NDArray[np.void] | None, texts: tuple[str, ...] = ()
) -> Looked:
    row = np.zeros((), ROW)
    row["digest"], row["texts"] = _digest(image), _text_digest(texts)
    if known is not None and known["state"] != UNREADABLE and np.array_equal(known["digest"], row["digest"]):
        for field in ("hashes", "fine", "width", "height", "state"):
            row[field] = known[field]
        return row, None
    try:
        look = look_at(image)
    except DataError as error:
        return _lost(row, number, name, key, error)
    row["hashes"], row["fine"] = look.hashes, look.fine
    row["width"], row["height"] = look.width, look.height
    row["state"] = FLAT if look.flat else SOUND
    return row, None


def _lost(row: NDArray[np.void], number: int, name: str, key: str, error: DataError) -> Looked:
    row["state"] = UNREADABLE
    return row, Skipped(number, name, key, str(error))


def _at(known: NDArray[np.void] | None, row: int) -> NDArray[np.void] | None:
    return known[row] if known is not None and row < len(known) else None


def _digest(image: Picture) -> NDArray[np.uint64]:
    """(2,) of a file's bytes, or of a picture's mode, size and pixels."""
    if isinstance(image, bytes):
        return _numbers(hashlib.blake2b(image, digest_size=16))
    content = hashlib.blake2b(f"{image.mode}{image.size}{image.getpalette()}".encode(), digest_size=16)
    content.update(image.tobytes())
    return _numbers(content)


def _text_digest(texts: tuple[str, ...]) -> np.uint64:
    spelt = "\0".join(texts).encode("utf-8", "surrogatepass")
    digest: np.uint64 = _numbers(hashlib.blake2b(spelt, digest_size=8))[0]
    return digest


def _numbers(digest: hashlib.blake2b) -> NDArray[np.uint64]:
    return np.frombuffer(digest.digest(), "<u8")
