"""Bidirectional contrast against its definition, what it reduces to, and the same on several ranks."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, normalize

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.objective import ModelInfo
from vlc_core.testing.ranks import run_on_ranks
from vlc_plugin_clip.functional import clip_loss
from vlc_plugin_unicl.bic import Bic
from vlc_plugin_unicl.functional import bic_loss, bic_sum, positives

SIZES = [7, 3]
LABELS = [4, -1, 0, 4, -1, 4, 0, 2, -1, 4]
MODEL = ModelInfo(12, 12, 12, Vocabulary(8, 0), classes=("a", "b", "c", "d", "e"))


def batch(dtype: torch.dtype = torch.float64, scale: float = 14.3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    image, text = torch.randn(2, sum(SIZES), 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = normalize(image, dim=1), normalize(text + image, dim=1)
    return rows[0].to(dtype), rows[1].to(dtype), torch.tensor(LABELS), torch.tensor([scale], dtype=dtype)


def by_the_book(image: Tensor, text: Tensor, labels: Tensor, scale: Tensor, direction: str = "both") -> Tensor:
    """A loop over anchors and their positives."""
    if direction == "both":
        return sum(by_the_book(image, text, labels, scale, d) for d in ("i2t", "t2i")) / 2  # type: ignore[return-value]
    anchors, keys = (image, text) if direction == "i2t" else (text, image)
    losses = []
    for i, label in enumerate(labels.tolist()):
        log_p = log_softmax(scale * keys @ anchors[i], dim=0)
        positives = [i] if label < 0 else [k for k, other in enumerate(labels.tolist()) if other == label]
        losses.append(-torch.stack([log_p[k] for k in positives]).mean())
    return torch.stack(losses).mean()


def gradients(loss: Tensor, *leaves: Tensor) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


def with_gradients(image: Tensor, text: Tensor, labels: Tensor, scale: Tensor, *, gather: bool) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in (image, text, scale)]
    return gradients(bic_loss(leaves[0], leaves[1], labels, leaves[2], gather=gather), *leaves)


def assert_same(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-10) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=tolerance, atol=tolerance * 0.01)


@pytest.mark.parametrize("gather", [False, True])
def test_the_loss_is_its_definition(gather: bool) -> None:
    image, text, labels, scale = batch()
    leaves = [x.clone().requires_grad_() for x in (image, text, scale)]
    expected = gradients(by_the_book(leaves[0], leaves[1], labels, leaves[2]), *leaves)
    found = with_gradients(image, text, labels, scale, gather=gather)
    assert found[0].shape == ()
    assert_same(found, expected)


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
def test_one_direction_is_its_own_softmax(direction: Any) -> None:
    image, text, labels, scale = batch()
    found = [x.clone().requires_grad_() for x in (image, text, scale)]
    total = bic_sum(found[0], found[1], labels, found[2], directions=[direction])
    expected = [x.clone().requires_grad_() for x in (image, text, scale)]
    book = by_the_book(expected[0], expected[1], labels, expected[2], direction)
    assert_same(gradients(total / sum(SIZES), *found), gradients(book, *expected))


@pytest.mark.parametrize("labels", [[5, 3, 9, 0, 1, 2, 4, 6, 7, 8], [-1] * 10, [-1, 3, -2, -1, 0, -7, -1, 1, -1, -1]])
def test_labels_that_all_differ_make_it_clip(labels: list[int]) -> None:
    image, text, _, scale = batch()
    leaves = [x.clone().requires_grad_() for x in (image, text, scale)]
    expected = gradients(clip_loss(leaves[0], leaves[1], leaves[2]), *leaves)
    assert_same(with_gradients(image, text, torch.tensor(labels), scale, gather=False), expected)


def class_texts(labels: Tensor) -> tuple[Tensor, Tensor]:
    """One embedding a class, as a linear text encoder has, and each sample's own one."""
    table = normalize(torch.randn(5, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64), dim=1)
    return table, table[labels]


def test_with_each_class_once_among_linear_texts_it_is_cross_entropy() -> None:
    labels = torch.tensor([3, 1, 4, 0, 2])
    table, text = class_texts(labels)
    image, scale = batch()[0][:5], batch()[3]
    found = bic_sum(image, text, labels, scale, directions=["i2t"]) / 5
    torch.testing.assert_close(found, cross_entropy(scale * image @ table.T, labels), rtol=1e-12, atol=0.0)


def test_with_equal_counts_among_linear_texts_it_is_cross_entropy_up_to_a_constant() -> None:
    labels = torch.tensor([3, 1, 4, 0, 2, 2, 0, 4, 1, 3])
    image, scale = batch()[0], batch()[3]
    results = []
    for form in ("bic", "cross entropy"):
        x = image.clone().requires_grad_()
        table, text = class_texts(labels)
        if form == "bic":
            results.append(gradients(bic_sum(x, text, labels, scale, directions=["i2t"]) / 10, x))
        else:
            results.append(gradients(cross_entropy(scale * x @ table.T, labels) + math.log(2), x))
    assert_same(*results)


def test_with_unequal_counts_it_is_not_cross_entropy() -> None:
    labels = torch.tensor([3, 1, 4, 0, 2, 2, 2, 2, 2, 3])
    image, scale = batch()[0], batch()[3]
    table, text = class_texts(labels)
    found = bic_sum(image, text, labels, scale, directions=["i2t"]) / 10
    plain = cross_entropy(scale * image @ table.T, labels)
    shares = torch.bincount(labels, minlength=5).double()
    prior = cross_entropy(scale * image @ table.T + shares.log(), labels) + shares[labels].log().mean()
    assert (found - plain).abs() > 0.01
    torch.testing.assert_close(found, prior, rtol=1e-12, atol=0.0)


