"""torch.compile for towers."""

from __future__ import annotations

import os
import shutil

import torch

from vlc_core.errors import RecipeError
from vlc_core.model.start import Where
from vlc_core.model.towers import Towers
from vlc_core.recipe.schema import Model


def compile_towers(model: Model, towers: Towers, device: torch.device, where: Where = str) -> None:
    """Has torch.compile translate the encoders that ask for it when they are first called.

    Dropout is drawn as it is without, so that a replayed micro-batch draws what it drew before. Texts are of any
    length, so that one translation serves all.

    Args:
        model: The recipe's section.
        towers: To be changed; the names of their weights stay.
        device: Where they will run.
        where: A key of the recipe as messages call it.

    Raises:
        RecipeError: This machine has no compiler for ``device``.
    """
    for side, spec, tower in (("image", model.image, towers.image), ("text", model.text, towers.text)):
        if not spec.compile:
            continue
        if device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
            raise RecipeError(f"{where(f'model.{side}.compile')} needs a C++ compiler: install g++, or set it to false")
        dynamic = True if side == "text" else None
        tower.encoder.compile(dynamic=dynamic, options={"fallback_random": True})
