"""Products and the linear layer over them against torch's own in float64, gradients included."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vlc_core import products
from vlc_core.products import Linear, linear


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("outputs", [6, 9])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_torchs(shape: tuple[int, ...], outputs: int, bias: bool) -> None:
    torch.manual_seed(0)
    leaves = [torch.randn(*shape, 7), torch.randn(outputs, 7), torch.randn(outputs) if bias else None]
    weights = torch.randn(*shape, outputs)
    ours, theirs = ([x.clone().requires_grad_() if x is not None else None for x in leaves] for _ in range(2))
    found = linear(*ours)  # type: ignore[arg-type]
    expected = F.linear(*(x.double() if x is not None else None for x in theirs))  # type: ignore[arg-type]
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    for own, other in zip(ours, theirs, strict=True):
        if own is not None and other is not None:
            torch.testing.assert_close(own.grad, other.grad, rtol=1e-5, atol=1e-5)


def test_gradients_only_where_wanted() -> None:
    x, weight, bias = torch.randn(3, 4), torch.randn(5, 4, requires_grad=True), torch.randn(5)
    linear(x, weight, bias).sum().backward()
    assert x.grad is None
    assert bias.grad is None
    assert weight.grad is not None


@pytest.mark.parametrize("rows", [0, 3])
def test_empty_batches_and_other_types(rows: int) -> None:
    for dtype in (torch.float64, torch.bfloat16, torch.float32):
        layer = Linear(4, 5).to(dtype)
        x = torch.randn(rows, 4, dtype=dtype)
        torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))


def test_autocast_rules() -> None:
    layer = Linear(8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(2, 8)).dtype == torch.bfloat16


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_product_is_that_of_float64_in_every_layout(
    monkeypatch: pytest.MonkeyPatch, onednn: bool, dtype: torch.dtype
) -> None:
    if onednn and products._onednn_linear() is None:
        pytest.skip("this build of torch has no oneDNN for this processor")
    if not onednn:
        monkeypatch.setattr(products, "_onednn_linear", lambda: None)
    left, right = torch.randn(2, 70, 50, generator=torch.Generator().manual_seed(0), dtype=dtype)
    expected = left.double() @ right.double().T
    for other in (right, right.T.contiguous().T, torch.cat([right, right], dim=1)[:, :50]):
        torch.testing.assert_close(products.product(left, other).double(), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(("rows", "columns", "width"), [(0, 3, 4), (3, 0, 4), (3, 2, 0)])
def test_empty_matrices_have_empty_or_zero_products(rows: int, columns: int, width: int) -> None:
    found = products.product(torch.ones(rows, width), torch.ones(columns, width))
    assert torch.equal(found, torch.zeros(rows, columns))
