"""A module's momentum twin: an average over its past, which gives targets and keys that move slowly.

He et al., MoCo, arXiv 1911.05722, equation 2; for two modalities Li et al., ALBEF, arXiv 2107.07651.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from vlc_core.errors import VlcError


@final
class MomentumTwin(nn.Module):
    """A copy of a module in float32 that follows it: twin ← m · twin + (1 − m) · module.

    It gives no gradient and is called like the module. Its buffers (statistics of batch norms) are those of the module.
    It is in evaluation mode unless ``draws`` is set.

    Args:
        module: What is followed, with its first weights in place. The twin refers to it and does not own it.
        momentum: m, 0…1.
        draws: Whether the twin draws dropout of its own in training.

    Attributes:
        copied: The copy.

    Raises:
        ValueError: ``momentum`` is not within 0…1.
    """

    def __init__(self, module: nn.Module, momentum: float = 0.995, *, draws: bool = False) -> None:
        super().__init__()
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"momentum is within 0…1; got {momentum}")
        self.momentum = momentum
        self.draws = draws
        self.copied = _single(copy.deepcopy(module)).requires_grad_(False)
        # In a tuple, so that the followed parameters do not become this module's own.
        self._followed = (module,)
        self._pairs: tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]] | None = None
        self._plain: tuple[list[Tensor], list[Tensor]] | tuple[()] | None = None
        self.train(self.training)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the copy gives, without a graph."""
        with torch.no_grad():
            return self.copied(*args, **kwargs)

    def train(self, mode: bool = True) -> Self:
        """Sets the mode; the copy is in training mode only where it ``draws``."""
        super().train(mode)
        self.copied.train(mode and self.draws)
        return self

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self._plain = None  # another type or device may be another way to move
        return super()._apply(fn, recurse)  # type: ignore[no-any-return]

    @torch.no_grad()
    def restart(self) -> None:
        """Makes the twin equal to the module again."""
        self.copied.load_state_dict(self._followed[0].state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Moves the twin by one step, on every rank alike and without communication.

        Raises:
            VlcError: The module's tensors are not those that were copied.
        """
        if self._pairs is None:
            module = self._followed[0]
            self._pairs = (
                _matched(self.copied.named_parameters(), module.named_parameters()),
                _matched(self.copied.named_buffers(), module.named_buffers()),
            )
        parameters, buffers = self._pairs
        if self._plain is None or (self._plain and hasattr(self._plain[0][0], "ds_tensor")):
            self._plain = _plain(parameters)
        if self._plain:
            torch._foreach_lerp_(*self._plain, 1.0 - self.momentum)
        else:
            held = [pair for twin, source in parameters for pair in _held(twin, source)]
            if held:
                torch._foreach_lerp_([twin for twin, _ in held], [source for _, source in held], 1.0 - self.momentum)
        for twin, source in buffers:
            twin.copy_(source)


def _matched(twins: Iterable[tuple[str, Tensor]], sources: Iterable[tuple[str, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Pairs by name: the order of a module's tensors may change, their names may not."""
    named, known = dict(twins), dict(sources)
    if named.keys() != known.keys():
        odd = min(named.keys() ^ known.keys())
        raise VlcError(f"a momentum twin cannot follow its module: one of them alone has {odd}")
    return [(twin, known[name]) for name, twin in named.items()]


def _single(module: nn.Module) -> nn.Module:
    """In float32, or float64 where it is so."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(torch.promote_types(tensor.dtype, torch.float32))
    return module


def _plain(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]] | tuple[()]:
    """Both sides of whole parameters of one type, which need no look at each in every step; empty for others."""
    for twin, source in pairs:
        if hasattr(twin, "ds_tensor") or hasattr(source, "ds_tensor") or twin.dtype != source.dtype:
            return ()
    return ([twin for twin, _ in pairs], [source for _, source in pairs]) if pairs else ()


def _held(twin: Tensor, source: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What this rank holds of a parameter, in pairs of one dtype.

    Under ZeRO-3 that is its part, and the whole of a parameter too small to be split, which nobody refreshes for what
    is not trained. On one rank the whole may be the part.
    """
    pairs = []
    split = hasattr(twin, "ds_tensor") and hasattr(source, "ds_tensor")
    if split:
        pairs.append((_part(twin), _part(source)))
    if twin.numel() and twin.numel() == source.numel() and not (split and twin.data_ptr() == _part(twin).data_ptr()):
        pairs.append((twin.data, source.data))
    return [(ours, theirs.to(ours.dtype)) for ours, theirs in pairs]


def _part(parameter: Any) -> Tensor:
    """What ZeRO-3 left of a parameter on this rank."""
    part: Tensor = parameter.ds_tensor.data
    return part
