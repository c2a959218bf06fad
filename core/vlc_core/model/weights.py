"""Weights from elsewhere: read without running anything, put where they fit, and refused by name where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vlc_core.errors import RecipeError, StorageError
from vlc_core.interfaces.encoder import Encoder, ImageEncoder, TextEncoder
from vlc_core.recipe.origin import model_home

WEIGHTS = "weights.safetensors"
MOST = 4
"""How many keys of a kind a message lists."""

State = Mapping[str, Tensor]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of safetensors, or of a run or model folder.

    Raises:
        StorageError: There is none, or it is something else.
    """
    file = path
    if path.is_dir():
        home = model_home(path)
        if home is None:
            raise StorageError(f"{path} holds no model: give a run folder (with model/ in it), or its model folder")
        file = home / WEIGHTS
    try:
        return load_file(file)
    except FileNotFoundError as error:
        raise StorageError(f"there are no weights at {file}: give a run, its model folder or a safetensors file") from (
            error
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise StorageError(f"{file} is no file of safetensors, the only format that is read ({error})") from error


def load_encoder(encoder: Encoder, path: Path) -> dict[str, Tensor]:
    """Puts the weights at ``path`` into an encoder.

    Args:
        encoder: Of images or texts; of a run it takes the tower of its kind.
        path: A run, its model folder, one of its files of weights, or a file with the encoder's state alone.

    Returns:
        The state of the head beside it; empty where there is none.

    Raises:
        StorageError: There are no weights.
        RecipeError: They do not fit.
    """
    weights = read_weights(path)
    kind = {ImageEncoder: "image", TextEncoder: "text"}
    side = next((name for base, name in kind.items() if isinstance(encoder, base)), "fusion")
    for tower in (f"{side}.", f"towers.{side}."):
        own = below(weights, f"{tower}encoder.")
        if own:
            fit(encoder, own, path)
            return below(weights, f"{tower}head.")
    fit(encoder, weights, path)
    return {}


def below(weights: State, prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): x for name, x in weights.items() if name.startswith(prefix)}


def fit(module: nn.Module, weights: State, source: Path | str) -> None:
    """Puts ``weights`` into ``module``, all of them and each in its place.

    Raises:
        RecipeError: Some are missing, left over or of another shape; nothing was changed.
    """
    misfit = compared(module.state_dict(), weights)
    if misfit:
        raise RecipeError(f"the weights in {source} do not fit: {misfit}")
    module.load_state_dict(dict(weights))


def compared(own: State, other: State) -> str:
    """How ``other`` differs from what ``own`` needs, in words and by the first few names; empty where it does not."""
    shapes = [
        f"{name} is {_shape(other[name])} there and {_shape(tensor)} here"
        for name, tensor in own.items()
        if name in other and other[name].shape != tensor.shape
    ]
    missing = [f"{name} {_shape(tensor)}" for name, tensor in own.items() if name not in other]
    spare = [f"{name} {_shape(tensor)}" for name, tensor in other.items() if name not in own]
    parts = {"": shapes, "missing there: ": missing, "not wanted here: ": spare}
    return "; ".join(words + _shortened(names) for words, names in parts.items() if names)


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "a scalar"


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
