"""Attention in bfloat16, held to a naive one in float64 and to torch's kernel."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vlc_plugin_encoders import attention
from vlc_plugin_encoders.attention import attend

ITEMS, HEADS, LENGTH, WIDTH = 3, 2, 7, 5  # √5 is no power of two
LENGTHS = torch.tensor([7, 1, 4])


def naive(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
    logits = (q @ k.transpose(-1, -2) / math.sqrt(WIDTH)).masked_fill(~seen, -torch.inf)
    weights = logits.exp() / logits.exp().sum(dim=-1, keepdim=True)
    return weights @ v


def inputs(queries: int) -> list[Tensor]:
    """Queries, keys, values and a gradient, laid out as a fused projection leaves them."""
    generator = torch.Generator().manual_seed(1)
    rows = [queries, LENGTH, LENGTH, queries]
    made = [torch.randn(ITEMS, n, HEADS, WIDTH, generator=generator).bfloat16().transpose(1, 2) for n in rows]
    return [x.detach().requires_grad_(number < 3) for number, x in enumerate(made)]


def gradients(output: Tensor, leaves: list[Tensor], gradient: Tensor) -> list[Tensor]:
    return [output.detach(), *torch.autograd.grad(output, leaves, gradient)]


def error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


PADDED = (torch.arange(LENGTH) < LENGTHS[:, None])[:, None, None, :]
TRIANGLE = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()


@pytest.mark.parametrize("taken", ["stored", "torch"])
@pytest.mark.parametrize(
    ("queries", "seen", "causal", "expected"),
    [
        (LENGTH, None, False, torch.ones(LENGTH, LENGTH, dtype=torch.bool)),
        (LENGTH, None, True, TRIANGLE),
        (LENGTH, PADDED, False, PADDED),
        (1, PADDED, False, PADDED),
        (1, None, False, torch.ones(1, LENGTH, dtype=torch.bool)),
    ],
    ids=["all", "causal", "padded", "pooled", "pooled, all"],
)
def test_output_and_gradients_are_those_of_float64(
    monkeypatch: pytest.MonkeyPatch, taken: str, queries: int, seen: Tensor | None, causal: bool, expected: Tensor
) -> None:
    *leaves, gradient = inputs(queries)
    wide = [x.detach().double().requires_grad_() for x in leaves]
    exact = gradients(naive(wide[0], wide[1], wide[2], expected), wide, gradient.double())
    if taken == "stored":
        monkeypatch.setattr(F, "scaled_dot_product_attention", None)
    else:
        monkeypatch.setattr(attention, "LONGEST", 0)
    found = gradients(attend(leaves[0], leaves[1], leaves[2], seen, causal=causal), leaves, gradient)
    for value, reference in zip(found, exact, strict=True):
        assert value.dtype == torch.bfloat16
        assert error(value, reference) < 8e-3


def test_logits_are_not_rounded() -> None:
    # 100 and 100.78 would be 100 and 101 in bfloat16.
    q, k, v = (torch.tensor(x).bfloat16().view(1, 1, -1, 1) for x in ([100.0], [1.0, 1.0078125], [0.0, 1.0]))
    expected = 1 / (1 + math.exp(-0.78125))
    assert attend(q, k, v).item() == pytest.approx(expected, abs=2e-3)


def test_autocast_changes_nothing() -> None:
    *leaves, _ = inputs(LENGTH)
    plain = attend(*leaves)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attend(*leaves), plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_types_are_torchs_own(dtype: torch.dtype) -> None:
    q, k, v, _ = (x.detach().to(dtype) for x in inputs(LENGTH))
    assert torch.equal(attend(q, k, v, PADDED), F.scaled_dot_product_attention(q, k, v, PADDED))


def test_dropout_is_left_to_torch() -> None:
    q, k, v, _ = (x.detach() for x in inputs(LENGTH))
    torch.manual_seed(3)
    found = attend(q, k, v, dropout=0.5)
    torch.manual_seed(3)
    assert torch.equal(found, F.scaled_dot_product_attention(q, k, v, dropout_p=0.5))
    assert not torch.equal(found, attend(q, k, v))
