"""What a dataset hashes to, by the content of every sample: files that change in place are noticed."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from PIL import Image

from vlc_core import distributed
from vlc_core.batch import Sample
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset

BLOCK = 256
"""Samples that a rank hashes at once; which rank reads which block does not change the result."""


def dataset_fingerprint(dataset: Dataset) -> str:
    """A SHA-256 over all samples in their order, in hexadecimal, the same on every rank.

    The ranks share the reading. Nothing is decoded, so it costs a small part of what encoding costs.
    """
    own = {
        start: _block(dataset, range(start, min(start + BLOCK, len(dataset))))
        for start in range(distributed.rank() * BLOCK, len(dataset), distributed.world() * BLOCK)
    }
    everywhere = {start: digest for rank in distributed.gather_objects(own) for start, digest in rank.items()}
    whole = hashlib.sha256(json.dumps([len(dataset), dataset.classes]).encode())
    for start in sorted(everywhere):
        whole.update(everywhere[start])
    return whole.hexdigest()


def _block(dataset: Dataset, rows: range) -> bytes:
    block = hashlib.sha256()
    for index in rows:
        try:
            block.update(_sample(dataset[index]))
        except (DataError, OSError):
            block.update(b"unreadable")
    return block.digest()


def _sample(sample: Sample) -> bytes:
    told = json.dumps([sample.label, sample.key, sample.texts]).encode()
    return hashlib.sha256(hashlib.sha256(told).digest() + _image(sample.image)).digest()


def _image(image: object) -> bytes:
    """The digest of a file's bytes, of a picture's pixels and palette, or of a vector's numbers."""
    if isinstance(image, bytes):
        return hashlib.sha256(b"file" + image).digest()
    if isinstance(image, Image.Image):
        nature = json.dumps([image.mode, image.size, image.getpalette(), repr(image.info.get("transparency"))])
        return hashlib.sha256(nature.encode() + image.tobytes()).digest()
    array = np.ascontiguousarray(image)
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).digest()
