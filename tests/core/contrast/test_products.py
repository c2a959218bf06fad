"""Tile products by either kernel, in every layout that the walks hand over."""

from __future__ import annotations

import pytest
import torch

from vlc_core.contrast import products


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
