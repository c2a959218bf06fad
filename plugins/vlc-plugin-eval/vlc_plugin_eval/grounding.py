"""Where a model looks for what words name: Grad-CAM over the fusion encoder's attention to the image.

Shapes: N phrases, S × S patches, H × W a map of the image encoder's input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.dataset import Dataset, Rectangle
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.loading.picture import Picture
from vlc_core.loading.vectors import as_picture
from vlc_core.model.judging import Look
from vlc_core.options import Component
from vlc_plugin_eval import boxes
from vlc_plugin_eval.heat_maps import Shown, page
from vlc_plugin_eval.once import once

if TYPE_CHECKING:
    from vlc_core.inference import Inference

DEPTHS = (1, 5, 10)
MATCH = 1
"""The second class of the objective: the text and the image belong together."""


class Asked(NamedTuple):
    """A phrase about an image, and the rectangles of what it names within the picture's centre square."""

    image: int
    text: str
    boxes: tuple[Rectangle, ...]
    candidates: tuple[Rectangle, ...]


@final
class Grounding(Evaluator):
    """Reads each phrase with its image and looks where the fusion encoder's attention spoke for a match.

    Metrics: ``pointing_accuracy``, the share of phrases for which the map's largest value lies inside what is named;
    ``box_accuracy@T`` for each threshold T, the share for which the rectangle around all values of at least T times
    the largest overlaps what is named by half (intersection over union); ``recall@1``, ``@5`` and ``@10``, the share
    with a candidate rectangle that overlaps it by half among the first, ranked by the map within them over the root of
    their area; ``chance_pointing``, what pointing at random would get; ``phrases``. ``maps.html`` draws the first maps.
    Pictures are seen through their centre square; what lies outside is left out and counted. Li et al. 2021 (ALBEF).

    Args:
        data: Images with phrases and rectangles.
        objective: The name of the objective that tells a match, its second class.
        block: Of the fusion encoder, whose attention is looked at; negative ones count from the last; ``all`` for the
            sum.
        prompt: What is read in place of a phrase, which stands at its ``{}``: words like those of training.
        thresholds: For the rectangles around a map, in 0…1.
        drawn: How many maps are drawn.
    """

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        objective: str = "itm",
        block: int | Literal["all"] = "all",
        prompt: str = "{}",
        thresholds: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.3, 0.5, 0.7),
        drawn: Annotated[int, Field(ge=0, le=200)] = 16,
    ) -> None:
        if prompt.count("{}") != 1:
            raise RecipeError(f"prompt {prompt!r} has no single {{}} for the phrase: write it as in 'a photo of {{}}'")
        self.data, self.objective, self.block, self.prompt = data, objective, block, prompt
        self.thresholds, self.drawn = thresholds, drawn

    def evaluate(self, model: Inference) -> Evaluation:
        asked, outside = once(self._asked)
        if not asked:
            raise DataError(
                f"grounding needs phrases with rectangles, and the dataset {type(self.data).__name__} has none: use "
                f"one such as shapes-phrases or flickr30k-entities"
            )
        texts = list(dict.fromkeys(one.text for one in asked))
        numbers = {text: number for number, text in enumerate(texts)}
        pairs = torch.tensor([(one.image, numbers[one.text]) for one in asked])
        read = [self.prompt.replace("{}", text) for text in texts]
        look = Look(None if self.block == "all" else self.block, MATCH)
        maps_NSS = model.attention(self.objective, self.data, read, pairs, look)
        read_N = ~maps_NSS.flatten(1).isnan().any(dim=1)
        maps_NHW = boxes.enlarged(maps_NSS[read_N], model.size)
        asked = [one for one, read in zip(asked, read_N.tolist(), strict=True) if read]
        if not asked:
            raise DataError("grounding: none of the images with phrases can be read")
        metrics = measured(asked, maps_NHW, self.thresholds)
        return Evaluation(
            metrics=metrics,
            tables={"boxes": _table(metrics)},
            details={
                "objective": self.objective,
                "block": self.block,
                "prompt": self.prompt,
                "outside": outside,
                "skipped": int((~read_N).sum()),
            },
            figures=self._figures(asked, maps_NHW, model.size),
        )

    def _asked(self) -> tuple[list[Asked], int]:
        """The phrases, and how many of them name nothing within the centre of their picture."""
        asked, outside = [], 0
        for image in range(len(self.data)):
            phrases = self.data.phrases(image)
            if not phrases:
                continue
            try:
                width, height = Picture(as_picture(self.data[image].image)).size
            except (DataError, OSError):
                width = height = 1  # judging it leaves it out and counts it
            rest = _centred(self.data.candidates(image), width, height)
            for text, named in phrases:
                found = _centred(named, width, height)
                outside += not found
                asked += [Asked(image, text, found, rest)] if found else []
        return asked, outside

    def _figures(self, asked: list[Asked], maps_NHW: Tensor, size: int) -> dict[str, str]:
        shown = [
            Shown(self.data[one.image].image, one.text, one.boxes, maps_NHW[number], boxes.peak(maps_NHW[number]))
            for number, one in enumerate(asked[: self.drawn])
        ]
        return {"maps.html": page(shown, max(size, 128))} if shown else {}


def measured(asked: list[Asked], maps_NHW: Tensor, thresholds: tuple[float, ...]) -> dict[str, float]:
    """The metrics."""
    found = [boxes.inside(boxes.peak(one_HW), one.boxes) for one, one_HW in zip(asked, maps_NHW, strict=True)]
    metrics = {"pointing_accuracy": _mean(found)}
    for threshold in thresholds:
        drawn = [boxes.above(one_HW, threshold) for one_HW in maps_NHW]
        right = [_hits(box, one.boxes) for one, box in zip(asked, drawn, strict=True)]
        metrics[f"box_accuracy@{threshold:g}"] = _mean(right)
    places = [_place(one, one_HW) for one, one_HW in zip(asked, maps_NHW, strict=True)]
    metrics |= {f"recall@{depth}": _mean([place <= depth for place in places]) for depth in DEPTHS}
    metrics["chance_pointing"] = sum(min(1.0, sum(map(boxes.area, one.boxes))) for one in asked) / len(asked)
    return metrics | {"phrases": float(len(asked))}


def _place(one: Asked, map_HW: Tensor) -> float:
    """The place, from 1, of the first candidate that is right; infinite where none is."""
    ranked = sorted(one.candidates, key=lambda box: -boxes.weight(map_HW, box))
    return next((place for place, box in enumerate(ranked, 1) if _hits(box, one.boxes)), torch.inf)


def _hits(box: Rectangle, named: tuple[Rectangle, ...]) -> bool:
    return any(boxes.overlap(box, one) >= 0.5 for one in named)


def _centred(found: tuple[Rectangle, ...], width: int, height: int) -> tuple[Rectangle, ...]:
    cut = (boxes.in_centre(box, width, height) for box in found)
    return tuple(box for box in cut if boxes.area(box) > 0)


def _mean(found: list[bool]) -> float:
    return sum(found) / len(found)


def _table(metrics: dict[str, float]) -> Table:
    return Table(("measure", "share"), tuple((name, value) for name, value in metrics.items() if name != "phrases"))
