"""Retrieval's first candidates put in a new order by an objective that reads image and text together.

Shapes: N images, M texts, P relevant pairs, K candidates of a query, T pairs to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from vlc_core.errors import RecipeError
from vlc_core.interfaces.dataset import Dataset
from vlc_plugin_eval.ranking import Ranks

if TYPE_CHECKING:
    from vlc_core.inference import Inference


class Rerank(BaseModel):
    """Which candidates are read again.

    Attributes:
        objective: The name of an objective with two classes, of which the second means that a pair belongs together.
        top: How many candidates of each query.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: str = "itm"
    top: Annotated[int, Field(ge=1)] = 16


def candidates(image_ND: Tensor, text_MD: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """The texts nearest to each image (N, K), and the images nearest to each text (M, K), by cosine."""
    return _nearest(image_ND, text_MD, top), _nearest(text_MD, image_ND, top)


def matches(
    model: Inference, how: Rerank, data: Dataset, texts: list[str], index_N: Tensor, pairs_T2: Tensor
) -> Tensor:
    """How strongly the objective takes each (image, text) of ``pairs_T2`` for a pair, (T,): its logits' difference.

    Args:
        model: The model.
        how: Which objective.
        data: The images.
        texts: The M texts.
        index_N: Where each of the N images is in ``data``.
        pairs_T2: (T, 2) int64.

    Raises:
        RecipeError: The objective does not tell two classes.
    """
    rows_T2 = torch.stack([index_N[pairs_T2[:, 0]], pairs_T2[:, 1]], dim=1)
    logits_TC = model.judge(how.objective, data, texts, rows_T2)
    if logits_TC.shape[1] != 2:
        raise RecipeError(
            f"retrieval.rerank.objective: {how.objective!r} tells {logits_TC.shape[1]} classes, and ranking takes two: "
            f"no pair and pair, as itm"
        )
    return torch.nan_to_num(logits_TC[:, 1] - logits_TC[:, 0], nan=-torch.inf)


def reranked(
    before: Ranks, text_NK: Tensor, image_MK: Tensor, pairs_P2: Tensor, read_T2: Tensor, match_T: Tensor
) -> Ranks:
    """Ranks after the candidates were sorted by ``match_T``; what is no candidate keeps its place behind them.

    An irrelevant candidate that matches as well as the best relevant one comes first.

    Args:
        before: The ranks by cosine.
        text_NK: Candidates of the images.
        image_MK: Candidates of the texts.
        pairs_P2: The relevant (image, text) pairs.
        read_T2: The pairs that were read; all candidates are among them.
        match_T: What came of it.
    """
    score = dict(zip(map(tuple, read_T2.tolist()), match_T.tolist(), strict=True))
    relevant = {tuple(pair) for pair in pairs_P2.tolist()}
    of_text = [
        _rank(old, [((image, text) in relevant, score[image, text]) for text in own])
        for image, (old, own) in enumerate(zip(before.of_text.tolist(), text_NK.tolist(), strict=True))
    ]
    of_image = [
        _rank(old, [((image, text) in relevant, score[image, text]) for image in own])
        for text, (old, own) in enumerate(zip(before.of_image.tolist(), image_MK.tolist(), strict=True))
    ]
    return Ranks(torch.tensor(of_text), torch.tensor(of_image))


def to_read(text_NK: Tensor, image_MK: Tensor) -> Tensor:
    """The pairs (image, text) of both directions, each once, in the order of the images: (T, 2)."""
    by_image = torch.stack([torch.arange(len(text_NK)).repeat_interleave(text_NK.shape[1]), text_NK.flatten()], dim=1)
    by_text = torch.stack([image_MK.flatten(), torch.arange(len(image_MK)).repeat_interleave(image_MK.shape[1])], dim=1)
    pairs_T2: Tensor = torch.cat([by_image, by_text]).unique(dim=0)
    return pairs_T2


def _rank(old: int, read: list[tuple[bool, float]]) -> int:
    good = [score for relevant, score in read if relevant]
    if not good:
        return old
    return 1 + sum(score >= max(good) for relevant, score in read if not relevant)


def _nearest(query_QD: Tensor, key_KD: Tensor, top: int) -> Tensor:
    parts = [(part @ key_KD.T).topk(min(top, len(key_KD)), dim=1).indices for part in query_QD.split(1024)]
    return torch.cat(parts)
