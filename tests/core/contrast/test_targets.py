"""What objectives call, against dense float64 references, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from vlc_core.contrast import label_sums, own, pair_losses
from vlc_core.contrast.targets import chosen_keys

PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-4)]


def total(losses: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., Tensor]:
    """The sum over both directions, the second one weighted, so that they cannot be mistaken for each other."""

    def summed(*inputs: Tensor) -> Tensor:
        left, right = losses(*inputs)
        return left.sum() + 3 * right.sum()

    return summed


def pairs(naive: Any, count: int, noise: float, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs as float32 can hold them, so that every precision sees the same."""
    left = naive.rows(count, 48, 0)
    right = naive.rows(count, 48, 1, near=left, noise=noise)
    return left.float().double(), right.float().double(), torch.tensor([scale], dtype=torch.float64)


@pytest.mark.parametrize("scale", [1.0, 14.3, 50.0, 80.0, 100.0])
@pytest.mark.parametrize("noise", [0.3, 0.7, 3.0])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_pairs_are_exact_however_well_they_are_separated(
    naive: Any, scale: float, noise: float, dtype: torch.dtype, tolerance: float
) -> None:
    inputs = pairs(naive, 50, noise, scale)
    own = torch.arange(50)
    expected = naive.value_and_gradients(
        total(lambda a, k, s: tuple(naive.own_key_entropies(x, y, s, own) for x, y in ((a, k), (k, a)))), inputs
    )
    found = naive.value_and_gradients(total(pair_losses), inputs, dtype)
    assert naive.worst_error(found, expected) < tolerance


@pytest.mark.parametrize("scale", [300.0, 1000.0])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_pairs_at_the_greatest_scales(naive: Any, scale: float, dtype: torch.dtype, tolerance: float) -> None:
    inputs = pairs(naive, 50, 1.5, scale)
    eye = torch.eye(50, dtype=torch.float64)
    expected = naive.value_and_gradients(
        total(lambda a, k, s: tuple(naive.cross_entropies(x, y, s, eye) for x, y in ((a, k), (k, a)))), inputs
    )
    assert naive.worst_error(naive.value_and_gradients(total(pair_losses), inputs, dtype), expected) < tolerance


def test_a_batch_of_one_pair_costs_nothing_and_moves_nothing(naive: Any) -> None:
    value, *gradients = naive.value_and_gradients(total(pair_losses), pairs(naive, 1, 0.5, 10.0))
    assert value == 0
    assert all((g == 0).all() for g in gradients)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("scale", [10.0, 100.0, 1000.0])
def test_smoothing_spreads_a_share_over_all_keys(
    naive: Any, scale: float, dtype: torch.dtype, tolerance: float
) -> None:
    inputs = pairs(naive, 30, 1.0, scale)
    target = 0.9 * torch.eye(30, dtype=torch.float64) + 0.1 / 30
    expected = naive.value_and_gradients(
        total(lambda a, k, s: tuple(naive.cross_entropies(x, y, s, target) for x, y in ((a, k), (k, a)))), inputs
    )
    found = naive.value_and_gradients(total(lambda *i: pair_losses(*i, smoothing=0.1)), inputs, dtype)
    assert naive.worst_error(found, expected) < tolerance


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("share", [0.5, 0.25, 0.01])
def test_a_share_of_the_keys_always_holds_the_own_one(naive: Any, smoothing: float, share: float) -> None:
    inputs = pairs(naive, 30, 1.0, 20.0)
    chosen = chosen_keys(30, share, 5)
    kept = torch.eye(30, dtype=torch.bool) | torch.isin(torch.arange(30), chosen)[None, :]
    target = (1 - smoothing) * torch.eye(30, dtype=torch.float64) + smoothing * kept.double() / kept.sum(
        1, keepdim=True
    )

    def entropies(anchors: Tensor, keys: Tensor, scale: Tensor) -> Tensor:
        logits = (scale * anchors @ keys.T).masked_fill(~kept, -torch.inf)
        return -(target * torch.log_softmax(logits, dim=1)).masked_fill(~kept, 0.0).sum(dim=1)

    expected = naive.value_and_gradients(total(lambda a, k, s: (entropies(a, k, s), entropies(k, a, s))), inputs)
    found = naive.value_and_gradients(
        total(lambda *i: pair_losses(*i, smoothing=smoothing, share=share, seed=5)), inputs
    )
    assert naive.worst_error(found, expected) < 1e-10


