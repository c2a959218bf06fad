"""The contract kit finds each kind of fault, and nothing wrong with encoders that are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vlc_core.interfaces.encoder import Encoded, ImageEncoder, TextEncoder, Vocabulary
from vlc_core.testing.encoders import check_image_encoder, check_text_encoder, texts

VOCABULARY = Vocabulary(20, pad=0, start=1, end=2)


class Pixels(ImageEncoder):
    """The smallest right image encoder: a linear map of the rows of pixels, and their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.size, self.width = 4, 5
        self.layer = nn.Linear(3 * 4, 5)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, pixels: Tensor) -> Encoded:
        tokens = self.layer(pixels.transpose(1, 2).flatten(2))
        return Encoded(tokens.mean(dim=1), tokens if self.returns_tokens else None)


class Counts(Pixels):
    calls: Tensor

    def forward(self, pixels: Tensor) -> Encoded:
        self.calls += 1
        return super().forward(pixels)


class Noisy(Pixels):
    def forward(self, pixels: Tensor) -> Encoded:
        return super().forward(pixels + 0.1 * torch.randn_like(pixels))


class Batchwise(Pixels):
    def forward(self, pixels: Tensor) -> Encoded:
        return super().forward(pixels - pixels.mean(dim=0))


class Narrow(Pixels):
    def forward(self, pixels: Tensor) -> Encoded:
        return Encoded(super().forward(pixels).summary[:, 1:])


class Spare(Pixels):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Parameter(torch.zeros(3))


class Forgetful(Pixels):
    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        kept = {name: value for name, value in state_dict.items() if not name.endswith("bias")}
        return super().load_state_dict(kept, strict=False, assign=assign)


class Fickle(Pixels):
    def forward(self, pixels: Tensor) -> Encoded:
        out = super().forward(pixels)
        return out if self.returns_tokens else Encoded(2 * out.summary)


class Constant(Pixels):
    def forward(self, pixels: Tensor) -> Encoded:
        return Encoded(super().forward(0 * pixels).summary)


class Words(TextEncoder):
    """The smallest right text encoder: the mean of the real tokens' embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.context, self.width = 9, 6
        self.table = nn.Embedding(VOCABULARY.size, 6)

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        weights = mask.unsqueeze(-1).float()
        x = self.table(tokens)
        return Encoded((x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1), x, mask)


class ReadsPadding(Words):
    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        return super().forward(tokens, torch.ones_like(mask))


class DividesByNothing(Words):
    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        weights = mask.unsqueeze(-1).float()
        return Encoded((self.table(tokens) * weights).sum(dim=1) / weights.sum(dim=1))


class Short(Words):
    def __init__(self) -> None:
        super().__init__()
        self.context = 20

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        out = super().forward(tokens, mask)
        return Encoded(out.summary / (0.0 if tokens.shape[1] == 20 else 1.0))


class OutOfOrder(Pixels):
    """Says that its last layer comes before the one in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.middle, self.last = nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, pixels: Tensor) -> Encoded:
        return Encoded(self.last(self.middle(super().forward(pixels).summary).tanh()))

    def layer_names(self) -> list[list[str]]:
        return [["layer"], ["last"], ["middle"]]


class NamesTwice(OutOfOrder):
    def layer_names(self) -> list[list[str]]:
        return [["layer"], ["middle", "middle"], ["last"]]


def test_names_of_layers_are_looked_at() -> None:
    with pytest.raises(ValueError, match="names 'middle' twice"):
        check_image_encoder(NamesTwice())


def test_right_encoders_pass() -> None:
    check_image_encoder(Pixels())
    check_text_encoder(Words(), VOCABULARY)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Counts, "changed the buffer calls"),
        (Noisy, "two passes in eval mode differ"),
        (Batchwise, "depends on the others of its batch"),
        (Narrow, r"summary is \(3, 4\), not"),
        (Spare, "does not depend on the parameter spare"),
        (Forgetful, "saved and loaded give another"),
        (Fickle, "changes when returns_tokens is False"),
        (Constant, "the same summary"),
        (OutOfOrder, "layer_names puts Linear before a layer that it comes after"),
    ],
)
def test_a_wrong_image_encoder_is_caught(make: Callable[[], ImageEncoder], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_image_encoder(make())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (ReadsPadding, "padding changes the summary"),
        (DividesByNothing, "a text without a token"),
        (Short, "as long as the context"),
    ],
)
def test_a_wrong_text_encoder_is_caught(make: Callable[[], TextEncoder], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_text_encoder(make(), VOCABULARY)


def test_texts_put_special_tokens_where_they_belong() -> None:
    tokens, mask = texts(VOCABULARY, [4, 1, 2])
    assert tokens[:, 0].tolist() == [1, 2, 1]
    assert tokens[0, 3] == tokens[2, 1] == 2
    assert mask.sum(dim=1).tolist() == [4, 1, 2]
    assert not tokens[~mask].any()
