"""What of a tower is trained, and how fast, by depth: frozen blocks and learning rates that fall towards the input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import nn

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoder
from vlc_core.model.towers import Tower, Towers
from vlc_core.recipe.schema import Model


def freeze(tower: Tower, what: Literal["all", "encoder"] | int) -> None:
    """Takes parameters of ``tower`` out of training, and puts what has none left to rest.

    Args:
        tower: To be changed.
        what: ``all`` of it with its head, its ``encoder``, or the embeddings and this many of the first blocks; 0 is
            nothing.

    Raises:
        RecipeError: The encoder has fewer blocks.
    """
    if what == 0:
        return
    if isinstance(what, str):
        tower.resting = [tower.encoder, *([tower.head] if what == "all" else [])]
    else:
        names = _groups(tower.encoder)
        if what >= len(names):
            has = f"{len(names) - 1} blocks" if len(names) > 1 else "no blocks"
            raise RecipeError(f"freeze is {what}, and this encoder has {has}: take all, encoder or fewer")
        frozen = [_part(tower.encoder, name) for group in names[: what + 1] for name in group]
        tower.resting = [part for part in frozen if isinstance(part, nn.Module)]
        for part in frozen:
            part.requires_grad_(False)
    for module in tower.resting:
        module.requires_grad_(False).eval()


def rate_scales(model: Model, towers: Towers) -> dict[str, float]:
    """What ``layer_decay`` multiplies learning rates by, where it is not 1; by the parameter's name in a pretrainer."""
    sides = {"image": (model.image, towers.image), "text": (model.text, towers.text)}
    return {
        f"towers.{side}.encoder.{name}": scale
        for side, (spec, tower) in sides.items()
        if spec.layer_decay < 1
        for name, scale in scales_of(tower.encoder, spec.layer_decay).items()
    }


def scales_of(encoder: Encoder, decay: float) -> dict[str, float]:
    """What the learning rate of each parameter is multiplied by: ``decay`` for each step towards the input.

    What comes after the last block has the full rate, the last block ``decay``, the embeddings ``decay`` to the number
    of blocks plus one (Clark et al., ELECTRA, ICLR 2020, table 7; Bao et al., BEiT, ICLR 2022).

    Returns:
        Factors in (0, 1] by the parameter's name in ``encoder``.
    """
    groups = _groups(encoder)
    scales = {name: 1.0 for name, _ in encoder.named_parameters()}
    for number, group in enumerate(groups):
        for name in (parameter for part in group for parameter in _parameters(encoder, part)):
            scales[name] = decay ** (len(groups) - number)
    return scales


def _groups(encoder: Encoder) -> list[list[str]]:
    """The encoder's own groups, checked.

    Raises:
        ValueError: They name what is not there, or something twice.
    """
    groups = [list(group) for group in encoder.layer_names()]
    seen: set[str] = set()
    for name in (name for group in groups for name in group):
        own = set(_parameters(encoder, name))
        if own & seen or not hasattr(encoder, name.partition(".")[0]):
            raise ValueError(f"{type(encoder).__name__}.layer_names() names {name!r} twice, or it is not there")
        seen |= own
    return groups


def _parameters(encoder: Encoder, name: str) -> Iterator[str]:
    return (own for own, _ in encoder.named_parameters() if own == name or own.startswith(f"{name}."))


def _part(encoder: Encoder, name: str) -> nn.Module | nn.Parameter:
    owner, _, last = name.rpartition(".")
    part: nn.Module | nn.Parameter = getattr(encoder.get_submodule(owner), last)
    return part