def test_the_chosen_keys_follow_from_the_seed() -> None:
    assert torch.equal(chosen_keys(100, 0.25, 7), chosen_keys(100, 0.25, 7))
    assert not torch.equal(chosen_keys(100, 0.25, 7), chosen_keys(100, 0.25, 8))
    assert chosen_keys(100, 0.25, 7).unique().shape == (25,)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("scale", [14.3, 100.0, 1000.0])
def test_rows_match_all_rows_of_their_label(naive: Any, scale: float, dtype: torch.dtype, tolerance: float) -> None:
    inputs = pairs(naive, 40, 1.0, scale)
    labels = torch.randint(-1, 6, (40,), generator=torch.Generator().manual_seed(0))
    target = naive.same_label_target(labels)
    expected = naive.value_and_gradients(
        total(lambda a, k, s: tuple(naive.cross_entropies(x, y, s, target) for x, y in ((a, k), (k, a)))), inputs
    )
    found = naive.value_and_gradients(total(lambda a, k, s: label_sums(a, k, labels, s)), inputs, dtype)
    assert naive.worst_error(found, expected) < tolerance


@pytest.mark.parametrize("labels", [torch.full((50,), -1), torch.arange(50)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_labels_that_all_differ_give_the_loss_of_pairs_to_the_bit(
    naive: Any, labels: Tensor, dtype: torch.dtype
) -> None:
    left, right, scale = (x.to(dtype) for x in pairs(naive, 50, 0.7, 100.0))
    for found, expected in zip(label_sums(left, right, labels, scale), pair_losses(left, right, scale), strict=True):
        assert torch.equal(found, expected.sum())


def test_classes_reach_beyond_a_block_of_rows(naive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last block is smaller, and most classes lie in several."""
    monkeypatch.setattr(own, "BLOCK", 16)
    inputs = pairs(naive, 70, 1.0, 14.3)
    labels = torch.randint(-1, 9, (70,), generator=torch.Generator().manual_seed(1))
    target = naive.same_label_target(labels)
    expected = naive.value_and_gradients(
        total(lambda a, k, s: tuple(naive.cross_entropies(x, y, s, target) for x, y in ((a, k), (k, a)))), inputs
    )
    found = naive.value_and_gradients(total(lambda a, k, s: label_sums(a, k, labels, s)), inputs)
    assert naive.worst_error(found, expected) < 1e-10


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_pairs_beside_a_class_move_to_the_bit_as_among_pairs_alone(naive: Any, dtype: torch.dtype) -> None:
    """Their loss is tiny, and a rounded share of a class would drown it."""
    inputs = [x.to(dtype) for x in pairs(naive, 50, 0.3, 100.0)]
    labels = torch.full((50,), -1)
    labels[::10], labels[7], labels[9] = 3, 4, 5
    alone = labels != 3
    moved = [
        torch.autograd.grad(sum(x.sum() for x in loss(*leaves)), leaves[:2])
        for loss in (lambda a, k, s: label_sums(a, k, labels, s), pair_losses)
        for leaves in [[x.clone().requires_grad_() for x in inputs]]
    ]
    for found, expected in zip(*moved, strict=True):
        assert torch.equal(found[alone], expected[alone])
        assert not torch.equal(found[~alone], expected[~alone])


def test_a_frozen_side_gets_no_gradient_and_the_other_its_own(naive: Any) -> None:
    labels = torch.randint(-1, 4, (30,), generator=torch.Generator().manual_seed(2))
    whole = [x.requires_grad_() for x in pairs(naive, 30, 1.0, 14.3)]
    sum(label_sums(whole[0], whole[1], labels, whole[2])).backward()
    for learnt in range(3):
        inputs = [x.detach().requires_grad_(number == learnt) for number, x in enumerate(whole)]
        sum(label_sums(inputs[0], inputs[1], labels, inputs[2])).backward()
        torch.testing.assert_close(inputs[learnt].grad, whole[learnt].grad, rtol=1e-10, atol=1e-12)
