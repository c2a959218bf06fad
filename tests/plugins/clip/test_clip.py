"""CLIP's loss against its textbook form, as a function and as an objective, on one rank and on several."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.objective import ModelInfo
from vlc_core.testing.ranks import run_on_ranks
from vlc_plugin_clip.functional import clip_loss
from vlc_plugin_clip.objectives import Clip

SIZES = [7, 3]


def batch() -> tuple[Tensor, Tensor, Tensor]:
    image, text = torch.randn(2, sum(SIZES), 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return normalize(image, dim=1), normalize(text + image, dim=1), torch.tensor([14.3], dtype=torch.float64)


def textbook(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    logits, own = scale * image @ text.T, torch.arange(image.shape[0])
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def with_gradients(image: Tensor, text: Tensor, scale: Tensor, *, gather: bool) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in (image, text, scale)]
    loss = clip_loss(leaves[0], leaves[1], leaves[2], gather=gather)
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


def on_a_rank(rank: int, world: int) -> list[Tensor]:
    image, text, scale = batch()
    rows = slice(0, SIZES[0]) if rank == 0 else slice(SIZES[0], None)
    found = with_gradients(image[rows], text[rows], scale, gather=True)
    features = SimpleNamespace(embed=image[rows]), SimpleNamespace(embed=text[rows])
    term = objective_term(*features, scale, count=SIZES[rank])
    return [*found, term[0]]


def objective_term(image: SimpleNamespace, text: SimpleNamespace, scale: Tensor, count: int) -> tuple[Tensor, float]:
    class Step(SimpleNamespace):
        def __len__(self) -> int:
            return count

    terms = Clip(ModelInfo(12, 12, 12, Vocabulary(8, 0)))(Step(image=image, text=text, scale=scale))
    assert set(terms) == {"clip"}
    return terms["clip"].sum, terms["clip"].count


def test_the_loss_is_the_textbook_one() -> None:
    image, text, scale = (x.requires_grad_() for x in batch())
    expected = textbook(image, text, scale)
    loss, *gradients = with_gradients(image, text, scale, gather=False)
    assert loss.shape == ()
    torch.testing.assert_close(loss, expected)
    for found, exact in zip(gradients, torch.autograd.grad(expected, [image, text, scale]), strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-12)


def test_gathering_changes_nothing_without_other_ranks() -> None:
    for alone, gathered in zip(
        with_gradients(*batch(), gather=False), with_gradients(*batch(), gather=True), strict=True
    ):
        torch.testing.assert_close(alone, gathered, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_the_scale_may_be_a_scalar_or_have_one_element(shape: tuple[int, ...]) -> None:
    image, text, scale = batch()
    scale = scale.reshape(shape).requires_grad_()
    loss = clip_loss(image, text, scale)
    loss.backward()
    assert loss.shape == ()
    assert scale.grad is not None
    assert scale.grad.shape == shape


def test_ranks_of_different_size_average_to_the_loss_of_the_whole_batch() -> None:
    expected = with_gradients(*batch(), gather=False)
    ranks = run_on_ranks(on_a_rank, 2)
    loss, image, text, scale, term = zip(*ranks, strict=True)
    torch.testing.assert_close(sum(loss) / 2, expected[0], rtol=1e-12, atol=0.0)
    torch.testing.assert_close(torch.cat(image) / 2, expected[1], rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(torch.cat(text) / 2, expected[2], rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(sum(scale) / 2, expected[3], rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(sum(term) / sum(SIZES), expected[0], rtol=1e-12, atol=0.0)


def test_the_objective_gives_the_sum_over_its_anchors() -> None:
    image, text, scale = batch()
    total, count = objective_term(SimpleNamespace(embed=image), SimpleNamespace(embed=text), scale, 10)
    assert count == 10
    torch.testing.assert_close(total / count, textbook(image, text, scale))
