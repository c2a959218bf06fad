"""Where the time of a training step goes, and how near it is to the limit that matrix products set."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import torch
from clip_step_rivals import Ours, Theirs
from torch.utils.flop_counter import FlopCounterMode

from vlc_core.products import product

STEPS = 12
KINDS = {
    "matrix products of layers": ("aten::mm", "aten::addmm", "mkldnn::_linear_pointwise", "aten::mkldnn_convolution"),
    "attention": ("scaled_dot_product", "aten::bmm", "aten::baddbmm", "softmax"),
    "GELU": ("gelu",),
    "layer norms": ("layer_norm",),
    "AdamW": ("_fused_adamw_", "AdamW", "_foreach_add_"),
    "word embeddings": ("embedding", "index_select", "scatter", "index_copy"),
    "filling with zeros": ("aten::fill_", "aten::zero"),
    "copies and casts": ("aten::copy_", "aten::cat", "aten::_to_copy", "aten::clone"),
    "sums for biases": ("aten::sum",),
    "additions and products by element": ("aten::add", "aten::mul", "aten::div", "aten::sub"),
}


def profile(theirs: Theirs, ours: Ours, mode: str) -> None:
    """Prints both rivals' operators by kind, and the limit."""
    tables = [by_kind(rival, mode) for rival in (theirs, ours)]
    totals = [sum(table.values()) for table in tables]
    print(f"  {'milliseconds of a step':<40}{'open_clip':>10}{'vlc':>10}")
    for kind in [*KINDS, "everything else"]:
        print(f"  {kind:<40}{tables[0][kind]:10.1f}{tables[1][kind]:10.1f}")
    print(f"  {'together':<40}{totals[0]:10.1f}{totals[1]:10.1f}")
    rate = best_rate(mode)
    for name, rival, total in (("open_clip", theirs, totals[0]), ("vlc", ours, totals[1])):
        bound = operations(rival, mode) / rate
        print(
            f"  {name}: {bound * rate / 1e9:.1f} G operations in matrix products, at the best rate measured here,"
            f" {rate / 1e9:.0f} G/s, {bound * 1e3:.1f} ms: {bound * 1e3 / total:.0%} of the step"
        )


def by_kind(rival: Theirs | Ours, mode: str) -> defaultdict[str, float]:
    """Milliseconds of a step by kind of operator, each without those nested in it.

    Steps consist of the same calls in the same order; of each call the fastest of several steps is taken, so that
    other processes leave no trace.
    """
    calls = [_calls(rival, mode) for _ in range(STEPS + 1)][1:]
    spent: defaultdict[str, float] = defaultdict(float)
    for same in zip(*calls, strict=True):
        name = same[0][0]
        kinds = (kind for kind, parts in KINDS.items() if any(_is(name, part) for part in parts))
        spent[next(kinds, "everything else")] += min(milliseconds for _, milliseconds in same)
    return spent


def _calls(rival: Theirs | Ours, mode: str) -> list[tuple[str, float]]:
    """Name and milliseconds of each operator of a step, in order."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        rival.step(mode)
    events = sorted(found.events() or [], key=lambda event: (event.time_range.start, -event.time_range.end))
    return [(event.key, event.self_cpu_time_total / 1e3) for event in events]


def _is(name: str, part: str) -> bool:
    if name.startswith("autograd::"):
        return False
    return name.removesuffix("_") == part.removesuffix("_") if part.startswith("aten::") else part in name


def operations(rival: Theirs | Ours, mode: str) -> float:
    """Additions and multiplications of the matrix products of one step."""
    kernel = torch.ops.mkldnn._linear_pointwise
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    counted: dict[Any, Callable[..., int]] = {
        kernel: lambda left, right, *_, **__: 2 * left[0] * left[1] * right[0],
        attention: lambda q, k, v, *_, **__: 4 * prod(q) * k[2],
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda g, q, k, *_, **__: (
            10 * prod(q) * k[2]
        ),
    }
    with FlopCounterMode(display=False, custom_mapping=counted) as counter:
        rival.gradients(mode)
    rival.optimizer.zero_grad()
    return float(counter.get_total_flops())


def best_rate(mode: str) -> float:
    """Operations a second of the fastest product at hand, of matrices that are large enough."""
    dtype = torch.bfloat16 if mode == "bf16" else torch.float32
    rates = []
    for rows, inputs, outputs in ((2048, 2048, 2048), (2368, 256, 1024), (2368, 1024, 256)):
        left, right = torch.randn(rows, inputs, dtype=dtype), torch.randn(outputs, inputs, dtype=dtype)
        operations = 2 * rows * inputs * outputs
        ways = (partial(product, left, right), partial(torch.mm, left, right.T))
        rates += [operations / least(way, 15) for way in ways]
    return max(rates)


def least(run: Callable[[], object], turns: int) -> float:
    """Seconds of the fastest of ``turns`` calls."""
    taken = []
    for _ in range(turns):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)
