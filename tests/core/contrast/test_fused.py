"""The CUDA path against the dense float64 reference: on a GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor

from vlc_core.contrast import autograd, fused, op, streaming_logsumexp, streaming_mean

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is first imported
language = pytest.importorskip("triton.language", reason="the kernels need Triton: pip install 'vlc-core[triton]'")
if DEVICE == "cpu" and type(language.max).__name__ != "InterpretedFunction":
    pytest.skip("Triton was imported for compiling before: run this file alone", allow_module_level=True)
# The interpreter computes in NumPy, which warns of the logarithm of an empty sum.
pytestmark = pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")


@pytest.fixture(autouse=True)
def on_the_fused_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small panels and tiles, so that every tensor has several of both, the last ones smaller."""
    shape = {"BLOCK_M": 16, "BLOCK_N": 32, "BLOCK_D": 16, "num_warps": 4, "num_stages": 2}
    monkeypatch.setattr(fused, "_tile_shape", lambda x: shape)
    monkeypatch.setattr(fused, "PANEL", 64)
    for module in (autograd, op):
        monkeypatch.setattr(module, "path", lambda a, k, *rest: fused.Panels.of(a.detach(), k.detach(), *rest))


def groups(anchors: int, keys: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    first, second = (torch.randint(7, (n,), generator=generator).to(DEVICE) for n in (anchors, keys))
    return first, second


def weighted(*sums: Tensor) -> Tensor:
    parts = [torch.linspace(0.5, 2.0, s.shape[0], device=s.device) * s.masked_fill(s == -torch.inf, 0.0) for s in sums]
    return torch.stack([part.double().sum() for part in parts]).sum()


TOLERANCES = {torch.float32: 1e-4, torch.float16: 2e-3}
if DEVICE == "cuda":
    TOLERANCES[torch.bfloat16] = 1e-2  # whose bits the interpreter multiplies as if they were integers


@pytest.mark.parametrize("scale", [1.0, 14.3, 80.0, 100.0, 1000.0])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("excluding", [False, True])
def test_both_sums_and_all_gradients(naive: Any, scale: float, dtype: torch.dtype, excluding: bool) -> None:
    anchors, keys = (naive.rows(n, 24, n).to(DEVICE, dtype).requires_grad_() for n in (40, 90))
    s, exclude = torch.tensor([scale], requires_grad=True, device=DEVICE), groups(40, 90) if excluding else None
    rows, columns = streaming_logsumexp(anchors, keys, s, both=True, exclude=exclude)
    leaves = [x.detach().double().requires_grad_() for x in (anchors, keys, s)]
    exact_rows, exact_columns = naive.streaming_logsumexp(*leaves, exclude)
    torch.testing.assert_close(rows.double(), exact_rows, rtol=1e-5, atol=1e-5 * max(1.0, scale / 10))
    torch.testing.assert_close(columns.double(), exact_columns, rtol=1e-5, atol=1e-5 * max(1.0, scale / 10))
    found = torch.autograd.grad(1e-4 * weighted(rows, columns), [anchors, keys, s])
    expected = torch.autograd.grad(1e-4 * weighted(exact_rows, exact_columns), leaves)
    assert naive.worst_error([f.double() for f in found], expected) < TOLERANCES[dtype]


@pytest.mark.parametrize("scale", [14.3, 300.0])
def test_keys_without_gradient_and_the_mean_key(naive: Any, scale: float) -> None:
    anchors, keys = naive.rows(40, 24, 0).float().to(DEVICE).requires_grad_(), naive.rows(70, 24, 1).float().to(DEVICE)
    exclude = groups(40, 70)
    weighted(streaming_logsumexp(anchors, keys, scale, exclude=exclude)).backward()
    exact = anchors.detach().double().requires_grad_()
    weighted(naive.streaming_logsumexp(exact, keys, torch.tensor(scale), exclude)[0]).backward()
    assert anchors.grad is not None
    assert naive.worst_error([anchors.grad.double()], [exact.grad]) < 2e-5
    logits = (scale * exact.detach() @ keys.double().T).masked_fill(exclude[0][:, None] == exclude[1], -torch.inf)
    means = streaming_mean(anchors, keys, scale, exclude=exclude).means
    torch.testing.assert_close(means.double(), torch.softmax(logits, dim=1) @ keys.double(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("scale", [20.0, 500.0])
def test_rows_without_keys_and_rows_far_from_all(naive: Any, scale: float) -> None:
    key = naive.rows(1, 16, 0).float().to(DEVICE)
    anchors = torch.cat([key, -key, key]).requires_grad_()
    exclude = (torch.tensor([0, 1, 2], device=DEVICE), torch.tensor([2, 2, 2], device=DEVICE))
    rows, columns = streaming_logsumexp(anchors, key.expand(3, 16), scale, both=True, exclude=exclude)
    expected, expected_columns = naive.streaming_logsumexp(
        anchors.detach(), key.expand(3, 16), torch.tensor(scale), exclude
    )
    torch.testing.assert_close(rows.double(), expected, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(columns.double(), expected_columns, rtol=1e-5, atol=1e-4)
    weighted(rows, columns).backward()
    assert anchors.grad is not None
    assert torch.isfinite(anchors.grad).all()
    assert (anchors.grad[2] == 0).all()


def test_longer_rows_are_bounded_by_their_length(naive: Any) -> None:
    anchors, keys = 40 * naive.rows(9, 16, 0).float().to(DEVICE), naive.rows(11, 16, 1).float().to(DEVICE)
    rows = streaming_logsumexp(anchors, keys, 30.0)
    expected, _ = naive.streaming_logsumexp(anchors, keys, torch.tensor(30.0))
    torch.testing.assert_close(rows.double(), expected, rtol=1e-5, atol=1e-3)
