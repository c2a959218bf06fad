"""Encoded datasets, made once for a model and what it encodes, however many evaluators ask.

A model in training remembers them until its weights change; a finished run keeps them in files as well. The name of an
entry is a digest of the weights, of the data's content and of the way pictures are brought to size, so that one that no
longer fits has another name and is never read.
"""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from vlc_core.batch import Skipped
from vlc_core.interfaces.dataset import Dataset
from vlc_plugin_eval.fingerprint import dataset_fingerprint
from vlc_plugin_eval.once import once

if TYPE_CHECKING:
    from vlc_core.inference import ImageSet, Inference

FORMAT = 1
"""Of the files; a number of its own for each way to bring pictures to size, too."""

log = logging.getLogger("vlc")
_remembered: WeakKeyDictionary[Inference, dict[str, ImageSet]] = WeakKeyDictionary()


def image_features(model: Inference, dataset: Dataset) -> ImageSet:
    """:meth:`Inference.encode_images`, or what it gave before for this model and data of the same content.

    Every rank calls this and gets the same. A file that is broken is made anew; one that cannot be written is done
    without, and a warning says so.
    """
    key = _key(model, dataset)
    remembered = _remembered.setdefault(model, {})
    if key not in remembered:
        remembered[key] = _found_or_made(model, dataset, key)
    return remembered[key]


def rows_read(dataset: Dataset, images: ImageSet) -> Tensor:
    """Which samples of the dataset the rows of ``images`` are, (N,) int64, ascending."""
    skipped = {one.number for one in images.skipped}
    return torch.tensor([row for row in range(len(dataset)) if row not in skipped], dtype=torch.int64)


def _found_or_made(model: Inference, dataset: Dataset, key: str) -> ImageSet:
    file = None if model.cache is None or model.digest is None else model.cache / f"{key}.safetensors"
    if file is None:
        return model.encode_images(dataset)
    kept = once(lambda: _read(file))
    if kept is not None:
        return kept
    made = model.encode_images(dataset)
    once(lambda: _write(file, made))
    return made


def _key(model: Inference, dataset: Dataset) -> str:
    size = getattr(model, "size", None)
    told = json.dumps([FORMAT, torch.__version__, model.digest, size, dataset_fingerprint(dataset)])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _read(file: Path) -> ImageSet | None:
    from vlc_core.inference import ImageSet

    try:
        tensors = load_file(file)
        told = json.loads(bytes(tensors["told"].numpy()))
        return ImageSet(
            embed=tensors["embed"],
            labels=tensors["labels"],
            texts=[tuple(texts) for texts in told["texts"]],
            keys=told["keys"],
            skipped=[Skipped(*one) for one in told["skipped"]],
            summary=tensors["summary"],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        log.warning("%s cannot be read and is made anew (%s)", file, error)
        return None


def _write(file: Path, images: ImageSet) -> None:
    told = json.dumps({"texts": images.texts, "keys": images.keys, "skipped": images.skipped}).encode()
    tensors: dict[str, Tensor] = {
        "embed": images.embed.contiguous(),
        "summary": images.summary.contiguous(),
        "labels": images.labels,
        "told": torch.frombuffer(bytearray(told), dtype=torch.uint8),
    }
    beside = file.with_name(f".{file.name}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(save(tensors))
        beside.replace(file)
    except OSError as error:
        with suppress(OSError):  # where the folder is none, there is nothing to remove either
            beside.unlink(missing_ok=True)
        log.warning("%s cannot be written (%s): its features are made again next time", file, error.strerror or error)
