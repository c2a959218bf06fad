"""The second model of an evaluation that shows two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vlc_core.errors import StorageError

if TYPE_CHECKING:
    from vlc_core.inference import Inference


def load_against(run: str, *, what: str) -> Inference:
    """Inference with the model of another run.

    Args:
        run: Its folder, or that of its model.
        what: The name of the evaluator, for messages.

    Raises:
        StorageError: There is no usable model.
    """
    from vlc_core.inference import Inference

    try:
        return Inference.load(run)
    except StorageError as error:
        raise StorageError(f"{what}: against: {error}") from error


def name_of(run: str) -> str:
    """What tables and figures call it: the name of its folder."""
    path = Path(run).absolute()
    return path.parent.name if path.name == "model" else path.name


def names_of(runs: Sequence[str]) -> list[str]:
    """What tables call several runs: the names of their folders, whole paths where two folders have one name."""
    names = [name_of(run) for run in runs]
    return [run if names.count(name) > 1 else name for run, name in zip(runs, names, strict=True)]
