"""Which tokens of a text are hidden from the model, to be predicted: a function of the seed and the sample number.

Devlin et al., BERT, arXiv 1810.04805, section 3.1: of the chosen tokens 80 % are replaced by the mask, 10 % by a random
token, 10 % are left.

Shapes: B texts, L tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Vocabulary

IGNORED = -100
"""The label of a token that is not to be predicted, as torch's cross entropy has it."""
REPLACED, RANDOM = 0.8, 0.1


class Masked(NamedTuple):
    """Texts with hidden tokens.

    Attributes:
        ids: (B, L) int64, what the model sees.
        labels: (B, L) int64, the tokens at the chosen places, ``IGNORED`` elsewhere.
    """

    ids: Tensor
    labels: Tensor


def mask_tokens(
    tokens: Tensor, mask: Tensor, numbers: Tensor, *, seed: int, probability: float, vocabulary: Vocabulary
) -> Masked:
    """Hides each real token that is not special with ``probability``.

    What becomes of a token depends on the seed, its sample's number and its place, on no other sample and no device.

    Args:
        tokens: (B, L) int64.
        mask: (B, L) bool, true at real tokens.
        numbers: (B,) int64, the sample numbers.
        seed: Of the run.
        probability: Of a token to be chosen.
        vocabulary: Says which ids are special, and which one is the mask.

    Raises:
        RecipeError: The tokenizer has no mask token.
    """
    if vocabulary.mask is None:
        raise RecipeError("Tokens cannot be masked: the tokenizer has no mask token; choose one that has.")
    place_BL = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    chosen_BL, fate_BL, other_BL = (uniform(seed, numbers[:, None], place_BL, draw) for draw in range(3))
    hidden_BL = mask & (chosen_BL < probability)
    for special in (vocabulary.pad, vocabulary.start, vocabulary.end, vocabulary.mask):
        if special is not None:
            hidden_BL = hidden_BL & (tokens != special)
    labels_BL = torch.where(hidden_BL, tokens, IGNORED)
    random_BL = (other_BL * vocabulary.size).long().clamp(max=vocabulary.size - 1)
    ids_BL = torch.where(hidden_BL & (fate_BL < REPLACED), vocabulary.mask, tokens)
    swapped_BL = hidden_BL & (fate_BL >= REPLACED) & (fate_BL < REPLACED + RANDOM)
    return Masked(torch.where(swapped_BL, random_BL, ids_BL), labels_BL)


def uniform(seed: int, *keys: Tensor | int) -> Tensor:
    """Numbers in [0, 1), float64, each a function of the seed and its keys (int64 tensors that broadcast)."""
    state: Tensor = torch.as_tensor(_signed(seed))
    for key in keys:
        key = torch.as_tensor(key)
        state = _mix(state.to(key.device) ^ _mix(key.to(torch.int64)))
    return (state >> 11 & (1 << 53) - 1).double() / (1 << 53)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's step (Steele, Lea and Flood, OOPSLA 2014), on int64 that wraps around."""
    x = x + _signed(0x9E3779B97F4A7C15)
    x = (x ^ _shifted(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shifted(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, by: int) -> Tensor:
    """Shifted right as if it had no sign."""
    return x >> by & (1 << 64 - by) - 1


def _signed(x: int) -> int:
    """The int64 of the same 64 bits."""
    x &= (1 << 64) - 1
    return x - (1 << 64) if x >> 63 else x
