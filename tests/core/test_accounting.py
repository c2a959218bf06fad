"""Sums and counts: what becomes of them."""

from __future__ import annotations

import pytest
import torch

from vlc_core.accounting import TermName, named_terms, report, tally, weighted_loss
from vlc_core.interfaces.objective import Measure, Term

A, B1, B2 = TermName("a", "a"), TermName("b", "one"), TermName("b", "two")
WEIGHTS = {"a": 1.0, "b": 0.5}


def terms(**kinds: torch.dtype) -> dict[TermName, Term]:
    return {
        A: Term(torch.tensor(6.0, requires_grad=True), 3),
        B1: Term(torch.tensor([4.0], requires_grad=True), torch.tensor(8)),
        B2: Term(torch.tensor(0.0, requires_grad=True), 0),
    }


def test_a_tally_is_in_double_precision_and_without_gradient():
    table = tally({**terms(), A: Term(torch.tensor(1.0, requires_grad=True), 2**24 + 1)}, torch.device("cpu"))
    assert table.tolist() == [[1.0, 2**24 + 1], [4.0, 8.0], [0.0, 0.0]]
    assert table.dtype == torch.float64
    assert not table.requires_grad
    assert tally({}, torch.device("cpu")).shape == (0, 2)


def test_the_loss_weighs_means_over_all_ranks_and_its_gradient_too():
    own = terms()
    everywhere = torch.tensor([[20.0, 10.0], [5.0, 16.0], [0.0, 0.0]], dtype=torch.float64)
    loss = weighted_loss(own, everywhere, WEIGHTS)
    loss.backward()
    assert loss.item() == pytest.approx(6 / 10 + 0.5 * 4 / 16)
    assert own[A].sum.grad.item() == pytest.approx(1 / 10)
    assert own[B1].sum.grad.item() == pytest.approx(0.5 / 16)
    assert own[B2].sum.grad.item() == pytest.approx(0.5)


def test_a_count_may_be_a_weight_below_one():
    own = {A: Term(torch.tensor(0.2, requires_grad=True), 0.4)}
    totals = tally(own, torch.device("cpu"))
    assert weighted_loss(own, totals, WEIGHTS).item() == pytest.approx(0.5)
    assert report((A,), totals, WEIGHTS)["loss/a"] == pytest.approx(0.5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_coarse_sum_is_divided_finely(kind: torch.dtype):
    own = {A: Term(torch.tensor(3.0, dtype=kind), 7)}
    loss = weighted_loss(own, tally(own, torch.device("cpu")), WEIGHTS)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(3 / 7, rel=1e-6)


def test_a_report_names_objectives_and_where_there_are_several_their_terms():
    totals = torch.tensor([[20.0, 10.0], [8.0, 16.0], [0.0, 0.0]], dtype=torch.float64)
    assert report((A, B1, B2), totals, WEIGHTS) == {
        "loss": pytest.approx(2.0 + 0.5 * 0.5),
        "loss/a": 2.0,
        "loss/b": 0.5,
        "loss/b/one": 0.5,
        "loss/b/two": 0.0,
    }


def test_the_report_of_what_is_not_finite_is_not_finite():
    assert report((A,), torch.tensor([[float("nan"), 3.0]]), WEIGHTS)["loss"] != 0
    assert report((A,), torch.tensor([[1.0, float("nan")]]), WEIGHTS)["loss"] != 0
    assert torch.tensor(report((A,), torch.tensor([[float("inf"), 3.0]]), WEIGHTS)["loss"]).isinf()


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_bare_scalar_is_a_mean_over_the_samples(shape: tuple[int, ...]):
    named = named_terms("mine", torch.full(shape, 2.5), 4)
    assert list(named) == [TermName("mine", "mine")]
    assert tally(named, torch.device("cpu")).tolist() == [[10.0, 4.0]]


def test_a_measure_is_told_beside_the_loss_and_not_learned():
    learned, told = Term(torch.tensor(6.0, requires_grad=True), 3), Measure(torch.tensor(8.0), 2)
    own = named_terms("a", {"loss": learned, "positives": told}, 3)
    totals = tally(own, torch.device("cpu"))
    assert weighted_loss(own, totals, WEIGHTS).item() == 2.0
    assert report(tuple(own), totals, WEIGHTS) == {"loss": 2.0, "loss/a": 2.0, "a/positives": 4.0}
