"""Memory of a rank, moment by moment, under each ZeRO stage.

The parts that depend on the stage follow DeepSpeed 0.19: W bytes of weights, G bytes of gradients (fp32, of what is
trained), N ranks.

    stage   between steps       beside the activations   while gradients are reduced
    0       W + 2G              G                        2G, alone G
    1, 2    W + 3G/N            G                        G + 2G/N
    3       W/N + 4G/N          W + G                    W + 2G/N

A trace counts G among the backward pass's tensors. The stages 1 to 3 copy gradients into a bucket before they are
reduced; on an accelerator that bucket is as large as DeepSpeed's settings say, whatever the model's size.

On the CPU two things come on top, measured (``benchmarks/memory.py``) and not derived. The C library's heap holds more
than what is alive, as small lasting blocks lie between large passing ones; and the kernels of oneDNN are compiled for
every shape that they meet, and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from vlc_core.plan import trace
from vlc_core.plan.trace import Traced

HEAP_SHARE = 0.15
"""What glibc's heap holds beyond what is alive, as a share of that."""
KERNELS = 50 << 20
"""Code and tables of the compiled kernels of some ten shapes."""
COPIES_SAVED = 6
"""Gradients' sizes that saving takes: weights and both moments copied, and once more as the bytes of their files."""
_BUCKET = 500_000_000
_LIVE = 1_000_000_000
_PERSISTENT = 100_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a model weighs, in bytes.

    Attributes:
        weights: All parameters and buffers.
        gradients: Of the parameters that are trained, in fp32.
        persistent: Of those parameters that ZeRO-3 leaves whole because they are small.
        low_gradients: Of the gradients, those that bf16 training sends in two bytes instead of four.
    """

    weights: int
    gradients: int
    persistent: int
    low_gradients: int

    @classmethod
    def of(cls, model: nn.Module, settings: Mapping[str, Any]) -> Sizes:
        """Of a model, built or empty, under DeepSpeed's ``zero_optimization`` section."""
        threshold = int(
            settings.get("stage3_param_persistence_threshold", settings.get("param_persistence_threshold", _PERSISTENT))
        )
        trained = [p for p in model.parameters() if p.requires_grad]
        matrices = {id(m.weight) for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
        return cls(
            weights=sum(x.numel() * x.element_size() for x in (*model.parameters(), *model.buffers())),
            gradients=sum(4 * p.numel() for p in trained),
            persistent=sum(4 * p.numel() for p in trained if p.numel() < threshold),
            low_gradients=sum(4 * p.numel() for p in trained if id(p) in matrices),
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one rank, beside what the libraries themselves take.

    Attributes:
        of_moments: What is there at each moment of a run, by part: ``step`` (forward and backward), ``update``
            (gradients reduced and applied), ``evaluate``, and on the CPU ``save``.
        saving: What saving a checkpoint takes in the host's memory, on the rank that writes it.
    """

    of_moments: dict[str, dict[str, int]]
    saving: int

    @property
    def moments(self) -> dict[str, int]:
        """The most at each moment."""
        return {name: _total(parts) for name, parts in self.of_moments.items()}

    @property
    def moment(self) -> str:
        """The one that takes the most."""
        moments = self.moments
        return max(moments, key=moments.__getitem__)

    @property
    def parts(self) -> dict[str, int]:
        """What is there at the moment that takes the most."""
        return self.of_moments[self.moment]

    @property
    def total(self) -> int:
        """The most that the rank takes at any moment."""
        return max(self.moments.values())


def memory(traced: Traced, sizes: Sizes, settings: Mapping[str, Any], *, stage: int, world: int, on: str) -> Memory:
    """What a rank takes.

    Args:
        traced: A step of that rank.
        sizes: Of the model.
        settings: DeepSpeed's ``zero_optimization`` section.
        stage: The ZeRO stage that is taken.
        world: How many ranks there are.
        on: ``cpu`` or ``cuda``.
    """
    kept = _kept(sizes, stage, world)
    moments = {
        "step": _sum(kept, _step(traced, sizes, settings, stage, on)),
        "update": _sum(kept, _update(sizes, settings, stage, world, on)),
    }
    if traced.evaluation:
        moments["evaluate"] = _sum(kept, {"evaluation": traced.evaluation})
    saving = COPIES_SAVED * sizes.gradients
    if on == "cpu":
        moments = {name: _with_heap(parts) for name, parts in moments.items()}
        moments["save"] = _sum(max(moments.values(), key=_total), {"saving": saving})
    held = {name: {part: size for part, size in parts.items() if size} for name, parts in moments.items()}
    return Memory(held, saving)


def _kept(sizes: Sizes, stage: int, world: int) -> dict[str, int]:
    """What a rank has between steps."""
    share = sizes.gradients // world
    if stage == 0:
        return {"weights": sizes.weights, "optimizer": 2 * sizes.gradients}
    if stage < 3:
        return {"weights": sizes.weights, "optimizer": 3 * share}
    whole = sizes.weights - sizes.gradients + sizes.persistent
    return {"weights": share + whole, "optimizer": 3 * share, trace.BACKWARD: share}


def _step(traced: Traced, sizes: Sizes, settings: Mapping[str, Any], stage: int, on: str) -> dict[str, int]:
    """What the forward and the backward pass add at their peak."""
    parts = dict(traced.peak)
    if stage > 0 and on != "cpu":
        parts[trace.BACKWARD] = max(parts.get(trace.BACKWARD, 0), _bucket(settings, stage))
    if stage == 3:
        parts["gathered weights"] = min(sizes.gradients, 4 * int(settings.get("stage3_max_live_parameters", _LIVE)))
    return parts


def _update(sizes: Sizes, settings: Mapping[str, Any], stage: int, world: int, on: str) -> dict[str, int]:
    """What reducing and applying the gradients adds."""
    if stage == 0:
        return {trace.BACKWARD: sizes.gradients, "buckets": min(sizes.gradients, 4 * _BUCKET) if world > 1 else 0}
    bucket = _bucket(settings, stage)
    buckets = min(sizes.gradients, bucket) if on == "cpu" else bucket
    return {trace.BACKWARD: (2 if stage < 3 else 1) * sizes.gradients // world, "buckets": buckets}


def _bucket(settings: Mapping[str, Any], stage: int) -> int:
    buffers = 2 if settings.get("overlap_comm") and stage < 3 else 1
    return buffers * 4 * int(float(settings.get("reduce_bucket_size", _BUCKET)))


def _with_heap(parts: dict[str, int]) -> dict[str, int]:
    return parts | {"heap": KERNELS + round(HEAP_SHARE * _total(parts))}


def _total(parts: Mapping[str, int]) -> int:
    return sum(parts.values())


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in dict.fromkeys((*one, *other))}
