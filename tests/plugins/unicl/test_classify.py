"""Classification by a linear layer: what counts and what does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from torch.nn.functional import cross_entropy

from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.objective import ModelInfo
from vlc_plugin_unicl.classify import Classify

MODEL = ModelInfo(6, 10, 8, Vocabulary(8, 0), classes=("cat", "dog", "owl"))


def image() -> SimpleNamespace:
    generator = torch.Generator().manual_seed(0)
    widths = {"summary": 10, "embed": 6}
    return SimpleNamespace(**{k: torch.randn(5, w, generator=generator).requires_grad_() for k, w in widths.items()})


@pytest.mark.parametrize("features", ["summary", "embed"])
def test_it_is_cross_entropy_over_the_labelled_samples(step: Any, features: Literal["summary", "embed"]) -> None:
    objective, shown = Classify(MODEL, features=features), image()
    term = objective(step(image=shown, labels=torch.tensor([2, -1, 0, -1, 2]), size=5))["classify"]
    labelled = torch.tensor([0, 2, 4])
    logits = objective.layer(getattr(shown, features)[labelled])
    expected = cross_entropy(logits, torch.tensor([2, 0, 2]), reduction="sum")
    assert term.count == 3
    torch.testing.assert_close(term.sum, expected)
    slope = torch.autograd.grad(term.sum, getattr(shown, features))[0]
    assert slope[[1, 3]].abs().max() == 0
    assert slope[[0, 2, 4]].abs().min() > 0


def test_a_batch_without_labels_runs_the_layer_and_is_zero(step: Any) -> None:
    objective = Classify(MODEL)
    term = objective(step(image=image(), labels=torch.full((5,), -1), size=5))["classify"]
    assert (term.sum, term.count) == (0, 0)
    for slope in torch.autograd.grad(term.sum, list(objective.parameters())):
        assert slope.abs().max() == 0


def test_it_asks_for_labels_and_is_content_with_micro_batches() -> None:
    assert Classify.needs.labels
    assert Classify.needs.scope == "micro"
