"""Towers normalise what goes in and what comes out."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from vlc_core.interfaces.encoder import Encoded, ImageEncoder
from vlc_core.model.towers import ImageTower, projection, unit


class Same(ImageEncoder):
    """Hands pixels through."""

    def __init__(self) -> None:
        super().__init__()
        self.size, self.width = 2, 12

    def forward(self, pixels):
        return Encoded(pixels.flatten(1))


def test_bytes_are_normalised_as_the_encoder_asks():
    tower, pixels = ImageTower(Same(), 4), torch.randint(0, 256, (3, 3, 2, 2), dtype=torch.uint8)
    mean, std = (torch.tensor(x, dtype=torch.float64).view(3, 1, 1) for x in (Same.mean, Same.std))
    expected = (pixels.double() / 255 - mean) / std
    torch.testing.assert_close(tower(pixels).summary.double(), expected.flatten(1), rtol=0, atol=1e-5)
    assert pixels.dtype == torch.uint8
    ready = torch.randn(3, 3, 2, 2)
    assert torch.equal(tower(ready).summary, ready.flatten(1))


def test_normalisation_belongs_to_the_encoder_and_is_not_saved():
    assert set(ImageTower(Same(), 4).state_dict()) == {"head.weight"}


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_embeddings_have_unit_length_in_single_precision_at_least(kind):
    rows = unit(torch.randn(64, 17).mul(50).to(kind))
    assert rows.dtype == torch.promote_types(kind, torch.float32)
    torch.testing.assert_close(rows.norm(dim=1).double(), torch.ones(64).double(), rtol=0, atol=1e-6)


def test_a_zero_row_is_no_division_by_zero():
    row = torch.zeros(1, 4, requires_grad=True)
    unit(row).sum().backward()
    assert unit(row).isfinite().all()
    assert row.grad.isfinite().all()


def test_a_projection_keeps_the_variance():
    torch.manual_seed(0)
    out = projection(256, 512)(torch.randn(400, 256))
    assert out.std().item() == pytest.approx(1, abs=0.05)
    assert projection(8, 4).bias is None


def test_features_carry_what_the_encoder_gave(small: ModuleType):
    made = small.model(["late"])
    given = small.batch()
    features = made.towers.text(given.tokens, given.mask)
    assert features.embed.shape == (12, small.DIM)
    assert features.tokens.shape == (12, 8, small.WIDTH)
    assert torch.equal(features.mask, given.mask)
