"""Checkpoints: folders ``step-N`` that are whole or not there.

Which checkpoint is the newest whole one is computed from the folders, not remembered in a file. All is safetensors and
JSON, nothing is unpickled, and nothing depends on how many ranks or which ZeRO stage wrote it.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from vlc_core import folders
from vlc_core.errors import StorageError
from vlc_core.folders import SCHEMA

log = logging.getLogger("vlc")

_NAME = re.compile(r"step-(\d+)")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        step: Optimizer steps taken; with the batch size it is the position in the data as well.
        skipped: Samples that could not be used so far.
        truncated: Texts that were cut at the context so far.
        skipped_steps: Steps, among those taken, that changed nothing because a loss or gradient was not finite.
    """

    step: int = 0
    skipped: int = 0
    truncated: int = 0
    skipped_steps: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds: whole tensors by name, on the CPU, and the run's progress."""

    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    progress: Progress


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Writes ``step-N`` into ``folder`` and then removes all but the ``keep`` newest up to it.

    A folder of a later step is damaged, or the run would have gone on from it: it does not count.

    Raises:
        StorageError: It cannot be written; what was there before is untouched.
    """
    step = checkpoint.progress.step
    final = folder / f"step-{step:08d}"
    folders.write_folder(
        final,
        {
            "weights.safetensors": save(dict(checkpoint.weights)),
            "moments.safetensors": save(dict(checkpoint.moments)),
            "progress.json": folders.as_json({"schema": SCHEMA, **asdict(checkpoint.progress)}),
        },
    )
    for _, old in [found for found in _steps(folder) if found[0] <= step][keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint in ``folder``; None where there is none.

    Raises:
        StorageError: A newer vlc wrote one, which this one cannot judge.
    """
    for _, path in _steps(folder):
        _check_schema(path, folders.schema(path))
        wrong = folders.problems(path)
        if not wrong:
            return path
        log.warning("%s is damaged or incomplete (%s): looking for the checkpoint before it", path, ", ".join(wrong))
    return None


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        StorageError: It was written by a newer vlc, or cannot be read.
    """
    try:
        progress = _progress(path, json.loads((path / "progress.json").read_bytes()))
        weights, moments = (load_file(path / f"{name}.safetensors") for name in ("weights", "moments"))
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise StorageError(
            f"{path} cannot be read ({error}): remove it, and --resume goes on from the checkpoint before it"
        ) from error
    return Checkpoint(weights, moments, progress)


def _progress(path: Path, record: Any) -> Progress:
    if not isinstance(record, dict):
        raise ValueError("progress.json is no mapping")
    _check_schema(path, record.pop("schema", 0))
    names = {field.name for field in fields(Progress)}
    record = {"skipped_steps": 0} | record  # which the first checkpoints did not have
    if set(record) != names or not all(type(n) is int and 0 <= n < 2**63 for n in record.values()):
        raise ValueError(f"progress.json does not give {', '.join(sorted(names))} as counts")
    return Progress(**record)


def _check_schema(path: Path, schema: Any) -> None:
    if not isinstance(schema, int) or schema > SCHEMA:
        raise StorageError(f"{path} has checkpoint schema {schema}, this vlc reads {SCHEMA}: upgrade vlc-core")


def _steps(folder: Path) -> list[tuple[int, Path]]:
    """Folders named ``step-N`` with their N, the newest first."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return sorted(found, reverse=True)
