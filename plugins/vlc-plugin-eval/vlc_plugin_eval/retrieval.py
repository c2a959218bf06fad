"""Retrieval of texts by image and of images by text.

Shapes: N images, M texts, P relevant pairs, D width, Q queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, final

import torch
from torch import Tensor

from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.options import Component, PathLike
from vlc_plugin_eval.against import load_against, names_of
from vlc_plugin_eval.feature_cache import image_features, rows_read
from vlc_plugin_eval.features import unit_rows
from vlc_plugin_eval.gallery import Gallery, build_gallery, captions_of
from vlc_plugin_eval.ranking import Ranks, best_ranks, chance_recall
from vlc_plugin_eval.recalls import DEPTHS, median_rank, recall_metrics, recalls
from vlc_plugin_eval.rerank import Rerank, candidates, matches, reranked, to_read
from vlc_plugin_eval.templates import templates_of

if TYPE_CHECKING:
    from vlc_core.inference import ImageSet, Inference


@final
class Retrieval(Evaluator):
    """Finds texts by image and images by text, among all of the data.

    Samples with equal keys are one image, with the captions of all of them. Equal captions are one text,
    relevant to every image they stand beside. A query's rank is that of its best-ranked relevant item; an
    irrelevant item that is as near (within 1e-6) comes first, so a model that embeds everything alike finds
    nothing. Images without a text are left out and counted in the details.

    Metrics, with ``i2t`` for texts found by an image and ``t2i`` for images found by a text:
    ``i2t_recall@1``, ``@5`` and ``@10`` (the share of queries with a relevant item among the first 1, 5 or
    10), ``i2t_median_rank`` (from 1), the same for ``t2i``; ``mean_recall``, the mean of the six recalls;
    ``images`` and ``texts``. Recalls are in 0…1. The table ``directions`` adds what a random order would
    recall.

    With ``rerank`` the first candidates of each query are read together with it by the fusion encoder and sorted by
    what an objective makes of that; the same metrics then stand beside the others, led by ``reranked_``.
    Li et al. 2021 (ALBEF), arXiv 2107.07651, section 5. With ``against`` the table ``runs`` has the metrics of each run
    in a column, without re-ranking.

    Args:
        data: Images with captions, or with class names.
        prompts: For images without captions: each gets these templates over its class name as captions. The
            name of a set of templates, one template, or a list of them, each with ``{}`` for the class name.
        rerank: Which objective sorts how many candidates of each query again: ``{objective: itm, top: 16}``.
        against: Another run, or several, to show beside this one, such as that which this one was fine-tuned from.
    """

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        prompts: Annotated[str | list[str], Component("prompts")] | None = None,
        rerank: Rerank | None = None,
        against: Annotated[str | list[str], PathLike()] | None = None,
    ) -> None:
        self.data, self.rerank = data, rerank
        self.against = [against] if isinstance(against, str) else list(against or ())
        self.templates = () if prompts is None else templates_of(prompts)

    def evaluate(self, model: Inference) -> Evaluation:
        images, gallery, embeds, ranks = self._found(model)
        metrics, tables = recall_metrics(ranks), {"directions": _table(ranks, gallery)}
        details: dict[str, object] = {}
        if self.rerank is not None:
            again = self._reranked(model, images, gallery, embeds, ranks)
            found = recall_metrics(again)
            metrics |= {f"reranked_{name}": found[name] for name in found if name not in ("images", "texts")}
            tables["reranked"] = _table(again, gallery)
            details = {"rerank": self.rerank.model_dump()}
        if self.against:
            tables["runs"] = self._runs(recall_metrics(ranks))
            details |= {"against": self.against}
        return Evaluation(
            metrics=metrics,
            tables=tables,
            details={
                **details,
                "prompts": list(self.templates),
                "repeated_images": gallery.repeated,
                "images_without_text": gallery.without_text,
                "skipped": len(images.skipped),
                "relevant_pairs": len(gallery.pairs),
            },
        )

    def _found(self, model: Inference) -> tuple[ImageSet, Gallery, tuple[Tensor, Tensor], Ranks]:
        """The images, what is asked of them, the embeddings of both sides, and the ranks."""
        images = image_features(model, self.data)
        gallery = self._gallery(images)
        image_ND = unit_rows(images.embed[gallery.rows], what="image")
        text_MD = unit_rows(model.encode_texts(gallery.texts), what="text")
        return images, gallery, (image_ND, text_MD), best_ranks(image_ND, text_MD, gallery.pairs)

    def _runs(self, metrics: dict[str, float]) -> Table:
        """A row for each metric, a column for each run."""
        columns = [metrics]
        for run in self.against:
            *_, ranks = self._found(load_against(run, what="retrieval"))
            columns.append(recall_metrics(ranks))
        rows: list[tuple[str | int | float, ...]] = [
            (name, *(one[name] for one in columns)) for name in metrics if name in columns[-1]
        ]
        return Table(
            ("metric", "value", *(f"value ({name})" for name in names_of(self.against))), tuple(rows), shown=True
        )

    def _reranked(
        self, model: Inference, images: ImageSet, gallery: Gallery, embeds: tuple[Tensor, Tensor], before: Ranks
    ) -> Ranks:
        """Ranks after the first candidates were read together with their queries."""
        assert self.rerank is not None
        text_NK, image_MK = candidates(*embeds, self.rerank.top)
        read_T2, rows = to_read(text_NK, image_MK), rows_read(self.data, images)
        match_T = matches(model, self.rerank, self.data, gallery.texts, rows[gallery.rows], read_T2)
        return reranked(before, text_NK, image_MK, gallery.pairs, read_T2, match_T)

    def _gallery(self, images: ImageSet) -> Gallery:
        captions = captions_of(images, self.data.classes, self.templates)
        gallery = build_gallery(images.keys, captions)
        if gallery.texts:
            return gallery
        name = type(self.data).__name__
        if not images.keys:
            raise DataError(f"retrieval has nothing to find: no sample of the dataset {name} could be read")
        if self.data.classes is not None and not self.templates:
            raise DataError(
                f"retrieval needs texts, and the dataset {name} has class names but no captions: "
                "add `prompts: clip80` to make captions from them, or measure with `zero-shot`"
            )
        raise DataError(
            f"retrieval needs texts, and none of the {len(images.keys)} samples of the dataset {name} has a "
            "caption: name its caption column, or give labelled data and `prompts`"
        )


def _table(ranks: Ranks, gallery: Gallery) -> Table:
    images, texts = len(ranks.of_text), len(ranks.of_image)
    per_image = torch.bincount(gallery.pairs[:, 0], minlength=images)
    per_text = torch.bincount(gallery.pairs[:, 1], minlength=texts)
    rows: tuple[tuple[str | float, ...], ...] = (
        ("image to text", images, texts, *_row(ranks.of_text, per_image, texts)),
        ("text to image", texts, images, *_row(ranks.of_image, per_text, images)),
    )
    found = tuple(name for k in DEPTHS for name in (f"recall@{k}", f"chance@{k}"))
    return Table(("direction", "queries", "candidates", *found, "median rank"), rows)


def _row(rank_Q: Tensor, relevant_Q: Tensor, candidates: int) -> list[float]:
    cells = []
    for depth, share in zip(DEPTHS, recalls(rank_Q), strict=True):
        cells += [share, chance_recall(relevant_Q, candidates, depth)]
    return [*cells, median_rank(rank_Q)]
