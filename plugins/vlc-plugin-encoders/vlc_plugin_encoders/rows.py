"""Tokens of several items as the rows of one matrix, so that no layer but attention sees items or padding.

Shapes: N items, L tokens of the longest, T rows (real tokens and a few of padding where packed, else N·L), C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vlc_core.products import rounded


@dataclass(frozen=True, slots=True)
class Rows:
    """Where each row belongs.

    Attributes:
        number: N.
        length: L.
        places: (T,) int64, the row's place in the padded N·L; None where rows and places are the same.
        mask: (N, L) bool, true at tokens that may be attended to; None for all.
        real: How many of the rows are of real tokens where ``places`` is given; those come first.
    """

    number: int
    length: int
    places: Tensor | None = None
    mask: Tensor | None = None
    real: int = 0

    def spread(self, x_TC: Tensor) -> Tensor:
        """The rows as (N, L, C), zero at padding."""
        if self.places is None:
            return x_TC.view(self.number, self.length, -1)
        empty_PC = x_TC.new_zeros(self.number * self.length, x_TC.shape[1])
        return empty_PC.index_copy(0, self.places[: self.real], x_TC[: self.real]).view(self.number, self.length, -1)

    def collect(self, x_NLC: Tensor) -> Tensor:
        """The rows (T, C) of a padded (N, L, C)."""
        x_PC = x_NLC.flatten(0, 1)
        return x_PC if self.places is None else x_PC.index_select(0, self.places)

    def first(self, device: torch.device) -> Tensor:
        """(N,) int64 on ``device``: the row of each item's first token."""
        if self.mask is None or self.places is None:
            return torch.arange(self.number, device=device) * self.length
        lengths_N = self.mask.sum(dim=1)
        return lengths_N.cumsum(0) - lengths_N

    def last(self, device: torch.device) -> Tensor:
        """(N,) int64 on ``device``: the row of each item's last real token."""
        beyond = self.length if self.mask is None else self.mask.sum(dim=1)
        return self.first(device) + beyond - 1


def pack(mask_NL: Tensor, *, worth: float = 0.9) -> Rows:
    """Rows for the real tokens of ``mask_NL`` alone, where these fill less than the share ``worth`` of the
    places.

    Only on the CPU. A GPU would have to stop and tell how many real tokens there are, which costs more than
    it saves.
    """
    number, length = mask_NL.shape
    if mask_NL.device.type != "cpu":
        return Rows(number, length, mask=mask_NL)
    places = mask_NL.flatten().nonzero().squeeze(1)
    full = places.shape[0] == number * length
    if full or places.shape[0] > worth * number * length:
        return Rows(number, length, mask=None if full else mask_NL)
    return Rows(number, length, _to_round_number(places, mask_NL), mask_NL, places.shape[0])


def _to_round_number(places: Tensor, mask_NL: Tensor) -> Tensor:
    """The places of real tokens, and after them so many of padding that there is a round number.

    Nobody reads those, but few numbers of rows occur: oneDNN compiles its kernels for each and keeps them, which made
    every batch take some MiB more.
    """
    padding = (~mask_NL).flatten().nonzero().squeeze(1)
    return torch.cat([places, padding[: rounded(places.shape[0]) - places.shape[0]]])
