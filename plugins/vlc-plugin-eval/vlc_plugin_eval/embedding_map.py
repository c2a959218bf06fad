"""The embedding map: where a model puts the images of each class.

Shapes: N samples, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator
from vlc_core.nearest import did_you_mean
from vlc_core.options import Component, PathLike
from vlc_plugin_eval.against import load_against, name_of
from vlc_plugin_eval.labelled import Features, Labelled, labelled
from vlc_plugin_eval.map_page import Panel, page
from vlc_plugin_eval.once import once
from vlc_plugin_eval.projection import leave_one_out, silhouette, tsne
from vlc_plugin_eval.thumbnails import thumbnail
from vlc_plugin_eval.vocabulary import distinct, fold

if TYPE_CHECKING:
    from vlc_core.inference import Inference

FEWEST = 4
"""Points below which a map says nothing, and t-SNE has no neighbours to keep."""


class Chosen(NamedTuple):
    """The samples on the map.

    Attributes:
        of_labelled: (N,) int64, their places among the labelled samples.
        rows: (N,) int64, their numbers in the dataset.
        labels: (N,) int64.
    """

    of_labelled: Tensor
    rows: Tensor
    labels: Tensor


@final
class EmbeddingMap(Evaluator):
    """Draws images as points, near where their embeddings are near (t-SNE), coloured by class, pictures on hover.

    The figure ``map.html`` is one page that needs nothing else: it may be sent and opened anywhere. With ``against``
    it shows another run beside this one, on the same images; a point is marked in both maps at once.

    Metrics, on the embeddings themselves and not on their map: ``knn``, the share of images whose ``k`` nearest
    others, one vote each, name their class; ``silhouette`` in -1…1, by cosine distance; the same with ``against_``
    before them; ``samples`` and ``classes``. Everything follows from ``seed``.

    Source: van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 2008; the comparison is that of Yang et
    al., Unified Contrastive Learning in Image-Text-Label Space, CVPR 2022.

    Args:
        data: Labelled images.
        absent_from: A dataset whose classes are left out, by name: that of training, so that the map shows classes
            that no label ever named.
        classes: The classes to show, by name; by default all.
        against: Another run, to show beside this one.
        features: ``embed``, the projection to the shared space, or ``summary``, what the encoder gives.
        most: Images to show at most; the rest is left out at random.
        perplexity: Of t-SNE: about how many neighbours a point keeps.
        k: Neighbours that vote.
        thumbnail: The side of the pictures in pixels; 0 for none.
        seed: Of the choice of images and of t-SNE.
    """

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        absent_from: Annotated[Dataset, Component("dataset")] | None = None,
        classes: list[str] | None = None,
        against: Annotated[str, PathLike()] | None = None,
        features: Features = "embed",
        most: Annotated[int, Field(ge=FEWEST)] = 1000,
        perplexity: Annotated[float, Field(gt=0)] = 30.0,
        k: Annotated[int, Field(ge=1)] = 10,
        thumbnail: Annotated[int, Field(ge=0, le=512)] = 64,
        seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
    ) -> None:
        self.data, self.absent_from, self.classes = data, absent_from, classes
        self.against, self.most = against, most
        self.features: Features = features
        self.perplexity, self.k, self.thumbnail, self.seed = perplexity, k, thumbnail, seed

    def evaluate(self, model: Inference) -> Evaluation:
        found = labelled(model, self.data, self.features, what="embedding-map (data)")
        shown = self._shown(found)
        chosen = self._choose(found, shown)
        panels = [self._panel("this run", found, chosen)]
        metrics = dict(panels[0].metrics)
        if self.against is not None:
            panels.append(self._other_panel(self.against, found, chosen))
            metrics |= {f"against_{name}": value for name, value in panels[1].metrics.items()}
        names = {int(label): found.classes[label] for label in chosen.labels.unique()}
        metrics |= {"samples": float(len(chosen.rows)), "classes": float(len(names))}
        return Evaluation(
            metrics=metrics,
            details={
                "features": self.features,
                "classes": list(names.values()),
                "left_out": len(found.y) - len(chosen.rows),
                "against": self.against,
                "perplexity": min(self.perplexity, (len(chosen.rows) - 1) / 3),
                "k": self.k,
            },
            figures={"map.html": once(lambda: self._page(panels, chosen, names))},
        )

    def _shown(self, found: Labelled) -> Tensor:
        """The labels to show."""
        known = distinct(found.classes)
        for name in self.classes or ():
            if fold(name) not in known:
                hint = did_you_mean(name, known.values())
                raise DataError(f"embedding-map: classes: {name!r} is no class of `data`{hint}")
        wanted = set(known) if self.classes is None else {fold(name) for name in self.classes}
        if self.absent_from is not None:
            wanted -= {fold(name) for name in self.absent_from.classes or ()}
        return torch.tensor([fold(name) in wanted for name in found.classes], dtype=torch.bool)

    def _choose(self, found: Labelled, shown_C: Tensor) -> Chosen:
        rows = torch.nonzero(shown_C[found.y]).flatten()
        if len(rows) > self.most:
            generator = torch.Generator().manual_seed(self.seed)
            rows = rows[torch.randperm(len(rows), generator=generator)[: self.most]].sort().values
        labels = found.y[rows]
        if len(rows) < FEWEST or len(labels.unique()) < 2:
            raise DataError(
                f"embedding-map has {len(rows)} images of {len(labels.unique())} classes to show, and needs "
                f"{FEWEST} images of two: look at `classes` and `absent_from`"
            )
        if len(labels.unique()) == len(labels):
            raise DataError("embedding-map has one image of each class: nothing can be near its own kind, add images")
        if self.k >= len(rows):
            raise DataError(f"embedding-map: k is {self.k}, and there are {len(rows)} images: set k below that")
        return Chosen(rows, found.rows[rows], labels)

    def _panel(self, name: str, found: Labelled, chosen: Chosen) -> Panel:
        embed_ND = F.normalize(found.x[chosen.of_labelled], dim=1)

        def made() -> Panel:
            numbers = {
                "knn": leave_one_out(embed_ND, chosen.labels, k=self.k),
                "silhouette": silhouette(embed_ND, chosen.labels),
            }
            return Panel(name, tsne(embed_ND, perplexity=self.perplexity, seed=self.seed), numbers)

        return once(made)

    def _other_panel(self, run: str, found: Labelled, chosen: Chosen) -> Panel:
        model = load_against(run, what="embedding-map")
        other = labelled(model, self.data, self.features, what="embedding-map (data)")
        if not torch.equal(other.rows, found.rows):
            raise DataError("embedding-map: not the same images could be read for both runs: try again")
        return self._panel(name_of(run), other, chosen)

    def _page(self, panels: Sequence[Panel], chosen: Chosen, names: dict[int, str]) -> str:
        samples = [self.data[row] for row in chosen.rows.tolist()]
        pictures = [thumbnail(sample, self.thumbnail) if self.thumbnail > 0 else "" for sample in samples]
        return page(
            f"{len(samples)} images of {len(names)} classes",
            panels,
            labels=chosen.labels.tolist(),
            classes=names,
            keys=[sample.key for sample in samples],
            pictures=pictures,
        )
