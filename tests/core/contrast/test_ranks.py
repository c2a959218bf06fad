"""The same losses and gradients on 1, 2 and 4 ranks, whatever the share of the batch that each has."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlc_core.contrast import label_sums, pair_losses
from vlc_core.testing.ranks import run_on_ranks

SIZES = {1: [23], 2: [14, 9], 4: [15, 1, 0, 7]}
DTYPES = {"float64": (torch.float64, 1e-10), "float32": (torch.float32, 1e-5)}
SCALES = [14.3, 100.0, 600.0]
TARGETS = ["pairs", "smoothed", "half of the keys", "labels"]
WIDTH = 16


def batch(sizes: list[int], rank: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of one rank, or of all; the same on every rank."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, sum(sizes), WIDTH, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1, 4, (sum(sizes),), generator=generator)
    whole = normalize(left, dim=1), normalize(left + 2 * right, dim=1), labels
    if rank is None:
        return whole
    start = [0, *itertools.accumulate(sizes)][rank]
    left, right, labels = (x[start : start + sizes[rank]] for x in whole)
    return left, right, labels


def losses(target: str, left: Tensor, right: Tensor, labels: Tensor, scale: Tensor, gather: bool) -> Tensor:
    """The sum over this rank's anchors, and both directions."""
    if target == "labels":
        found = label_sums(left, right, labels, scale, gather=gather)
    elif target == "smoothed":
        found = pair_losses(left, right, scale, gather=gather, smoothing=0.1)
    elif target == "half of the keys":
        found = pair_losses(left, right, scale, gather=gather, share=0.5, seed=3, smoothing=0.2)
    else:
        found = pair_losses(left, right, scale, gather=gather)
    return found[0].sum() + found[1].sum()


def measure(target: str, dtype: str, scale: float, sizes: list[int], rank: int | None) -> dict[str, Tensor]:
    """The loss of a rank and its gradients; the gradient of the other ranks' anchors is in there too."""
    left, right, labels = batch(sizes, rank)
    leaves = [x.to(DTYPES[dtype][0]).requires_grad_() for x in (left, right, torch.tensor([scale]))]
    loss = losses(target, leaves[0], leaves[1], labels, leaves[2], gather=rank is not None)
    gradients = torch.autograd.grad(loss, leaves)
    return dict(zip(("loss", "left", "right", "scale"), (loss.detach(), *gradients), strict=True))


def everything(rank: int, world: int) -> dict[str, dict[str, Tensor]]:
    cases = itertools.product(TARGETS, DTYPES, SCALES)
    return {f"{t} {d} {s}": measure(t, d, s, SIZES[world], rank) for t, d, s in cases}


@pytest.fixture(scope="module", params=[1, 2, 4])
def measured(request: pytest.FixtureRequest) -> list[dict[str, dict[str, Tensor]]]:
    return [everything(0, 1)] if request.param == 1 else run_on_ranks(everything, request.param)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_ranks_together_have_the_loss_and_gradients_of_one_process(
    measured: Any, target: str, dtype: str, scale: float
) -> None:
    expected = measure(target, dtype, scale, SIZES[1], None)
    parts = [rank[f"{target} {dtype} {scale}"] for rank in measured]
    found = {
        "loss": sum(p["loss"] for p in parts),
        "left": torch.cat([p["left"] for p in parts]),
        "right": torch.cat([p["right"] for p in parts]),
        "scale": sum(p["scale"] for p in parts),
    }
    tolerance = DTYPES[dtype][1]
    for name, value in expected.items():
        error = (found[name] - value).abs().max() / value.abs().max()
        assert error < tolerance, name
