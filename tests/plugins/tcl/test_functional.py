"""TCL's losses against loops in float64, gradients included."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vlc_plugin_tcl.functional import cma_loss, imc_loss, itm_negative_weights, lmi_loss, mlm_loss

B, D, K = 6, 9, 40
PRECISIONS = [(torch.float64, 1e-9), (torch.float32, 1e-4)]


def rows(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def features() -> list[Tensor]:
    """Image, text, and their momentum features, which are near; then the queues."""
    image, text = rows(B, D, seed=1), rows(B, D, seed=2)
    near = [F.normalize(x + 0.5 * rows(B, D, seed=3 + i), dim=-1) for i, x in enumerate((image, text))]
    return [image, text, *near, rows(K, D, seed=5), rows(K, D, seed=6)]


def compare(
    ours: Callable[..., Sequence[Tensor]],
    reference: Callable[..., Sequence[Tensor]],
    given: Sequence[Tensor],
    free: Sequence[int],
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    """Values, and the gradients with respect to the tensors numbered ``free``."""
    found = _taken(ours, [x.to(dtype) if x.is_floating_point() else x for x in given], free)
    for mine, theirs in zip(found, _taken(reference, list(given), free), strict=True):
        scale = max(1.0, theirs.abs().max().item())
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=tolerance * scale)


def _taken(function: Callable[..., Sequence[Tensor]], given: list[Tensor], free: Sequence[int]) -> list[Tensor]:
    given = [x.clone().requires_grad_(i in free) if x.is_floating_point() else x for i, x in enumerate(given)]
    values = list(function(*given))
    weights = torch.arange(1.0, len(values) + 1)
    gradients = torch.autograd.grad(sum(w * v for w, v in zip(weights, values, strict=True)), [given[i] for i in free])
    return [*(v.detach() for v in values), *gradients]


def naive_cross_entropy(anchor: Tensor, keys: Tensor, target: Tensor, tau: Tensor) -> Tensor:
    logits = torch.stack([(anchor * key).sum() for key in keys]) / tau
    return -(target * (logits - logits.logsumexp(0))).sum()


def naive_cma(v: Tensor, u: Tensor, vm: Tensor, um: Tensor, vq: Tensor, uq: Tensor, tau: Tensor, alpha: float):
    losses = []
    for anchors, slow, keys in ((v, vm, torch.cat([um, uq])), (u, um, torch.cat([vm, vq]))):
        total = torch.zeros((), dtype=torch.float64)
        for i, anchor in enumerate(anchors):
            soft = ((slow[i] * keys).sum(dim=1) / tau.detach()).softmax(0).detach()
            hard = F.one_hot(torch.tensor(i), len(keys)).double()
            total = total + naive_cross_entropy(anchor, keys.detach(), alpha * soft + (1 - alpha) * hard, tau)
        losses.append(total / len(anchors))
    return losses


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("tau", [0.07, 0.01, 0.001])
def test_cma(dtype: torch.dtype, tolerance: float, alpha: float, tau: float):
    given = [*features(), torch.tensor([tau], dtype=torch.float64)]
    # The temperature's gradient at 1/τ = 1000 is a million times a similarity: single precision rounds its inputs.
    free = [0, 1, 6] if dtype == torch.float64 or tau > 0.05 else [0, 1]
    loose = tolerance if dtype == torch.float64 else tolerance * max(1.0, 0.01 / tau)
    compare(
        lambda *x: cma_loss(*x, alpha), lambda *x: [y.sum() for y in naive_cma(*x, alpha)], given, free, dtype, loose
    )


def test_cma_without_a_queue_and_with_hard_targets_is_cross_entropy():
    image, text, image_m, text_m, *_ = features()
    empty, own = torch.zeros(0, D, dtype=torch.float64), torch.arange(B)
    found = cma_loss(image, text, image_m, text_m, empty, empty, 0.07, 0.0)
    expected = F.cross_entropy(image @ text_m.T / 0.07, own), F.cross_entropy(text @ image_m.T / 0.07, own)
    torch.testing.assert_close(torch.stack(found), torch.stack(expected))


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_imc(dtype: torch.dtype, tolerance: float):
    def naive(v, u, vm, um, vq, uq, tau):
        losses = []
        for anchors, slow, queue in ((v, vm, vq), (u, um, uq)):
            keys = torch.cat([slow, queue]).detach()
            each = [
                naive_cross_entropy(a, keys, F.one_hot(torch.tensor(i), len(keys)).double(), tau)
                for i, a in enumerate(anchors)
            ]
            losses.append(torch.stack(each).mean())
        return losses

    given = [*features(), torch.tensor(0.07, dtype=torch.float64)]
    compare(imc_loss, naive, given, [0, 1, 6], dtype, tolerance)


def test_momentum_features_and_queues_get_no_gradient():
    given = [x.requires_grad_() for x in features()]
    for loss in (*cma_loss(*given, 0.07, 0.4), *imc_loss(*given, 0.07)):
        gradients = torch.autograd.grad(loss, given, allow_unused=True, retain_graph=True)
        assert all(g is None for g in gradients[2:])


def locals_and_mask() -> tuple[Tensor, Tensor, Tensor]:
    summary = rows(B, D, seed=1)
    mask = torch.arange(5) < torch.tensor([5, 3, 1, 0, 2, 4])[:, None]
    return summary, rows(B, 5, D, seed=7), mask


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("tau", [0.07, 0.01])
def test_lmi(dtype: torch.dtype, tolerance: float, tau: float):
    summary, local, mask = locals_and_mask()

    def naive(z, m, tau):
        total = torch.zeros((), dtype=torch.float64)
        for i in range(B):
            negatives = [(z[i] * m[j, n]).sum() / tau for j in range(B) for n in range(5) if j != i and mask[j, n]]
            own = []
            for place in range(5):
                if mask[i, place]:
                    positive = (z[i] * m[i, place]).sum() / tau
                    own.append(torch.stack([positive, *negatives]).logsumexp(0) - positive)
            if own:
                total = total + torch.stack(own).mean()
        return [total / B]

    given = [summary, local, torch.tensor(tau, dtype=torch.float64)]
    compare(lambda z, m, t: [lmi_loss(z, m, mask, t)], naive, given, [0, 1, 2], dtype, tolerance * (0.07 / tau) ** 2)


def test_lmi_of_one_sample_or_without_locals_is_zero():
    summary, local, mask = locals_and_mask()
    summary.requires_grad_()
    for given in ((summary[:1], local[:1], mask[:1]), (summary, local, torch.zeros_like(mask))):
        loss = lmi_loss(*given, 0.07)
        assert loss == 0
        assert torch.equal(torch.autograd.grad(loss, summary)[0], torch.zeros_like(summary))


def test_hard_negatives_are_weighed_by_softmax():
    sim = 5 * rows(B, D, seed=1) @ rows(B, D, seed=2).T
    weights = itm_negative_weights(sim)
    assert torch.equal(weights.diagonal(), torch.zeros(B, dtype=torch.float64))
    for i in range(B):
        for j in range(B):
            if i != j:
                assert weights[i, j].item() == pytest.approx(
                    math.exp(sim[i, j]) / sum(math.exp(x) for x in sim[i].tolist()), rel=1e-12
                )


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_mlm(dtype: torch.dtype, tolerance: float, alpha: float):
    generator = torch.Generator().manual_seed(0)
    logits, slow = (torch.randn(3, 4, 11, generator=generator, dtype=torch.float64) for _ in range(2))
    labels = torch.tensor([[1, -100, 3, -100], [-100] * 4, [0, 10, -100, 5]])

    def naive(z, m):
        each = []
        for i in range(3):
            for place in range(4):
                if labels[i, place] != -100:
                    log = z[i, place] - z[i, place].logsumexp(0)
                    soft = -(m[i, place].softmax(0).detach() * log).sum()
                    each.append(alpha * soft - (1 - alpha) * log[labels[i, place]])
        return [torch.stack(each).mean()]

    compare(lambda z, m: [mlm_loss(z, labels, m, alpha)], naive, [logits, slow], [0], dtype, tolerance)


def test_mlm_without_a_twin_is_cross_entropy_and_with_nothing_masked_is_zero():
    logits = torch.randn(2, 3, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[2, -100, 1], [-100, -100, 6]])
    torch.testing.assert_close(mlm_loss(logits, labels), F.cross_entropy(logits.mT, labels))
    nothing = mlm_loss(logits, torch.full_like(labels, -100), logits.detach(), 0.4)
    assert nothing == 0
    assert torch.equal(torch.autograd.grad(nothing, logits)[0], torch.zeros_like(logits))
