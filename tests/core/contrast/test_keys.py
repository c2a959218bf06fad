"""Keys without gradient, batch and queue, against cross entropies over the whole matrix in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vlc_core.contrast import Queue, joined_logsums, key_losses

PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-4)]


def keys_and_queue(naive: Any, scale: float, noise: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    anchors = naive.rows(12, 48, 0).float().double()
    keys = torch.cat([naive.rows(12, 48, 1, near=anchors, noise=noise), naive.rows(70, 48, 2)]).float().double()
    momentum = naive.rows(12, 48, 3, near=anchors, noise=0.5).float().double()
    return anchors, torch.tensor([scale], dtype=torch.float64), keys, momentum


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("scale", [14.3, 50.0, 100.0])
def test_a_hard_target_among_queue_keys(naive: Any, scale: float, dtype: torch.dtype, tolerance: float) -> None:
    anchors, s, keys, _ = keys_and_queue(naive, scale, 0.8)
    own = torch.arange(12)
    expected = naive.value_and_gradients(lambda a, s: naive.own_key_entropies(a, keys, s, own).sum(), (anchors, s))
    found = naive.value_and_gradients(lambda a, s: key_losses(a, keys.to(dtype), s, own=own).sum(), (anchors, s), dtype)
    assert naive.worst_error(found, expected) < tolerance


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("scale", [14.3, 100.0, 1000.0])
def test_a_soft_target_is_what_the_momentum_anchor_attends_to(naive: Any, alpha: float, scale: float) -> None:
    anchors, s, keys, momentum = keys_and_queue(naive, scale, 2.0)
    target = alpha * torch.softmax(scale * momentum @ keys.T, dim=1)
    target[:, :12] += (1 - alpha) * torch.eye(12, dtype=torch.float64)
    expected = naive.value_and_gradients(lambda a, s: naive.cross_entropies(a, keys, s, target).sum(), (anchors, s))
    for batch, queue in ((keys, None), (keys[:12], Queue(keys[12:]))):
        found = naive.value_and_gradients(
            lambda a, s, k=batch, q=queue: key_losses(
                a, k, s, own=torch.arange(12), momentum=momentum, alpha=alpha, queue=q
            ).sum(),
            (anchors, s),
        )
        assert naive.worst_error(found, expected) < 1e-10


def test_other_keys_of_the_anchors_group_count_for_nothing(naive: Any) -> None:
    anchors, s, keys, momentum = keys_and_queue(naive, 14.3, 2.0)
    own = torch.arange(12)
    key_groups = torch.cat([own, torch.randint(40, (70,), generator=torch.Generator().manual_seed(1))])
    counted = (own[:, None] != key_groups[None, :]) | (own[:, None] == torch.arange(82)[None, :])

    def reference(a: Tensor, s: Tensor) -> Tensor:
        def logits(x: Tensor) -> Tensor:
            return (s * x @ keys.T).masked_fill(~counted, -torch.inf)

        target = 0.3 * torch.softmax(logits(momentum), dim=1).detach()
        target[:, :12] += 0.7 * torch.eye(12, dtype=torch.float64)
        return -(target * torch.log_softmax(logits(a), dim=1)).masked_fill(~counted, 0.0).sum()

    expected = naive.value_and_gradients(reference, (anchors, s))
    apart = {"exclude": (own, own), "queue": Queue(keys[12:], key_groups[12:])}
    for batch, options in ((keys, {"exclude": (own, key_groups)}), (keys[:12], apart)):
        found = naive.value_and_gradients(
            lambda a, s, k=batch, o=options: key_losses(a, k, s, own=own, momentum=momentum, alpha=0.3, **o).sum(),
            (anchors, s),
        )
        assert naive.worst_error(found, expected) < 1e-10


def test_an_anchor_without_any_other_key_costs_nothing(naive: Any) -> None:
    anchors, s, keys, momentum = keys_and_queue(naive, 14.3, 2.0)
    same = torch.zeros(1, dtype=torch.int64)
    queue = Queue(keys[12:], torch.zeros(70, dtype=torch.int64))
    loss, *gradients = naive.value_and_gradients(
        lambda a, s: key_losses(
            a, keys[:1], s, own=same, momentum=momentum[:1], alpha=0.4, exclude=(same, same), queue=queue
        ).sum(),
        (anchors[:1], s),
    )
    assert loss == 0
    assert all(torch.equal(gradient, torch.zeros_like(gradient)) for gradient in gradients)


def test_an_empty_queue_is_none(naive: Any) -> None:
    anchors, s, keys, _ = keys_and_queue(naive, 14.3, 2.0)
    own = torch.arange(12)
    assert torch.equal(
        key_losses(anchors, keys, s, own=own), key_losses(anchors, keys, s, own=own, queue=Queue(keys[:0]))
    )


def test_parts_of_a_sum_are_joined(naive: Any) -> None:
    x = torch.tensor([[0.0, -torch.inf, 900.0], [2.0, -torch.inf, -torch.inf]], dtype=torch.float64, requires_grad=True)
    joined = joined_logsums([x[0], x[1]])
    assert torch.equal(joined.detach(), x.detach().logsumexp(dim=0))
    joined[[0, 2]].sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad[:, 0], x.detach()[:, 0].softmax(dim=0))
    assert x.grad[:, 1].tolist() == [0, 0]
    assert x.grad[:, 2].tolist() == [1, 0]
