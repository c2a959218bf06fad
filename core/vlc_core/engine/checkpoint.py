"""Checkpoints: a folder that is either whole or not there.

Files are written beside their final place, flushed to disk and named by digest in a manifest that is written last;
then the folder gets its name. Which checkpoint is the newest is computed from the folders, not remembered in a file.
All is safetensors and JSON, nothing is unpickled, and nothing depends on how many ranks or which ZeRO stage wrote it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from vlc_core.errors import StorageError

SCHEMA = 1
MANIFEST = "manifest.json"
_NAME = re.compile(r"step-(\d+)")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        step: Optimizer steps taken; with the batch size it is the position in the data as well.
        skipped: Samples that could not be used so far.
        truncated: Texts that were cut at the context so far.
    """

    step: int = 0
    skipped: int = 0
    truncated: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds: whole tensors by name, on the CPU, and the run's progress."""

    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    progress: Progress


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Writes ``step-N`` into ``folder`` and removes all but the ``keep`` newest.

    Raises:
        StorageError: It cannot be written; what was there before is untouched.
    """
    final = folder / f"step-{checkpoint.progress.step:08d}"
    write_folder(
        final,
        {
            "weights.safetensors": save(dict(checkpoint.weights)),
            "moments.safetensors": save(dict(checkpoint.moments)),
            "progress.json": _json({"schema": SCHEMA, **asdict(checkpoint.progress)}),
        },
    )
    for old in _steps(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint in ``folder``; None where there is none."""
    return next((path for path in _steps(folder) if _whole(path)), None)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        StorageError: It was written by a newer vlc, or cannot be read.
    """
    try:
        progress: dict[str, Any] = json.loads((path / "progress.json").read_text())
        schema = progress.pop("schema")
        if schema > SCHEMA:
            raise StorageError(f"{path} has checkpoint schema {schema}, this vlc reads {SCHEMA}: upgrade vlc-core")
        weights, moments = (load_file(path / f"{name}.safetensors") for name in ("weights", "moments"))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    return Checkpoint(weights, moments, Progress(**progress))


def write_folder(final: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder of ``files`` and their manifest so that it appears whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    beside = final.with_name(f".{final.name}.partial")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        for name, content in {**files, MANIFEST: _json({"schema": SCHEMA, "sha256": digests})}.items():
            _write(beside / name, content)
        _flush(beside)
        if final.exists():  # a folder cannot be renamed onto another
            old = final.with_name(f".{final.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            final.rename(old)
            beside.rename(final)
            shutil.rmtree(old, ignore_errors=True)
        else:
            beside.rename(final)
        _flush(final.parent)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        need = sum(len(content) for content in files.values())
        raise StorageError(
            f"{final} cannot be written ({error.strerror or error}): make {need / 2**20:.0f} MiB of room there"
        ) from error


def _steps(folder: Path) -> list[Path]:
    """Folders named ``step-N``, the newest first."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def _whole(path: Path) -> bool:
    try:
        digests: dict[str, str] = json.loads((path / MANIFEST).read_text())["sha256"]
        return all(_digest(path / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
