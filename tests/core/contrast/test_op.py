"""The primitive against a dense float64 reference, on every path that it may take."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vlc_core.contrast import chunked, streaming_logsumexp, streaming_mean, tiles
from vlc_core.products import rounded

SCALES = [1.0, 14.3, 80.0, 100.0, 139.0, 300.0, 1000.0]


@pytest.fixture(params=["recomputed", "kept"])
def small_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles each way, the last ones smaller, and the tiles kept or not."""
    monkeypatch.setattr(tiles, "TILE_ROWS", 16)
    monkeypatch.setattr(tiles, "TILE_ELEMENTS", 16 * 64)
    monkeypatch.setattr(chunked, "KEPT_BYTES", 0 if request.param == "recomputed" else 1 << 30)


def weighted(rows: Tensor, columns: Tensor | None = None) -> Tensor:
    """A scalar in which every finite sum has another weight, so that no gradient is hidden by symmetry."""
    total = rows.new_zeros(())
    for sums in (rows,) if columns is None else (rows, columns):
        weights = torch.linspace(0.5, 2.0, sums.shape[0], dtype=sums.dtype)
        total = total + (weights * sums.masked_fill(sums == -torch.inf, 0.0)).sum()
    return total


def groups(anchors: int, keys: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return tuple(torch.randint(9, (n,), generator=generator) for n in (anchors, keys))  # type: ignore[return-value]


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-5)])
def test_both_sums_and_all_gradients_are_those_of_the_dense_matrix(
    naive: Any, scale: float, dtype: torch.dtype, tolerance: float
) -> None:
    anchors, keys, exclude = naive.rows(37, 24, 0), naive.rows(150, 24, 1), groups(37, 150)
    inputs = (anchors.to(dtype), keys.to(dtype), torch.tensor([scale]))
    found = naive.value_and_gradients(
        lambda a, k, s: weighted(*streaming_logsumexp(a, k, s, both=True, exclude=exclude)), inputs, dtype
    )
    expected = naive.value_and_gradients(lambda a, k, s: weighted(*naive.streaming_logsumexp(a, k, s, exclude)), inputs)
    assert naive.worst_error(found, expected) < tolerance


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("scale", [14.3, 1000.0])
@pytest.mark.parametrize("needing", ["anchors", "keys", "scale", "anchors scale", "keys scale", "anchors keys"])
@pytest.mark.parametrize("both", [False, True])
def test_only_what_needs_a_gradient_gets_one(naive: Any, scale: float, needing: str, both: bool) -> None:
    values = {"anchors": naive.rows(37, 24, 0), "keys": naive.rows(90, 24, 1), "scale": torch.tensor(scale).double()}
    inputs = {k: v.clone().requires_grad_(k in needing.split()) for k, v in values.items()}
    if both:
        weighted(*streaming_logsumexp(**inputs, both=True)).backward()
    else:
        weighted(streaming_logsumexp(**inputs)).backward()
    full = {k: v.clone().requires_grad_() for k, v in values.items()}
    rows, columns = naive.streaming_logsumexp(**full)
    weighted(rows, columns if both else None).backward()
    for name, tensor in inputs.items():
        if name in needing.split():
            torch.testing.assert_close(tensor.grad, full[name].grad, rtol=1e-10, atol=1e-10)
        else:
            assert tensor.grad is None


def test_gradients_pass_the_finite_difference_check(naive: Any) -> None:
    inputs = [naive.rows(5, 3, 0), naive.rows(7, 3, 1), torch.tensor([4.0], dtype=torch.float64)]
    inputs = [x.requires_grad_() for x in inputs]
    exclude = groups(5, 7)
    assert torch.autograd.gradcheck(lambda a, k, s: streaming_logsumexp(a, k, s, both=True, exclude=exclude), inputs)
    assert torch.autograd.gradcheck(lambda a: streaming_logsumexp(a, inputs[1].detach(), 4.0), inputs[:1])


