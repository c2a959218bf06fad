"""ALIGN's loss against its textbook form, as a function and as an objective, on one rank and on several."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from vlc_core.contrast.targets import chosen_keys
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.objective import ModelInfo
from vlc_core.testing.ranks import run_on_ranks
from vlc_plugin_align.functional import normalized_softmax_loss
from vlc_plugin_align.objective import Align, subset_seed
from vlc_plugin_clip.functional import clip_loss

SIZES = [7, 5]
G = sum(SIZES)
FIRST, SEED = 240, 11


def batch(temperature: float = 0.07) -> list[Tensor]:
    image, text = torch.randn(2, G, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tau = torch.tensor([temperature], dtype=torch.float64)
    return [normalize(image, dim=1), normalize(text + image, dim=1), tau]


def textbook(image: Tensor, text: Tensor, temperature: Tensor, smoothing: float) -> Tensor:
    logits, own = image @ text.T / temperature, torch.arange(G)
    losses = [cross_entropy(x, own, label_smoothing=smoothing) for x in (logits, logits.T)]
    return (losses[0] + losses[1]) / 2


def with_a_share(image: Tensor, text: Tensor, temperature: Tensor, smoothing: float, chosen: list[int]) -> Tensor:
    """Anchor by anchor, over the chosen keys and its own."""
    losses = []
    for anchors, keys in ((image, text), (text, image)):
        for i in range(G):
            kept = sorted({*chosen, i})
            logits = keys[kept] @ anchors[i] / temperature
            losses.append(cross_entropy(logits, torch.tensor(kept.index(i)), label_smoothing=smoothing))
    return torch.stack(losses).mean()


def gradients(loss: Any, inputs: list[Tensor]) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in inputs]
    found = loss(*leaves)
    assert found.shape == ()
    return [found.detach(), *torch.autograd.grad(found, leaves)]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def objective_loss(rows: slice, **options: Any) -> Any:
    """The objective's mean over the samples of all ranks, as a function of embeddings and temperature."""

    class Step(SimpleNamespace):
        def __len__(self) -> int:
            return len(self.numbers)

    def loss(image: Tensor, text: Tensor, temperature: Tensor) -> Tensor:
        features = SimpleNamespace(embed=image), SimpleNamespace(embed=text)
        numbers = torch.arange(FIRST, FIRST + G)[rows]
        step: Any = Step(image=features[0], text=features[1], scale=1 / temperature, numbers=numbers, seed=SEED)
        terms = Align(ModelInfo(16, 16, 16, Vocabulary(8, 0)), **options)(step)
        assert set(terms) == {"align"}
        assert terms["align"].count == len(step)
        return terms["align"].sum / G

    return loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("temperature", [0.01, 0.07, 1.0])
def test_the_loss_is_the_textbook_one(smoothing: float, temperature: float) -> None:
    inputs = batch(temperature)
    expected = gradients(lambda *x: textbook(*x, smoothing), inputs)
    assert_same(gradients(lambda *x: normalized_softmax_loss(*x, label_smoothing=smoothing), inputs), expected)
    assert_same(gradients(objective_loss(slice(None), label_smoothing=smoothing), inputs), expected)


def test_without_smoothing_it_is_clips() -> None:
    image, text, temperature = batch()
    found = normalized_softmax_loss(image, text, temperature)
    torch.testing.assert_close(found, clip_loss(image, text, 1 / temperature))


@pytest.mark.parametrize("temperature", [0.07, torch.tensor(0.07, dtype=torch.float64)])
def test_the_temperature_may_be_a_number_or_a_scalar(temperature: Any) -> None:
    inputs = batch()
    found = normalized_softmax_loss(inputs[0], inputs[1], temperature, label_smoothing=0.1)
    torch.testing.assert_close(found, normalized_softmax_loss(*inputs, label_smoothing=0.1))


def test_the_objective_smooths_by_a_tenth_unless_told() -> None:
    inputs = batch()
    torch.testing.assert_close(objective_loss(slice(None))(*inputs), textbook(*inputs, 0.1))


@pytest.mark.parametrize("share", [0.5, 0.25])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_share_of_the_negatives_is_one_subset_for_all_anchors(share: float, smoothing: float) -> None:
    inputs = batch()
    chosen = chosen_keys(G, share, subset_seed(SEED, torch.arange(FIRST, FIRST + G))).tolist()
    assert len(chosen) == round(share * G)
    expected = gradients(lambda *x: with_a_share(*x, smoothing, chosen), inputs)
    loss = objective_loss(slice(None), label_smoothing=smoothing, negatives=share)
    assert_same(gradients(loss, inputs), expected)


def test_the_subset_changes_with_the_step_and_the_seed_alone() -> None:
    numbers = torch.arange(FIRST, FIRST + G)
    same = {subset_seed(SEED, numbers), subset_seed(SEED, numbers.flip(0)), subset_seed(SEED, numbers[:3])}
    assert len(same) == 1
    others = {subset_seed(SEED, numbers + G), subset_seed(SEED + 1, numbers), subset_seed(0, numbers)}
    assert len(others | same) == 4
    subsets = {tuple(chosen_keys(64, 0.5, subset_seed(SEED, numbers + G * step)).tolist()) for step in range(20)}
    assert len(subsets) == 20


def on_a_rank(rank: int, world: int, smoothing: float) -> list[list[Tensor]]:
    rows = slice(0, SIZES[0]) if rank == 0 else slice(SIZES[0], None)
    inputs = [*(x[rows] for x in batch()[:2]), batch()[2]]
    gathered = gradients(lambda *x: normalized_softmax_loss(*x, label_smoothing=smoothing, gather=True), inputs)
    shares = [gradients(objective_loss(rows, label_smoothing=smoothing, negatives=share), inputs) for share in (1, 0.5)]
    return [gathered, *shares]


def test_ranks_average_to_the_loss_of_the_whole_batch() -> None:
    """The function's mean over ranks, and the objective's sum over ranks, are the losses on one."""
    ranks = run_on_ranks(on_a_rank, 2, 0.1)
    inputs = batch()
    whole = gradients(lambda *x: normalized_softmax_loss(*x, label_smoothing=0.1), inputs)
    half = gradients(objective_loss(slice(None), negatives=0.5), inputs)
    assert abs(half[0] - whole[0]) > 1e-3, "half of the negatives changed nothing"
    for (one, two), divisor, expected in zip(zip(*ranks, strict=True), (2, 1, 1), (whole, whole, half), strict=True):
        loss, image, text, tau = ([a, b] for a, b in zip(one, two, strict=True))
        found = [sum(loss), torch.cat(image), torch.cat(text), sum(tau)]
        assert_same([x / divisor for x in found], expected)


def test_float32_keeps_its_digits_at_the_lowest_temperature() -> None:
    inputs = batch(0.01)
    exact = gradients(lambda *x: normalized_softmax_loss(*x, label_smoothing=0.1), inputs)
    found = gradients(lambda *x: normalized_softmax_loss(*x, label_smoothing=0.1), [x.float() for x in inputs])
    for one, other in zip(found, exact, strict=True):
        assert (one.double() - other).abs().max() < 3e-5 * other.abs().max()
