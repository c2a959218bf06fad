"""What objectives learned for themselves: kept beside the towers, for use and for runs that go on from them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vlc_core import folders, options
from vlc_core.errors import RecipeError, StorageError
from vlc_core.interfaces.objective import ModelInfo, Objective
from vlc_core.model.towers import Towers
from vlc_core.model.weights import compared
from vlc_core.momentum import MomentumTwin
from vlc_core.options.use import Use
from vlc_core.recipe.schema import Objective as Spec
from vlc_core.registry import Registry
from vlc_core.tokenizer import Tokenizer

log = logging.getLogger("vlc")

RECORD, WEIGHTS = "objectives.json", "objectives.safetensors"


def learned_files(
    specs: Sequence[Spec], objectives: Mapping[str, nn.Module], weights: Mapping[str, Tensor]
) -> dict[str, bytes]:
    """The files of what objectives learned, by name; none where no objective has parameters.

    Args:
        specs: The recipe's objectives.
        objectives: By name.
        weights: Their whole state, each name led by the objective's. Momentum twins in it are left out.
    """
    kept: dict[str, Tensor] = {}
    for name, objective in objectives.items():
        twins = [f"{name}.{path}." for path, part in objective.named_modules() if isinstance(part, MomentumTwin)]
        own = {key: x for key, x in weights.items() if key.startswith(f"{name}.")}
        kept |= {key: x for key, x in own.items() if not key.startswith(tuple(twins))}
    named = {key.partition(".")[0] for key in kept}
    record = {
        spec.name: {"use": spec.use, "options": spec.options, "classes": list(_classes(objectives[spec.name]))}
        for spec in specs
        if spec.name in named
    }
    return {RECORD: folders.as_json(record), WEIGHTS: save(kept)} if kept else {}


def learned_names(home: Path) -> list[str]:
    """The objectives that a finished run kept something of."""
    return sorted(_read(home)[0])


def load_learned(
    home: Path, names: Sequence[str], registry: Registry, towers: Towers, tokenizer: Tokenizer
) -> dict[str, Objective]:
    """Objectives of a finished run, in evaluation mode, by name; those that it does not have are left out.

    Raises:
        StorageError: What is there cannot be read or built.
    """
    record, weights = _read(home)
    found: dict[str, Objective] = {}
    for name in names:
        if name not in record:
            continue
        said = record[name]
        info = model_info(towers, tokenizer, tuple(said["classes"]))
        try:
            spec = Use.model_validate({"use": said["use"], **said["options"]})
            objective: Objective = options.build(registry, "objective", spec, info, where=f"{home / RECORD}: {name}")
        except RecipeError as error:
            raise StorageError(f"the objective {name} of {home} cannot be built here: {error}") from error
        _take(objective, name, weights, home)
        found[name] = objective.eval()
    return found


def start_learned(home: Path, objectives: Mapping[str, nn.Module]) -> None:
    """Gives objectives what those of the same names learned in another run, as far as it fits them."""
    if not (home / WEIGHTS).is_file():
        return
    record, weights = _read(home)
    for name, objective in objectives.items():
        if name not in record:
            continue
        try:
            _take(objective, name, weights, home)
        except StorageError:
            log.warning("what the objective %s of %s learned does not fit this recipe's: it starts anew", name, home)


def model_info(towers: Towers, tokenizer: Tokenizer, classes: tuple[str, ...], **momentum: Any) -> ModelInfo:
    """What objectives are told about a model."""
    fusion = getattr(towers, "fusion", None)
    return ModelInfo(
        towers.image.embed_dim,
        towers.image.encoder.width,
        towers.text.encoder.width,
        tokenizer.vocabulary,
        classes,
        fusion_width=None if fusion is None else fusion.width,
        **momentum,
    )


def _classes(objective: nn.Module) -> tuple[str, ...]:
    model = getattr(objective, "model", None)
    return model.classes if isinstance(model, ModelInfo) else ()


def _read(home: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        return json.loads((home / RECORD).read_bytes()), load_file(home / WEIGHTS)
    except FileNotFoundError:
        return {}, {}
    except (OSError, ValueError, SafetensorError) as error:
        raise StorageError(f"what the objectives in {home} learned cannot be read: {error}") from error


def _take(objective: nn.Module, name: str, weights: Mapping[str, Tensor], home: Path) -> None:
    """Loads an objective's own state; its twins then start where it does."""
    given = {key.removeprefix(f"{name}."): x for key, x in weights.items() if key.startswith(f"{name}.")}
    twins = {path: part for path, part in objective.named_modules() if isinstance(part, MomentumTwin)}
    leads = tuple(f"{path}." for path in twins)
    own = {key: x for key, x in objective.state_dict().items() if not key.startswith(leads)}
    if misfit := compared(own, given):
        raise StorageError(f"the objective {name} in {home} does not fit: {misfit}")
    objective.load_state_dict(given, strict=False)
    for twin in twins.values():
        twin.restart()