@pytest.mark.parametrize("scale", [20.0, 500.0])
@pytest.mark.parametrize("keys_need_gradient", [False, True])
def test_rows_without_keys_are_minus_infinity_with_zero_gradient(
    naive: Any, scale: float, keys_need_gradient: bool
) -> None:
    anchors, keys = naive.rows(4, 8, 0).requires_grad_(), naive.rows(3, 8, 1).requires_grad_(keys_need_gradient)
    exclude = (torch.tensor([0, 0, 1, 2]), torch.tensor([0, 0, 0]))
    rows, columns = streaming_logsumexp(anchors, keys, scale, both=True, exclude=exclude)
    alone = streaming_logsumexp(anchors, keys, scale, exclude=exclude)
    assert rows.tolist()[:2] == alone.tolist()[:2] == [-torch.inf, -torch.inf]
    assert torch.isfinite(rows[2:]).all()
    (rows.exp().sum() + columns.exp().sum() + alone.exp().sum()).backward()
    assert anchors.grad is not None
    assert (anchors.grad[:2] == 0).all()
    assert torch.isfinite(anchors.grad).all()
    assert keys.grad is None or torch.isfinite(keys.grad).all()


@pytest.mark.parametrize(("anchors", "keys"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_empty_sides_sum_to_minus_infinity(naive: Any, anchors: int, keys: int) -> None:
    a, k = torch.zeros(anchors, 4, requires_grad=True), torch.zeros(keys, 4, requires_grad=True)
    exclude = (torch.zeros(anchors, dtype=torch.int64), torch.zeros(keys, dtype=torch.int64))
    rows, columns = streaming_logsumexp(a, k, 2.0, both=True, exclude=exclude)
    assert rows.tolist() == [-torch.inf] * anchors
    assert columns.tolist() == [-torch.inf] * keys
    (rows.exp().sum() + columns.exp().sum()).backward()
    assert a.grad is not None
    assert (a.grad == 0).all()


@pytest.mark.parametrize("scale", [70.0, 130.0])
def test_rows_far_from_every_key_keep_their_sum(naive: Any, scale: float) -> None:
    """One shift for all would lose a row whose logits all lie near −scale, beside one whose lie near +scale."""
    key = naive.rows(1, 6, 0)
    keys = torch.cat([key, naive.rows(5, 6, 1, near=key, noise=1e-3)]).float()
    anchors = torch.cat([key, -key]).float().requires_grad_()
    rows, columns = streaming_logsumexp(anchors, keys, scale, both=True)
    expected, expected_columns = naive.streaming_logsumexp(anchors.detach(), keys, torch.tensor(scale))
    torch.testing.assert_close(rows.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(columns.double(), expected_columns, rtol=1e-5, atol=1e-5)


def test_rows_that_are_not_of_unit_length_are_summed_as_well(naive: Any) -> None:
    inputs = (40 * naive.rows(9, 6, 0), naive.rows(11, 6, 1), torch.tensor([30.0]))
    found = naive.value_and_gradients(
        lambda a, k, s: weighted(*streaming_logsumexp(a, k, s, both=True)), inputs, torch.float32
    )
    expected = naive.value_and_gradients(lambda a, k, s: weighted(*naive.streaming_logsumexp(a, k, s)), inputs)
    assert naive.worst_error(found, expected) < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [14.3, 300.0])
@pytest.mark.parametrize("keys_need_gradient", [False, True])
def test_half_precision_inputs_are_summed_in_float32(
    naive: Any, dtype: torch.dtype, scale: float, keys_need_gradient: bool
) -> None:
    anchors, keys = (naive.rows(n, 32, n).to(dtype) for n in (60, 80))
    inputs = [anchors.requires_grad_(), keys.requires_grad_(keys_need_gradient)]
    rows = streaming_logsumexp(inputs[0], inputs[1], scale)
    expected, _ = naive.streaming_logsumexp(anchors.detach(), keys.detach(), torch.tensor(scale))
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows.double(), expected, rtol=1e-5, atol=1e-4)
    weighted(rows).backward()
    doubles = [x.detach().double().requires_grad_() for x in inputs]
    weighted(naive.streaming_logsumexp(*doubles, torch.tensor(scale))[0]).backward()
    for found, exact in zip(inputs[: 1 + keys_need_gradient], doubles, strict=False):
        assert found.grad is not None
        assert exact.grad is not None
        assert found.grad.dtype == dtype
        assert naive.worst_error([found.grad.double()], [exact.grad]) < 0.01


def test_autocast_around_it_changes_nothing(naive: Any) -> None:
    anchors, keys = naive.rows(8, 16, 0).float(), naive.rows(9, 16, 1).float()
    plain = streaming_logsumexp(anchors, keys, 50.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = streaming_logsumexp(anchors, keys, 50.0)
    assert torch.equal(plain, cast)


def test_a_second_backward_pass_over_kept_tiles_gives_the_same(naive: Any) -> None:
    anchors, keys = naive.rows(30, 8, 0).requires_grad_(), naive.rows(40, 8, 1).requires_grad_()
    loss = weighted(*streaming_logsumexp(anchors, keys, 9.0, both=True))
    first = torch.autograd.grad(loss, [anchors, keys], retain_graph=True)
    second = torch.autograd.grad(loss, [anchors, keys])
    assert all(torch.equal(f, s) for f, s in zip(first, second, strict=True))


@pytest.mark.parametrize("scale", [8.0, 400.0])
def test_the_mean_key_is_an_attention(naive: Any, scale: float) -> None:
    anchors, keys, exclude = naive.rows(20, 8, 0), naive.rows(33, 8, 1), groups(20, 33)
    logits = (scale * anchors @ keys.T).masked_fill(exclude[0][:, None] == exclude[1][None, :], -torch.inf)
    attended = streaming_mean(anchors, keys, scale, exclude=exclude)
    torch.testing.assert_close(attended.means, torch.softmax(logits, dim=1) @ keys)
    torch.testing.assert_close(attended.logsums, torch.logsumexp(logits, dim=1))


def test_the_tiles_never_hold_the_matrix(naive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = tiles.Similarities.tile

    def watched(*arguments: Any) -> Tensor:
        tile = original(*arguments)
        seen.append(tile.numel())
        return tile

    monkeypatch.setattr(chunked, "KEPT_BYTES", 0)
    monkeypatch.setattr(tiles.Similarities, "tile", watched)
    anchors = naive.rows(1500, 4, 0).float().requires_grad_()
    streaming_logsumexp(anchors, anchors, 5.0, both=True)[0].sum().backward()
    assert max(seen) <= tiles.TILE_ELEMENTS < 1500 * 1500
    assert rounded(1500) == 1536
    assert sum(seen) == 2 * 1500 * 1536  # once forward, once backward, for rows and columns together


@pytest.mark.parametrize("keys", [65, 80, 81, 300, 1030])
@pytest.mark.parametrize("scale", [5.0, 300.0])
@pytest.mark.parametrize("kept", [0, 1 << 40])
def test_padding_to_a_round_number_of_keys_changes_nothing(
    naive: Any, keys: int, scale: float, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked, "KEPT_BYTES", kept)
    anchors, others, exclude = naive.rows(50, 8, 0), naive.rows(keys, 8, 1), groups(50, keys)

    def taken(few: int) -> list[Tensor]:
        monkeypatch.setattr(tiles, "FEW", few)
        given = [x.clone().requires_grad_() for x in (anchors, others)]
        rows, columns = streaming_logsumexp(given[0], given[1], scale, both=True, exclude=exclude)
        assert columns.shape == (keys,)
        (rows.sum() + 2 * columns[columns > -torch.inf].sum()).backward()
        mean = streaming_mean(anchors, others, scale, exclude=exclude).means
        return [rows.detach(), columns.detach(), mean, *(x.grad for x in given if x.grad is not None)]

    for padded, plain in zip(taken(0), taken(10**6), strict=True):
        torch.testing.assert_close(padded, plain, rtol=1e-12, atol=1e-12)


def test_round_numbers_are_few_and_never_smaller() -> None:
    numbers = [rounded(count) for count in range(1, 4097)]
    assert all(count <= number <= count + max(15, count // 8) for count, number in enumerate(numbers, start=1))
    assert len({number for number in numbers if 1024 < number <= 2048}) == 8
    assert all(rounded(number) == number for number in numbers)
