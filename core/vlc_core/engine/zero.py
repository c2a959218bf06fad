"""Whole parameters and moments, whatever ZeRO stage holds them in pieces.

Stage 0 keeps them whole in torch's optimizer. Stages 1 and 2 keep a flat fp32 copy of each parameter group, split over
the ranks; a parameter's piece of it is its "fragment". Stage 3 splits every parameter by itself. This is the only place
that knows. The calls below are collective: every rank makes them in the same order.

DeepSpeed is imported where it is called: it looks for its accelerator then, which :mod:`setup` has named before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")


def is_split(tensor: Tensor) -> bool:
    """Whether ZeRO-3 has split this parameter."""
    return hasattr(tensor, "ds_id")


def state(module: nn.Module) -> dict[str, Tensor]:
    """A copy on the CPU of the whole state of ``module``: what ``state_dict`` would give if nothing were split."""
    return {name: _whole(tensor) for name, tensor in module.state_dict(keep_vars=True).items()}


def make_moments(engine: Any) -> None:
    """Gives the optimizer the moments that its first step would, all zero.

    DeepSpeed's ZeRO 1 and 2 tie parameters to their moments in the middle of the first step, when only the first
    parameter group has any, and never look again: the moments of the others could be neither read nor set.
    """
    base = _base(engine)
    for parameter in _held(engine):
        base.state[parameter] = {"step": torch.zeros((), dtype=torch.float32, device=parameter.device)}
        base.state[parameter] |= {kind: torch.zeros_like(parameter.data) for kind in MOMENTS}
    if engine.zero_optimization_stage() in (1, 2):
        engine.optimizer._lazy_init_hp_params_optimizer_state()


def moments(engine: Any) -> dict[str, Tensor]:
    """A copy on the CPU of Adam's moments by parameter name and kind, in the parameter's shape.

    A name is ``towers.image.head.weight/exp_avg``, for example.
    """
    return {
        f"{name}/{kind}": _copied(_moment(engine, parameter, kind))
        for name, parameter in _trained(engine)
        for kind in MOMENTS
    }


def set_moments(engine: Any, values: Mapping[str, Tensor], steps: int) -> None:
    """Puts moments back, and the count of steps that Adam corrects its bias by. The reverse of :func:`moments`.

    Raises:
        KeyError: A parameter has no moments in ``values``.
    """
    for name, parameter in _trained(engine):
        for kind in MOMENTS:
            _set_moment(engine, parameter, kind, values[f"{name}/{kind}"].to(engine.device))
    for entry in _base(engine).state.values():
        entry["step"].fill_(float(steps))


def pieces(engine: Any) -> dict[Tensor, list[slice]]:
    """Where in each flat tensor of torch's optimizer this rank's pieces of parameters are; of a stage above 0.

    A flat tensor has the same parameters in the same order on every rank; a piece may be empty, and padding is in none.
    """
    optimizer = engine.optimizer
    if engine.zero_optimization_stage() == 3:
        flats, groups = optimizer.fp32_partitioned_groups_flat, optimizer.fp16_groups
        return {flat: [_partition(p) for p in group] for flat, group in zip(flats, groups, strict=True)}
    flats, groups = optimizer.single_partition_of_fp32_groups, optimizer.bit16_groups
    return {flat: [_fragment(p) for p in group] for flat, group in zip(flats, groups, strict=True)}


def skip(engine: Any, when: Tensor) -> None:
    """Has torch's optimizer leave weights and moments alone in its next step where ``when`` holds. Of stage 0 alone.

    The stages above look at the gradient's norm themselves and skip the step where it is not finite.
    """
    _base(engine).found_inf = when.to(torch.float32)  # type: ignore[attr-defined]


@torch.no_grad()
def clamp(parameter: Any, low: float, high: float) -> None:
    """Bounds a parameter after the optimizer's step, in every copy that this rank has. Without communication."""
    if is_split(parameter):
        parameter.ds_tensor.data.clamp_(low, high)
        optimizer = parameter._z3_optimizer
        if parameter.requires_grad:
            optimizer._get_fp32_opt_state_partition(parameter, release_swap_buffers=True)[0].clamp_(low, high)
        return
    parameter.data.clamp_(low, high)
    fragment = getattr(parameter, "_hp_mapping", None)
    if fragment is not None:
        fragment.hp_fragment.clamp_(low, high)


def _partition(parameter: Any) -> slice:
    """ZeRO-3's piece: the last ranks' may be padded, or nothing but padding."""
    optimizer = parameter._z3_optimizer
    _, start, length = optimizer.grad_position[optimizer.get_param_id(parameter)]
    left = parameter.ds_numel - length * optimizer._get_param_partition_rank(parameter)
    return slice(start, start + min(max(left, 0), length))


def _fragment(parameter: Any) -> slice:
    """The piece of ZeRO 1 and 2."""
    if parameter._hp_mapping is None:
        return slice(0, 0)
    address = parameter._hp_mapping.get_hp_fragment_address()
    return slice(address.start, address.start + address.numel)


def _whole(tensor: Tensor) -> Tensor:
    if not is_split(tensor):
        return _copied(tensor)
    from deepspeed.runtime.zero.partition_parameters import GatheredParameters

    with GatheredParameters([tensor]):  # one at a time: all at once may not fit on the device
        return _copied(tensor)


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _trained(engine: Any) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in engine.module.named_parameters() if p.requires_grad]


def _base(engine: Any) -> torch.optim.Optimizer:
    """Torch's optimizer inside ZeRO's."""
    optimizer = engine.optimizer
    while not isinstance(optimizer, torch.optim.Optimizer):
        optimizer = optimizer.optimizer
    return optimizer


def _held(engine: Any) -> list[Tensor]:
    """What torch's optimizer holds: the parameters, or ZeRO's flat pieces of them."""
    if engine.zero_optimization_stage() == 3:
        return list(engine.optimizer.fp32_partitioned_groups_flat)
    return [parameter for group in _base(engine).param_groups for parameter in group["params"]]


def _moment(engine: Any, parameter: nn.Parameter, kind: str) -> Tensor:
    from deepspeed.utils import safe_get_full_optimizer_state

    own = engine.zero_optimization_stage() == 0
    whole: Tensor = _base(engine).state[parameter][kind] if own else safe_get_full_optimizer_state(parameter, kind)
    return whole


def _set_moment(engine: Any, parameter: Any, kind: str, value: Tensor) -> None:
    if engine.zero_optimization_stage() == 0:
        _base(engine).state[parameter][kind].copy_(value)
    elif is_split(parameter):
        # Not DeepSpeed's setter: it reads past the end of a parameter that the ranks do not divide.
        optimizer = parameter._z3_optimizer
        piece = optimizer._get_fp32_opt_state_partition(parameter, release_swap_buffers=True, optim_state_key=kind)[0]
        start = piece.numel() * optimizer._get_param_partition_rank(parameter)
        own = value.flatten()[start : start + piece.numel()]
        piece.zero_()[: own.numel()].copy_(own)
    else:
        from deepspeed.utils import safe_set_full_optimizer_state

        safe_set_full_optimizer_state(parameter, value, kind)
