"""The ``model`` folder of a run: what it takes to use the model, and nothing of how it was trained."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from vlc_core import folders
from vlc_core.assemble import build_towers
from vlc_core.errors import DataError, RecipeError, StorageError
from vlc_core.interfaces.encoder import Encoder
from vlc_core.model.towers import Towers
from vlc_core.model.weights import WEIGHTS, compared
from vlc_core.recipe.origin import MODEL, model_home
from vlc_core.recipe.schema import Model, Use
from vlc_core.tokenizer import Tokenizer

_TRAINING = {"pretrained", "freeze", "layer_decay", "compile"}


def settled(model: Model, towers: Towers) -> Model:
    """The model section with the options that build its encoders again wherever the folder is taken to."""
    parts: list[tuple[str, Use, Encoder]] = [
        ("image", model.image, towers.image.encoder),
        ("text", model.text, towers.text.encoder),
    ]
    if model.fusion is not None:
        parts.append(("fusion", model.fusion, towers.fusion))
    changed = {}
    for name, spec, encoder in parts:
        kept = {key: value for key, value in spec.model_dump().items() if key not in spec.options}
        changed[name] = type(spec).model_validate({**kept, **encoder.settled_options(spec.options)})
    return model.model_copy(update=changed)


def model_files(model: Model, towers: dict[str, Tensor], tokenizer: Tokenizer, folder: Path) -> dict[str, bytes]:
    """The files of a ``model/`` folder, by name: weights, the recipe's model section, the tokenizer.

    Args:
        model: The model section. How the towers started and what of them was trained is left out.
        towers: State of the towers and the temperature.
        tokenizer: Of the text tower.
        folder: An empty one, for the tokenizer to write into.
    """
    tokenizer.save(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    exclude: dict[str, bool | set[str]] = {"from_": True, "momentum": True, "image": _TRAINING, "text": _TRAINING}
    section = model.model_dump_json(indent=2, by_alias=True, exclude=exclude)
    return {**files, WEIGHTS: save(towers), MODEL: section.encode()}


def load_towers(path: Path) -> tuple[Towers, Tokenizer]:
    """Reads a run's model from its folder, or from the ``model`` folder itself.

    Raises:
        StorageError: There is none, or its files do not fit together.
    """
    from vlc_core.plugins import plugins

    folder = model_home(path)
    if folder is None:
        raise StorageError(f"{path} holds no model: give a run folder (with model/ in it), or its model folder")
    if (folder / folders.MANIFEST).exists() and (wrong := folders.problems(folder)):
        raise StorageError(
            f"the model in {folder} is not what was written there ({', '.join(wrong)} differs): copy it again, or "
            f"remove {folders.MANIFEST} from it where the change is meant"
        )
    try:
        model = Model.model_validate_json((folder / MODEL).read_bytes())
        tokenizer = Tokenizer.load(folder)
        towers = build_towers(model, plugins().registry, tokenizer)
        weights = load_file(folder / WEIGHTS)
        if misfit := compared(towers.state_dict(), weights):
            raise ValueError(misfit)
        towers.load_state_dict(weights)
    except RecipeError as error:
        raise StorageError(f"the model in {folder} cannot be built here: {error}") from error
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}" for fault in error.errors()]
        raise StorageError(f"{folder / MODEL} does not describe a model: {'; '.join(wrong)}") from error
    except (OSError, ValueError, RuntimeError, SafetensorError, DataError) as error:
        raise StorageError(f"the model in {folder} cannot be loaded: {' '.join(str(error).split())}") from error
    towers.image.encoder.returns_tokens = towers.text.encoder.returns_tokens = False
    return towers, tokenizer
