"""Supervised contrast against its definition, on one rank and on several."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.objective import ModelInfo
from vlc_core.testing.ranks import run_on_ranks
from vlc_plugin_unicl.functional import supcon_loss
from vlc_plugin_unicl.supcon import SupCon

SIZES = [4, 2]
LABELS = [1, -1, 0, 1, -1, 1]


def batch(scale: float = 10.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    first, noise = torch.randn(2, sum(SIZES), 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    second = normalize(first + 0.5 * noise, dim=1)
    return normalize(first, dim=1), second, torch.tensor(LABELS), torch.tensor([scale], dtype=torch.float64)


def by_the_book(first: Tensor, second: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
    z, count = torch.cat([first, second]), len(labels)
    names = [f"alone {i}" if label < 0 else label for i, label in enumerate(labels.tolist())] * 2
    losses = []
    for i in range(2 * count):
        others = [a for a in range(2 * count) if a != i]
        total = torch.logsumexp(torch.stack([(scale * z[i] @ z[a]).squeeze() for a in others]), 0)
        positives = [a for a in others if names[a] == names[i]]
        losses.append(total - torch.stack([(scale * z[i] @ z[a]).squeeze() for a in positives]).mean())
    return torch.stack(losses).mean()


def with_gradients(first: Tensor, second: Tensor, labels: Tensor, scale: Tensor, *, gather: bool) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in (first, second, scale)]
    loss = supcon_loss(leaves[0], leaves[1], labels, leaves[2], gather=gather)
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("gather", [False, True])
def test_the_loss_is_its_definition(gather: bool) -> None:
    first, second, labels, scale = batch()
    leaves = [x.clone().requires_grad_() for x in (first, second, scale)]
    book = by_the_book(leaves[0], leaves[1], labels, leaves[2])
    expected = [book.detach(), *torch.autograd.grad(book, leaves)]
    assert_same(with_gradients(first, second, labels, scale, gather=gather), expected)


def test_float32_is_exact_at_scale_100() -> None:
    first, second, labels, scale = batch(100.0)
    expected = with_gradients(first, second, labels, scale, gather=False)
    found = with_gradients(first.float(), second.float(), labels, scale.float(), gather=False)
    for one, other in zip(found, expected, strict=True):
        assert (one.double() - other).abs().max() < 3e-5 * other.abs().max()


@pytest.mark.parametrize("label", [0, -1])
def test_one_image_alone_costs_nothing_and_moves_nothing(label: int) -> None:
    first, second, _, scale = batch()
    for result in with_gradients(first[:1], second[:1], torch.tensor([label]), scale, gather=False):
        assert result.abs().max() < 1e-14


def on_a_rank(rank: int, world: int) -> list[Tensor]:
    first, second, labels, scale = batch()
    rows = slice(0, SIZES[0]) if rank == 0 else slice(SIZES[0], None)
    return with_gradients(first[rows], second[rows], labels[rows], scale, gather=True)


def test_ranks_of_different_size_average_to_the_loss_of_the_whole_batch() -> None:
    expected = with_gradients(*batch(), gather=False)
    loss, first, second, scale = zip(*run_on_ranks(on_a_rank, 2), strict=True)
    assert_same([sum(loss) / 2, torch.cat(first) / 2, torch.cat(second) / 2, sum(scale) / 2], expected)


@pytest.mark.parametrize("temperature", [None, 0.05])
def test_the_objective_sums_over_two_anchors_a_sample(step: Any, temperature: float | None) -> None:
    first, second, labels, scale = batch()
    views = [SimpleNamespace(embed=first), SimpleNamespace(embed=second)]
    objective = SupCon(ModelInfo(12, 12, 12, Vocabulary(8, 0)), temperature=temperature)
    assert objective.needs.views == 2
    term = objective(step(views=views, labels=labels, scale=scale, size=len(labels)))["supcon"]
    assert term.count == 12
    used = scale if temperature is None else scale.new_tensor([1 / temperature])
    torch.testing.assert_close(term.sum / term.count, by_the_book(first, second, labels, used))
