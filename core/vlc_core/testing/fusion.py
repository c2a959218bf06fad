"""What every fusion encoder must hold to, as a check that a plugin author calls from a test.

    from vlc_core.testing.fusion import check_fusion_encoder

    def test_my_fusion_encoder() -> None:
        check_fusion_encoder(MyFusion(16, 24), 16, 24)

Shapes: N pairs, L text tokens, P image tokens, W width.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn.functional import pad

from vlc_core.interfaces.encoder import Encoded, Encoder, FusionEncoder
from vlc_core.testing.encoders import ITEMS, assert_close, check_any, seeded

LENGTHS = [7, 5, 1]
IMAGE_LENGTHS = [6, 6, 4]


def check_fusion_encoder(encoder: FusionEncoder, text_width: int, image_width: int) -> None:
    """Checks ``encoder``, built for these widths, against the contract of :class:`FusionEncoder`.

    Raises:
        AssertionError: It breaks a rule; the message says which.
    """
    text_NLW = torch.randn(ITEMS, max(LENGTHS), text_width, generator=seeded(1))
    image_NPW = torch.randn(ITEMS, max(IMAGE_LENGTHS), image_width, generator=seeded(2))
    text_mask_NL = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    image_mask_NP = torch.arange(max(IMAGE_LENGTHS)) < torch.tensor(IMAGE_LENGTHS)[:, None]
    inputs = (text_NLW, text_mask_NL, image_NPW, image_mask_NP)
    check_any(_OnTensors(encoder), inputs)
    _check_padding(_OnTensors(copy.deepcopy(encoder).eval()), *inputs)


class _OnTensors(Encoder):
    """A fusion encoder whose inputs are tensors, as those of the other kinds are."""

    def __init__(self, fusion: FusionEncoder) -> None:
        super().__init__()
        self.fusion = fusion
        self.width = fusion.width

    def layer_names(self) -> list[list[str]]:
        return [[f"fusion.{name}" for name in group] for group in self.fusion.layer_names()]

    def forward(self, text_NLW: Tensor, text_mask_NL: Tensor, image_NPW: Tensor, image_mask_NP: Tensor) -> Encoded:
        self.fusion.returns_tokens = self.returns_tokens
        text = Encoded(text_NLW[:, 0], text_NLW, text_mask_NL)
        fused: Encoded = self.fusion(text, Encoded(image_NPW[:, 0], image_NPW, image_mask_NP))
        return fused


@torch.no_grad()
def _check_padding(encoder: _OnTensors, text: Tensor, text_mask: Tensor, image: Tensor, image_mask: Tensor) -> None:
    """Neither what stands at padding nor how much there is of it changes a real token."""
    plain: Encoded = encoder(text, text_mask, image, image_mask)
    assert plain.tokens is not None, "a fusion encoder gives tokens"
    assert plain.tokens.shape[1] == text.shape[1], "the result has the text's length"
    noisy_text = torch.where(text_mask[..., None], text, 9.0)
    noisy_image = torch.where(image_mask[..., None], image, 9.0)
    longer = (
        pad(noisy_text, (0, 0, 0, 2)),
        pad(text_mask, (0, 2)),
        pad(noisy_image, (0, 0, 0, 2)),
        pad(image_mask, (0, 2)),
    )
    for inputs in ((noisy_text, text_mask, noisy_image, image_mask), longer):
        padded: Encoded = encoder(*inputs)
        assert padded.tokens is not None, "a fusion encoder gives tokens"
        assert_close(padded.summary, plain.summary, "padding changes the summary")
        real = padded.tokens[:, : text.shape[1]][text_mask]
        assert_close(real, plain.tokens[text_mask], "padding changes the tokens")
