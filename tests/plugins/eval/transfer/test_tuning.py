"""The light loop of fine-tuning."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from vlc_core.inference import DualEncoder
from vlc_core.loading.order import shuffled
from vlc_core.model.towers import Features
from vlc_plugin_data.transforms.clip import RandomCrop
from vlc_plugin_eval.transfer.bench import Bench
from vlc_plugin_eval.transfer.draw import Draw, draw
from vlc_plugin_eval.transfer.task import Task
from vlc_plugin_eval.transfer.tuning import Classifier, Setting, Tuning, fine_tune, rate

PLAIN = Tuning("sgd", 8, None)


class Flat(nn.Module):
    """The pixels themselves as features, halved: nothing in it is trained."""

    def forward(self, pixels: torch.Tensor) -> Features:
        flat = pixels.float().flatten(1) / 255
        return Features(flat, flat)


@pytest.fixture(scope="module")
def examples(digits: Task) -> Draw:
    return draw(digits, examples=40, validation=8, seed=0, number=0, size=4, width=None)


def test_the_rate_rises_for_8_percent_and_falls_to_a_tenth_after_30_60_and_90() -> None:
    rates = [rate(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 81)
    assert rates[79] == pytest.approx(80 / 81)
    naive = [0.1 ** ((step >= 300) + (step >= 600) + (step >= 900)) for step in range(80, 1000)]
    assert rates[80:] == pytest.approx(naive)
    assert [rate(0, 1), rate(0, 2), rate(1, 2)] == pytest.approx([1, 1, 0.1])


def test_it_is_stochastic_gradient_descent_with_momentum(examples: Draw) -> None:
    """Against a loop in float64 over the gradient of the softmax's cross entropy."""
    model = Classifier(Flat(), torch.zeros(10, 48), "summary")  # type: ignore[arg-type]
    rows = np.arange(32)
    last = fine_tune(model, examples, rows, Setting(0.5, 10), PLAIN, seed=3, size=4, what="it")

    x = examples.pixels.double().flatten(1).numpy() / 255
    weight, bias = np.zeros((10, 48)), np.zeros(10)
    velocity_w, velocity_b = np.zeros_like(weight), np.zeros_like(bias)
    for step in range(10):
        chosen = shuffled(np.arange(step * 8, step * 8 + 8), 32, 3)
        logits = x[chosen] @ weight.T + bias
        p: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(8), examples.y[chosen]]).mean()
        p[np.arange(8), examples.y[chosen]] -= 1
        velocity_w = 0.9 * velocity_w + p.T @ x[chosen] / 8
        velocity_b = 0.9 * velocity_b + p.mean(axis=0)
        peak = 0.5 * rate(step, 10)
        weight, bias = weight - peak * velocity_w, bias - peak * velocity_b
    assert last == pytest.approx(loss, rel=1e-4)
    np.testing.assert_allclose(model.head.weight.detach().numpy(), weight, atol=1e-5)
    np.testing.assert_allclose(model.head.bias.detach().numpy(), bias, atol=1e-5)


def test_the_whole_encoder_is_trained_and_the_model_itself_stays(
    small: SimpleNamespace, model: DualEncoder, digits: Task
) -> None:
    made = draw(digits, examples=40, validation=8, seed=0, number=0, size=8, width=None)
    before = {name: x.clone() for name, x in model.towers.state_dict().items()}
    bench: Bench = small.bench(model)
    tuned = bench.classifier(digits)
    assert tuned(made.pixels).abs().max() == 0
    fine_tune(tuned, made, np.arange(32), Setting(0.1, 4), PLAIN, seed=0, size=8, what="it")
    moved = {n: not torch.equal(x, before[f"image.{n}"]) for n, x in tuned.tower.encoder.named_parameters("encoder")}
    assert len(moved) > 10
    assert all(moved.values())
    assert all(torch.equal(x, before[name]) for name, x in model.towers.state_dict().items())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_everything_random_follows_from_the_seed(
    small: SimpleNamespace, model: DualEncoder, digits: Task, optimizer: Any
) -> None:
    made = draw(digits, examples=40, validation=8, seed=0, number=0, size=8, width=None)

    def weights(seed: int, tuning: Tuning) -> torch.Tensor:
        tuned = small.bench(model).classifier(digits)
        torch.rand(seed + 7)  # what others draw changes nothing
        fine_tune(tuned, made, np.arange(32), Setting(0.01, 3), tuning, seed=seed, size=8, what="it")
        found: torch.Tensor = tuned.head.weight.detach()
        return found

    plain, views = Tuning(optimizer, 8, None), Tuning(optimizer, 8, RandomCrop(scale=(0.3, 0.6)))
    assert torch.equal(weights(0, plain), weights(0, plain))
    assert torch.equal(weights(0, views), weights(0, views))
    assert not torch.equal(weights(0, plain), weights(1, plain))
    assert not torch.equal(weights(0, plain), weights(0, views))


def test_a_head_from_texts_starts_as_zero_shot(small: SimpleNamespace, model: DualEncoder, digits: Task) -> None:
    bench: Bench = small.bench(model, head="text", prompts=["a photo of a {}"])
    made = draw(digits, examples=40, validation=8, seed=0, number=0, size=8, width=None)
    texts = model.encode_text([f"a photo of a {name}" for name in digits.classes])
    expected = float(model.towers.temperature().detach()) * model.encode_image(made.pixels) @ texts.T
    logits = bench.classifier(digits).eval()(made.pixels)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_a_loss_that_is_not_finite_ends_it(small: SimpleNamespace, model: DualEncoder, digits: Task) -> None:
    made = draw(digits, examples=40, validation=8, seed=0, number=0, size=8, width=None)
    tuned = small.bench(model).classifier(digits)
    assert math.isnan(fine_tune(tuned, made, np.arange(32), Setting(1e30, 9), PLAIN, seed=0, size=8, what="it"))