def test_its_positives_are_those_of_supcon_across_modalities() -> None:
    """The gradient with respect to the logits is softmax minus target, and the target is SupCon's set."""
    image, text, labels, scale = batch()
    logits = (scale * image @ text.T).requires_grad_()
    basis = torch.eye(10, dtype=torch.float64)
    # Rows of unit length whose products are the logits: the text side is the identity.
    loss = bic_sum(logits, basis, labels, torch.ones(1, dtype=torch.float64), directions=["i2t"])
    (slope,) = torch.autograd.grad(loss, logits)
    same = (labels[:, None] == labels[None, :]) & (labels[:, None] >= 0) | torch.eye(10, dtype=torch.bool)
    target = same.double() / same.sum(dim=1, keepdim=True)
    torch.testing.assert_close(slope, logits.detach().softmax(dim=1) - target, rtol=1e-9, atol=1e-12)


def test_float32_is_exact_at_scale_100() -> None:
    exact = batch(scale=100.0)
    image, text = exact[0], normalize(exact[0] + 0.05 * exact[1], dim=1)
    expected = with_gradients(image, text, exact[2], exact[3], gather=False)
    found = with_gradients(image.float(), text.float(), exact[2], exact[3].float(), gather=False)
    leaves = [x.clone().requires_grad_() for x in (image, text, exact[3])]
    assert_same(expected, gradients(by_the_book(leaves[0], leaves[1], exact[2], leaves[2]), *leaves), 1e-8)
    assert all(x.isfinite().all() for x in found)
    for one, other in zip(found, expected, strict=True):
        assert (one.double() - other).abs().max() < 3e-5 * other.abs().max()


def on_a_rank(rank: int, world: int) -> list[Tensor]:
    image, text, labels, scale = batch()
    rows = slice(0, SIZES[0]) if rank == 0 else slice(SIZES[0], None)
    found = with_gradients(image[rows], text[rows], labels[rows], scale, gather=True)
    for directions in (["i2t"], ["t2i"]):
        leaf = image[rows].clone().requires_grad_()
        total = bic_sum(leaf, text[rows], labels[rows], scale, directions=directions, gather=True)  # type: ignore[arg-type]
        found += gradients(total, leaf)
    return found


def test_ranks_of_different_size_average_to_the_loss_of_the_whole_batch() -> None:
    image, text, labels, scale = batch()
    expected = with_gradients(image, text, labels, scale, gather=False)
    loss, images, texts, scales, *single = zip(*run_on_ranks(on_a_rank, 2), strict=True)
    found = [sum(loss) / 2, torch.cat(images) / 2, torch.cat(texts) / 2, sum(scales) / 2]
    assert_same(found, expected)
    for direction, total, slope in (("i2t", *single[:2]), ("t2i", *single[2:])):
        leaf = image.clone().requires_grad_()
        book = gradients(by_the_book(leaf, text, labels, scale, direction) * sum(SIZES), leaf)
        assert_same([sum(total), torch.cat(slope)], book)


def objective_term(step: Any, objective: Bic, rows: slice) -> tuple[Tensor, Tensor]:
    image, text, labels, scale = batch()
    leaf = image[rows].clone().requires_grad_()
    features = {"image": SimpleNamespace(embed=leaf), "text": SimpleNamespace(embed=text[rows])}
    terms = objective(step(**features, labels=labels[rows], scale=scale, size=len(leaf)))
    assert set(terms) == ({"bic"} if objective.unlabelled else {"bic", "positives"})
    (slope,) = torch.autograd.grad(terms["bic"].sum, leaf)
    return terms["bic"].sum.detach() / max(terms["bic"].count, 1), slope


def test_the_objective_counts_all_samples(step: Any) -> None:
    image, text, labels, scale = batch()
    mean, _ = objective_term(step, Bic(MODEL), slice(None))
    torch.testing.assert_close(mean, by_the_book(image, text, labels, scale))


def test_the_objective_on_unlabelled_samples_is_clip_among_them(step: Any) -> None:
    image, text, labels, scale = batch()
    pairs = labels < 0
    mean, slope = objective_term(step, Bic(MODEL, samples="unlabelled"), slice(None))
    torch.testing.assert_close(mean, clip_loss(image[pairs], text[pairs], scale))
    assert slope[pairs].abs().sum() > 0
    assert slope[~pairs].abs().max() == 0


def test_a_batch_without_unlabelled_samples_is_zero_with_a_gradient_of_zero(step: Any) -> None:
    mean, slope = objective_term(step, Bic(MODEL, samples="unlabelled"), slice(5, 8))
    assert mean == 0
    assert slope.abs().max() == 0


def test_a_direction_that_is_named_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match="i2t twice"):
        Bic(MODEL, directions=["i2t", "i2t"])


def test_pairs_are_needed_where_labels_are_left_to_others() -> None:
    assert Bic.requires({"samples": "unlabelled"}).pairs
    assert not Bic.requires({}).pairs


def positives_on_a_rank(rank: int, world: int) -> tuple[float, float]:
    own = torch.tensor([[0, 0, 1, -1], [-1, 0, 1, 2]][rank])
    measure = positives(own, gather=True)
    return float(measure.sum), float(measure.count)


def test_positives_are_counted_over_all_ranks_and_for_labelled_samples_alone() -> None:
    alone = positives(torch.tensor([0, 0, 1, -1, -1, 0]))
    assert (float(alone.sum), float(alone.count)) == (3 * 3 + 1, 4)
    assert positives(torch.tensor([-1, -1])) == (0, 0)
    assert run_on_ranks(positives_on_a_rank, 2) == [(3 + 3 + 2, 3), (3 + 2 + 1, 3)]
