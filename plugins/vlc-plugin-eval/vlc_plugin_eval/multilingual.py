"""Retrieval with captions in several languages, each measured by itself on the same images.

Shapes: N images, M texts, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, final

import torch

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.evaluator import Evaluation, Evaluator, Table
from vlc_core.nearest import did_you_mean
from vlc_core.options import Component, PathLike
from vlc_plugin_eval.against import load_against, names_of
from vlc_plugin_eval.feature_cache import image_features, rows_read
from vlc_plugin_eval.features import unit_rows
from vlc_plugin_eval.gallery import Gallery, build_gallery
from vlc_plugin_eval.ranking import best_ranks, chance_recall
from vlc_plugin_eval.recalls import DEPTHS, recall_metrics

if TYPE_CHECKING:
    from vlc_core.inference import ImageSet, Inference

NAME = "multilingual-retrieval"
RECALLS = tuple(f"{direction}_recall@{depth}" for direction in ("i2t", "t2i") for depth in DEPTHS)
Figures = Mapping[str, Mapping[str, float]]
"""By language: what ``retrieval`` measures, and ``chance``, the mean recall of a random order."""


@final
class MultilingualRetrieval(Evaluator):
    """Finds texts by image and images by text in each language by itself, as ``retrieval`` does.

    Images are encoded once for all languages. An image without a caption in a language is left out of that language's
    figures alone; the table says how many images and texts each has.

    Metrics: for each language such as ``de`` its ``de_mean_recall``, the mean of recall at 1, 5 and 10 in both
    directions; ``mean_recall``, the mean over languages; ``images`` and ``languages``. Recalls are in 0…1. The table
    ``languages`` has all six recalls beside what a random order would get. With ``against`` the table ``runs`` has the
    mean recall of each run in a column, and ``languages (RUN)`` the rest of the others.

    Source: Jia et al., ICML 2021 (ALIGN), section 8; the measure is that of Huang et al., CVPR 2021 (M3P).

    Args:
        data: Images with captions in several languages: captions-by-language or shapes-by-language.
        languages: Which of them, in this order; all that ``data`` has if not given.
        against: Another run, or several, to show beside this one, such as that which this one was fine-tuned from.
    """

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        languages: list[str] | None = None,
        against: Annotated[str | list[str], PathLike()] | None = None,
    ) -> None:
        self.data, self.languages = data, languages
        self.against = [against] if isinstance(against, str) else list(against or ())

    def evaluate(self, model: Inference) -> Evaluation:
        languages = self._chosen()
        found, images = self._measure(model, languages)
        tables = {"languages": _languages(found, shown=True)}
        others: dict[str, Figures] = {}
        for name, run in zip(names_of(self.against), self.against, strict=True):
            others[name], _ = self._measure(load_against(run, what=NAME), languages)
            tables[f"languages ({name})"] = _languages(others[name])
        if others:
            tables["runs"] = _runs(found, others)
        means = [figures["mean_recall"] for figures in found.values()]
        return Evaluation(
            metrics={f"{language}_mean_recall": figures["mean_recall"] for language, figures in found.items()}
            | {"mean_recall": _mean(means), "images": float(len(images.keys)), "languages": float(len(languages))},
            tables=tables,
            details={"skipped": len(images.skipped), "against": self.against},
        )

    def _chosen(self) -> list[str]:
        have = self.data.languages
        if not have:
            raise RecipeError(
                f"{NAME} needs to know the language of captions, and the dataset {type(self.data).__name__} does not "
                "say it: read the data by captions-by-language, or measure it with `retrieval`"
            )
        chosen = list(have) if self.languages is None else list(dict.fromkeys(self.languages))
        for language in chosen:
            if language not in have:
                raise RecipeError(
                    f"{NAME}: the data has no captions in {language!r}; its languages are {', '.join(have)}"
                    f"{did_you_mean(language, have)}"
                )
        if not chosen:
            raise RecipeError(f"{NAME}: `languages` is an empty list; the data has {', '.join(have)}")
        return chosen

    def _measure(self, model: Inference, languages: Sequence[str]) -> tuple[Figures, ImageSet]:
        images = image_features(model, self.data)
        kept = rows_read(self.data, images).tolist()
        found = {}
        for language in languages:
            texts = [[text.strip() for text in self.data.texts_in(language, index)] for index in kept]
            gallery = build_gallery(images.keys, [[text for text in own if text] for own in texts])
            if not gallery.texts:
                raise DataError(
                    f"{NAME} has nothing to find in {language!r}: of {len(self.data):,} images {len(kept):,} could be "
                    "read, and none of these has a caption in that language"
                )
            found[language] = _figures(model, images, gallery)
        return found, images


def _figures(model: Inference, images: ImageSet, gallery: Gallery) -> Mapping[str, float]:
    image_ND = unit_rows(images.embed[gallery.rows], what="image")
    text_MD = unit_rows(model.encode_texts(gallery.texts), what="text")
    figures = recall_metrics(best_ranks(image_ND, text_MD, gallery.pairs))
    return figures | {"chance": _chance(gallery)}


def _chance(gallery: Gallery) -> float:
    """The mean recall of a random order."""
    sides = (len(gallery.rows), len(gallery.texts))
    shares = [
        chance_recall(torch.bincount(gallery.pairs[:, side], minlength=sides[side]), sides[1 - side], depth)
        for side in (0, 1)
        for depth in DEPTHS
    ]
    return _mean(shares)


def _languages(found: Figures, *, shown: bool = False) -> Table:
    """A row for each language, and their mean."""
    columns = (*RECALLS, "mean_recall", "chance")
    rows: list[tuple[str | int | float, ...]] = [
        (language, int(one["images"]), int(one["texts"]), *(one[name] for name in columns))
        for language, one in found.items()
    ]
    if len(found) > 1:
        rows.append(("mean", "", "", *(_mean([one[name] for one in found.values()]) for name in columns)))
    heads = tuple(name.replace("_recall@", "@").replace("_", " ") for name in columns)
    return Table(("language", "images", "texts", *heads), tuple(rows), shown=shown)


def _runs(found: Figures, others: Mapping[str, Figures]) -> Table:
    """A row for each language and their mean, a column of mean recalls for each run."""
    columns = [found, *others.values()]
    rows: list[tuple[str | int | float, ...]] = [
        (language, *(one[language]["mean_recall"] for one in columns)) for language in found
    ]
    if len(found) > 1:
        rows.append(("mean", *(_mean([figures["mean_recall"] for figures in one.values()]) for one in columns)))
    return Table(("language", "mean recall", *(f"mean recall ({name})" for name in others)), tuple(rows), shown=True)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
