"""Where a patch lies: the sines and cosines that a vision transformer may start from."""

from __future__ import annotations

import math

import pytest
import torch

from vlc_core.errors import RecipeError
from vlc_plugin_encoders.vit import VisionTransformer, sines_and_cosines


def test_each_number_is_the_sine_or_cosine_of_a_column_or_row() -> None:
    place_LW = sines_and_cosines(3, 16)
    for row in range(3):
        for column in range(3):
            expected = [
                wave(at / 10_000 ** (k / 4)) for at in (column, row) for wave in (math.sin, math.cos) for k in range(4)
            ]
            torch.testing.assert_close(place_LW[3 * row + column], torch.tensor(expected))


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_the_summary_token_starts_at_random_and_the_patches_at_their_places(pool: str) -> None:
    options = {"size": 16, "patch": 4, "width": 16, "depth": 1, "pool": pool, "positions": "sincos"}
    encoders = [VisionTransformer(**options) for _ in range(2)]
    lead = encoders[0].leading_tokens
    for encoder in encoders:
        assert encoder.positions.requires_grad
        torch.testing.assert_close(encoder.positions[lead:].detach(), sines_and_cosines(4, 16))
    assert lead == 0 or not torch.equal(encoders[0].positions[0], encoders[1].positions[0])


def test_a_place_can_be_read_from_what_the_encoder_gives() -> None:
    """The columns and rows of 64 patches, told from their tokens by a matrix: not so from random vectors."""

    def explained(positions: str) -> float:
        torch.manual_seed(0)
        encoder = VisionTransformer(size=32, patch=4, width=32, depth=2, positions=positions).double()
        with torch.no_grad():
            token_TW = encoder(torch.randn(24, 3, 32, 32, dtype=torch.float64)).tokens[:, 1:].flatten(0, 1)
        at = torch.arange(8, dtype=torch.float64)
        place_T2 = torch.cartesian_prod(at, at).repeat(24, 1)
        token_TW = torch.cat([token_TW, torch.ones(len(token_TW), 1)], dim=1)
        fitted = torch.linalg.lstsq(token_TW[:1024], place_T2[:1024]).solution
        return float(1 - (token_TW[1024:] @ fitted - place_T2[1024:]).var() / place_T2[1024:].var())

    assert explained("sincos") > 0.5
    assert explained("learned") < 0.2


def test_a_width_that_four_waves_do_not_share_is_refused() -> None:
    with pytest.raises(RecipeError, match="multiple of 4, not 18"):
        VisionTransformer(size=16, patch=8, width=18, heads=1, depth=1, positions="sincos")
