"""The order of the layers of another library's model, read off its modules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoder


def ordered(model: nn.Module, prefix: str) -> list[list[str]]:
    """Embeddings and blocks of ``model``, as :meth:`vlc_core.interfaces.encoder.Encoder.layer_names` gives them.

    The blocks are the items of its largest list of modules. Where these are stages, the blocks are theirs, and what
    else a stage holds goes with the block beside it. What is registered before the list are the embeddings.

    Args:
        model: Whose modules are registered in the order in which they run.
        prefix: What ``model`` is called in the encoder.

    Returns:
        Names from ``prefix`` on; a single group where the model has no list of modules.
    """
    lists = [(name, module) for name, module in _lists(model) if _size(module) > 0]
    if not lists:
        return [[prefix]]
    trunk, blocks = max(lists, key=lambda item: _size(item[1]))
    groups = [_before(model, trunk)]
    for name, block in blocks.named_children():
        groups += _stage(block, f"{trunk}.{name}")
    return [[f"{prefix}.{name}" for name in group] for group in groups]


def _lists(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The lists of modules in ``module`` that are in no other list."""
    for child, part in module.named_children():
        path = f"{name}.{child}" if name else child
        if isinstance(part, nn.ModuleList | nn.Sequential):
            yield path, part
        else:
            yield from _lists(part, path)


def _before(model: nn.Module, trunk: str) -> list[str]:
    """Parameters and modules that are registered before the list ``trunk``, on every level down to it."""
    names: list[str] = []
    path: list[str] = []
    for step in trunk.split("."):
        owner = model.get_submodule(".".join(path))
        names += [".".join([*path, name]) for name, _ in owner.named_parameters(recurse=False)]
        children = [name for name, _ in owner.named_children()]
        names += [".".join([*path, name]) for name in children[: children.index(step)]]
        path.append(step)
    return names


def _stage(block: nn.Module, name: str) -> list[list[str]]:
    """The groups of one item of the list: itself, or one for each block of a stage."""
    inner = [(child, part) for child, part in block.named_children() if isinstance(part, nn.ModuleList | nn.Sequential)]
    if "Stage" not in type(block).__name__ or not inner:
        return [[name]]
    largest, blocks = max(inner, key=lambda item: _size(item[1]))
    groups = [[f"{name}.{largest}.{child}"] for child, _ in blocks.named_children()]
    children = [child for child, _ in block.named_children()]
    at = children.index(largest)
    own = [parameter for parameter, _ in block.named_parameters(recurse=False)]
    groups[0] += [f"{name}.{child}" for child in [*own, *children[:at]]]
    groups[-1] += [f"{name}.{child}" for child in children[at + 1 :]]
    return groups


def lifted(model: nn.Module, parameters: Sequence[str]) -> list[str]:
    """``parameters`` of ``model`` as the names of the largest modules that hold nothing else."""
    return _lifted(model, "", set(parameters))


def _lifted(module: nn.Module, name: str, wanted: set[str]) -> list[str]:
    prefix = f"{name}." if name else ""
    names: list[str] = []
    for own, _ in module.named_parameters(recurse=False):
        names += [prefix + own] if prefix + own in wanted else []
    for child, part in module.named_children():
        inside = {f"{prefix}{child}.{own}" for own, _ in part.named_parameters()}
        if inside and inside <= wanted:
            names.append(prefix + child)
        elif inside & wanted:
            names += _lifted(part, prefix + child, wanted)
    return names


def recompute_blocks(encoder: Encoder) -> None:
    """Has the blocks of ``encoder`` keep their inputs alone and compute the rest again in the backward pass.

    Raises:
        RecipeError: It has no blocks, or they count batch statistics, which would be counted twice.
    """
    blocks = [encoder.get_submodule(group[0]) for group in encoder.layer_names()[1:]]
    if not blocks or any(isinstance(part, _BatchNorm) for block in blocks for part in block.modules()):
        raise RecipeError("This model has no blocks, or such with batch statistics: leave recompute out.")
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
