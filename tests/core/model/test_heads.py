"""Heads: their shape, their start, and the width of the space that they lead to."""

from __future__ import annotations

import math

import pytest
import torch

from vlc_core.errors import RecipeError
from vlc_core.model.heads import make_head, perceptron, shared_width
from vlc_core.recipe.schema import Head, Model


def model(*, embed_dim: int | None = None, image: str = "linear", text: str = "linear") -> Model:
    towers = {"image": {"use": "eye", "head": image}, "text": {"use": "reader", "head": text}}
    return Model.model_validate({**towers, "embed_dim": embed_dim})


@pytest.mark.parametrize(
    ("options", "widths", "expected"),
    [
        ({"embed_dim": 5}, (9, 7), 5),
        ({}, (9, 7), 7),
        ({}, (7, 9), 7),
        ({"image": "none"}, (9, 7), 9),
        ({"text": "none"}, (9, 12), 12),
        ({"image": "none"}, (8, 8), 8),
        ({"image": "none", "embed_dim": 4}, (9, 7), 4),
    ],
)
def test_the_shared_width(options, widths, expected):
    assert shared_width(model(**options), *widths) == expected


@pytest.mark.parametrize(("activation", "layers"), [("gelu", 2), ("relu", 3)])
def test_a_perceptron_is_matrices_and_activations(activation, layers):
    torch.manual_seed(0)
    head = perceptron(6, 4, hidden=5, layers=layers, activation=activation).double()
    x = torch.randn(7, 6, dtype=torch.float64)
    out = x
    for name, parameter in head.named_parameters():
        if name.endswith("weight"):
            out = out @ parameter.T
        if name.endswith("bias"):
            out = out + parameter
            out = out.clamp(min=0) if activation == "relu" else out * 0.5 * (1 + torch.erf(out / math.sqrt(2)))
    torch.testing.assert_close(head(x), out)
    shapes = [tuple(p.shape) for p in head.parameters() if p.dim() == 2]
    assert shapes == [(5, 6), *[(5, 5)] * (layers - 2), (4, 5)]


def test_a_perceptron_starts_with_the_variance_of_its_input():
    torch.manual_seed(0)
    head = perceptron(400, 300, hidden=None, layers=4, activation="relu")
    assert head(torch.randn(200, 400)).std().item() == pytest.approx(1, abs=0.15)
    assert head[0].weight.shape == (400, 400)


def test_heads_by_their_names():
    assert make_head(Head(use="linear"), 6, 4, "at")(torch.ones(2, 6)).shape == (2, 4)
    assert make_head(Head(use="mlp", hidden=3), 6, 4, "at")(torch.ones(2, 6)).shape == (2, 4)
    same = make_head(Head(use="none"), 6, 6, "at")
    x = torch.randn(2, 6)
    assert same(x) is x
    assert list(same.parameters()) == []


def test_no_head_needs_equal_widths():
    with pytest.raises(RecipeError, match=r"^r\.yaml:3: model\.image\.head: .* set model\.embed_dim to 6"):
        make_head(Head(use="none"), 6, 4, "r.yaml:3: model.image.head")
