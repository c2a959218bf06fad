"""Classes of pairs: whether statements are true, what pictures entail, how questions are answered.

Shapes: N samples, C classes of the model, D classes of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, final

import torch
from torch import Tensor

from vlc_core.batch import UNLABELLED
from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.options import Component

if TYPE_CHECKING:
    from vlc_core.inference import Inference


@final
class PairClasses(Evaluator):
    """Asks an objective for the class of each sample's image and text, read together by the fusion encoder.

    Metrics: ``accuracy``, the mean score of the class that is chosen (1 for a sample's label, 0 for another class; for
    samples with several answers the score of the chosen one, as VQA counts); ``consistency``, the share of distinct
    texts that are judged right beside all of their images, as NLVR2 counts; ``majority``, what naming the commonest
    class would get; ``samples``. The table ``classes`` has the accuracy on each class. Classes of data and model are
    matched by name; a class that the model does not know is always missed.

    Args:
        data: Images with a text each, and labels or answers.
        objective: The name of the objective that is asked.
    """

    def __init__(self, *, data: Annotated[Dataset, Component("dataset")], objective: str = "pairs") -> None:
        self.data, self.objective = data, objective

    def evaluate(self, model: Inference) -> Evaluation:
        names = self.data.classes
        if not names:
            raise DataError(f"pair-classes needs labels, and the dataset {type(self.data).__name__} has no classes")
        known = model.objective(self.objective).model.classes
        texts, score_ND = self._targets(len(names))
        rows = torch.arange(len(self.data)).unsqueeze(1).expand(-1, 2)
        logits_NC = model.judge(self.objective, self.data, texts, rows)
        read_N, asked_N = ~logits_NC.isnan().any(dim=1), score_ND.sum(dim=1) > 0
        counted_N = read_N & asked_N
        if not counted_N.any():
            raise DataError(
                f"pair-classes: no sample of the dataset {type(self.data).__name__} has a label and an image"
            )
        named = columns(known, names)
        score_N = chosen_scores(logits_NC[counted_N], score_ND[counted_N], named)
        texts = [text for text, counted in zip(texts, counted_N.tolist(), strict=True) if counted]
        return Evaluation(
            metrics={
                "accuracy": float(score_N.double().mean()),
                "consistency": consistency(texts, score_N),
                "majority": float(score_ND[counted_N].double().mean(dim=0).max()),
                "samples": float(len(texts)),
            },
            tables={"classes": _table(names, score_ND[counted_N], score_N)},
            details={
                "objective": self.objective,
                "skipped": int((~read_N).sum()),
                "without_target": int((read_N & ~asked_N).sum()),
                "unknown_classes": [name for name in names if name not in known][:20],
            },
        )

    def _targets(self, classes: int) -> tuple[list[str], Tensor]:
        """The text of each sample, and the score of each class, (N, D)."""
        score_ND = torch.zeros(len(self.data), classes)
        labels = self.data.labels()
        texts = []
        for index in range(len(self.data)):
            own = self.data.texts(index)
            if len(own) != 1:
                raise DataError(f"pair-classes needs one text for each image, and sample {index} has {len(own)}")
            texts.append(own[0])
            label = UNLABELLED if labels is None else int(labels[index])
            answers = self.data.answers(index) if label == UNLABELLED else ()
            if label == UNLABELLED and not answers and labels is None:
                label = self.data[index].label
            for answer, score in answers or ([(label, 1.0)] if label != UNLABELLED else ()):
                score_ND[index, answer] = max(score, float(score_ND[index, answer]))
        return texts, score_ND


def columns(known: Sequence[str], names: Sequence[str]) -> Tensor:
    """For each class of the model its number among the data's, (C,) int64; -1 where the data has none of that name."""
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    return torch.tensor([places.get(name, -1) for name in known], dtype=torch.int64)


def chosen_scores(logits_NC: Tensor, score_ND: Tensor, column_C: Tensor) -> Tensor:
    """The score of the class with the largest logit, (N,); 0 where the data does not know it."""
    chosen_N = column_C[logits_NC.argmax(dim=1)]
    found_N = score_ND.gather(1, chosen_N.clamp(min=0).unsqueeze(1)).squeeze(1)
    return torch.where(chosen_N < 0, 0.0, found_N)


def consistency(texts: Sequence[str], score_N: Tensor) -> float:
    """The share of distinct texts whose every sample has a score of 1."""
    right: dict[str, bool] = {}
    for text, score in zip(texts, score_N.tolist(), strict=True):
        right[text] = right.get(text, True) and score >= 1
    return sum(right.values()) / len(right)


def _table(names: Sequence[str], score_ND: Tensor, score_N: Tensor) -> Table:
    best_N = score_ND.argmax(dim=1)
    rows = []
    for number in best_N.unique().tolist():
        own = score_N[best_N == number]
        rows.append((names[number], len(own), float(own.double().mean())))
    return Table(("class", "samples", "accuracy"), tuple(rows))
