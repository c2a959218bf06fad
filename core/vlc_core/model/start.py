"""Where a model's first weights come from: another run as a whole, or a tower's own ``pretrained``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from vlc_core import distributed
from vlc_core.errors import RecipeError, StorageError, VlcError
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import Tower, Towers
from vlc_core.model.weights import WEIGHTS, compared, read_weights
from vlc_core.recipe.origin import model_home, read_section
from vlc_core.recipe.schema import Model
from vlc_core.recipe.schema import Tower as Spec

log = logging.getLogger("vlc")

Where = Callable[[str], str]
"""A key of the recipe to how messages call it: with its file and line, or as it is."""


def check_origins(model: Model, where: Where = str) -> None:
    """Looks whether there is anything where the first weights are to come from; reads none of it.

    Raises:
        StorageError: There is nothing.
    """
    if model.from_ is not None and model_home(Path(model.from_)) is None:
        raise StorageError(
            f"{where('model.from')}: {model.from_} holds no model: give a run folder, or its model folder"
        )
    for side, spec in (("image", model.image), ("text", model.text)):
        if spec.pretrained is not None and not Path(spec.pretrained).exists():
            raise StorageError(
                f"{where(f'model.{side}.pretrained')}: there is nothing at {spec.pretrained} on this machine: give a "
                "run, its model folder, or a file of safetensors"
            )


def load_start(model: Model, towers: Towers, where: Where = str) -> None:
    """Puts the first weights into freshly initialised ``towers``, where the recipe names any.

    A tower with a ``pretrained`` of its own takes nothing from ``model.from``.

    Raises:
        StorageError: There are no weights where the recipe says.
        RecipeError: They do not fit.
    """
    sides = {"image": (model.image, towers.image), "text": (model.text, towers.text)}
    begun = set() if model.from_ is None else _from_run(model, towers, where)
    for side, (spec, tower) in sides.items():
        if spec.pretrained is not None and _pretrained(spec, tower, where(f"model.{side}.pretrained")):
            begun.add(side)
        if spec.freeze == "all" and side not in begun and next(tower.head.parameters(), None) is not None:
            _warn(
                f"{where(f'model.{side}.freeze')}: the head is frozen as it was drawn, because no weights were loaded "
                "for it: set head: none, or freeze: encoder to train it"
            )


def tokenizer_home(model: Model, where: Where = str) -> Path | None:
    """The model folder whose tokenizer the first weights of the text tower belong to; None where they tell none.

    Raises:
        RecipeError: The recipe names another tokenizer than the run that it starts from has.
    """
    source = model.from_ if model.text.pretrained is None else model.text.pretrained
    home = None if source is None else model_home(Path(source))
    if home is None:
        return None
    try:
        theirs = read_section(home).get("tokenizer")
    except (OSError, ValueError):
        return None  # who reads the weights says so
    own = None if model.tokenizer is None else model.tokenizer.model_dump(mode="json")
    if own is None or own == theirs:
        return home
    if source == model.from_:
        raise RecipeError(
            f"{where('model.tokenizer')}: the run in {home} reads texts with "
            f"{'the default' if theirs is None else theirs} and not with {own}: leave model.tokenizer out"
        )
    return None


def _from_run(model: Model, towers: Towers, where: Where) -> set[str]:
    """Copies what no tower's own ``pretrained`` replaces; gives the sides that it copied."""
    check_origins(model, where)
    home, at = model_home(Path(model.from_ or "")), where("model.from")
    assert home is not None
    try:
        weights, section = read_weights(home / WEIGHTS), read_section(home)
        theirs = Temperature(**section["temperature"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{at}: the model in {home} cannot be read: {error}") from error
    except StorageError as error:
        raise StorageError(f"{at}: {error}") from error
    sides = {side for side in ("image", "text") if getattr(model, side).pretrained is None}
    if hasattr(towers, "fusion") and any(name.startswith("fusion.") for name in weights):
        sides.add("fusion")
    own = {name: x for name, x in towers.state_dict().items() if name.partition(".")[0] in sides}
    other = {name: x for name, x in weights.items() if name.partition(".")[0] in sides}
    misfit = compared(own, other)
    if misfit:
        raise RecipeError(f"{at}: the weights in {home} do not fit this recipe's model: {misfit}")
    towers.load_state_dict(other, strict=False)
    if "temperature.value" in weights and model.temperature.learn:
        theirs.load_state_dict({"value": weights["temperature.value"]})
        towers.temperature.take(theirs)
    return sides


def _pretrained(spec: Spec, tower: Tower, at: str) -> bool:
    """Loads a tower's own first weights; gives whether its head had any among them that fit it."""
    assert spec.pretrained is not None
    try:
        head = tower.encoder.load_pretrained(Path(spec.pretrained))
    except RecipeError as error:
        raise RecipeError([f"{at}: {problem}" for problem in error.problems]) from error
    except VlcError as error:
        raise type(error)(f"{at}: {error}") from error
    if not head or compared(tower.head.state_dict(), head):
        return False
    tower.head.load_state_dict(dict(head))
    return True


def _warn(sentence: str) -> None:
    if distributed.rank() == 0:
        log.warning(sentence)
