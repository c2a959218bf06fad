"""Counts what a computation over fake tensors would take: bytes alive, floating-point operations, bytes sent.

A fake tensor has a shape, a type and a device and no content, so a step of any model can be run in a moment and without
memory. Tensors that steer a computation (token ids, masks, counts, the temperature) stay real: what depends on their
values alone runs as it would in training.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop, sdpa_flop

_aten = torch.ops.aten
_SMALL = 1 << 16
_ONEDNN_LINEAR = "mkldnn._linear_pointwise"  # by name: not every build of torch has it


def _linear_flop(x: Tensor, *_: Any, out_val: Tensor, **__: Any) -> int:
    return 2 * out_val.numel() * x.shape[-1]


_LIKE_NEW: dict[Any, Any] = {
    _aten.new_empty.default: _aten.empty.memory_format,
    _aten.new_zeros.default: _aten.zeros.default,
    _aten.new_ones.default: _aten.ones.default,
    _aten.new_full.default: _aten.full.default,
}
_INDEXED = (_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default)
_FLOPS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    _aten._scaled_dot_product_flash_attention_for_cpu: sdpa_flop,
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: sdpa_backward_flop,
}


class Ledger(TorchDispatchMode):
    """Watches every operation while it is entered, inside a ``FakeTensorMode``.

    Args:
        world: The ranks that collectives are counted for.
        condition: What a condition on a value that no fake tensor has is taken to be.

    Attributes:
        share: How much of a mask without content is taken to be true.
        live: Bytes alive by part.
        peak: The same at the moment when they were most.
        flops: Floating-point operations.
        sent: Bytes that a rank sends, by collective, in the ring algorithms that NCCL and gloo use.
    """

    def __init__(self, world: int = 1, *, condition: bool = True) -> None:
        super().__init__()
        self.world = world
        self.live: dict[str, int] = defaultdict(int)
        self.peak: dict[str, int] = {}
        self.flops = 0
        self.sent: dict[str, float] = defaultdict(float)
        self._condition = condition
        self.share = 1.0
        self._most = 0
        self._total = 0
        self._parts = ["other"]
        self._storages: dict[int, weakref.ref[Any]] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What is made inside belongs to the part ``name``."""
        self._parts.append(name)
        try:
            yield
        finally:
            self._parts.pop()

    def watch(self, module: nn.Module, name: str) -> None:
        """What calls of ``module`` make belongs to the part ``name``, unless a module within it says otherwise."""
        module.register_forward_pre_hook(lambda *_: self._parts.append(name))
        module.register_forward_hook(lambda *_: self._leave(), always_call=True)

    def _leave(self) -> None:
        self._parts.pop()

    def take(self, tensor: Tensor) -> None:
        """Counts the memory of a tensor as long as it is alive, once."""
        if not isinstance(tensor, FakeTensor):
            return
        storage = tensor.untyped_storage()
        key, size, part = id(storage), storage.nbytes(), self._parts[-1]
        if key in self._storages:
            return

        def gone(_: object) -> None:
            del self._storages[key]
            self.live[part] -= size
            self._total -= size

        self._storages[key] = weakref.ref(storage, gone)
        self.live[part] += size
        self._total += size
        if self._total > self._most:
            self._most, self.peak = self._total, {name: held for name, held in self.live.items() if held}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
        fake = any(isinstance(x, FakeTensor) for x in given)
        if func is _aten._local_scalar_dense.default and fake and given[0].dtype == torch.bool:
            return self._condition
        if func is _aten.nonzero.default and fake:
            # A mask that nobody knows, such as that of texts drawn by what the model thinks of them.
            return self._guessed(given[0].shape)
        if func.namespace == "c10d":
            self._communicate(func, args)
        if func in _LIKE_NEW and _counts(args, kwargs):
            # Counts and indices, of which a fake tensor only lent its device.
            func, args, fake = _LIKE_NEW[func], args[1:], False
        if fake and func in _INDEXED:
            args = (args[0], _places(args[1]), *args[2:])
        if fake or (not given and _is_large(args)):
            out = func(*args, **kwargs)
            self._compute(func, args, kwargs, out)
        else:
            with _disable_current_modes():
                out = func(*args, **kwargs)
        for x in tree_iter(out):
            if isinstance(x, Tensor):
                self.take(x)
        return out

    def _guessed(self, shape: torch.Size) -> Tensor:
        """The places (T, dims) of a mask of unknown content: its first ones, as many as ``share`` says."""
        with _disable_current_modes():
            flat = torch.arange(round(self.share * shape.numel()))
            return torch.stack(torch.unravel_index(flat, shape), dim=1)

    def _compute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        formula = _linear_flop if str(func).startswith(_ONEDNN_LINEAR) else _FLOPS.get(func._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=out)

    def _communicate(self, func: Any, args: tuple[Any, ...]) -> None:
        name = func._overloadpacket.__name__.strip("_")
        size = max((x.numel() * x.element_size() for x in tree_iter(args) if isinstance(x, Tensor)), default=0)
        passes = 2 if name.startswith("allreduce") else 1
        self.sent[name] += passes * size * (self.world - 1) / self.world


def _places(indices: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Indices with every real mask replaced by the numbers of what it shows: how many they are is then known."""
    places: list[Tensor | None] = []
    for index in indices:
        if isinstance(index, Tensor) and index.dtype == torch.bool and not isinstance(index, FakeTensor):
            with _disable_current_modes():
                places += index.nonzero().unbind(1)
        else:
            places.append(index)
    return places


def _counts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    dtype = kwargs.get("dtype") or args[0].dtype
    return not dtype.is_floating_point and not _is_large(args[1:])


def _is_large(args: tuple[Any, ...]) -> bool:
    """Whether a tensor made from nothing, of the sizes in ``args``, is too large to be real."""
    sizes = next((x for x in args if isinstance(x, (list, tuple, torch.Size))), ())
    elements = 1
    for size in sizes:
        elements *= int(size)
    return elements > _SMALL
