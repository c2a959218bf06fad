"""What an objective needs of a recipe, refused by name where it is not there."""

from __future__ import annotations

from vlc_core.assemble.data import Data
from vlc_core.batch import UNLABELLED
from vlc_core.errors import RecipeError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.interfaces.objective import ModelInfo, Needs
from vlc_core.model.towers import Towers
from vlc_core.recipe.schema import Recipe


def check_needs(at: str, needs: Needs, recipe: Recipe, data: Data, info: ModelInfo) -> None:
    """Refuses what an objective needs and the recipe does not give."""
    if needs.labels and not data.classes:
        raise RecipeError(f"{at} needs class labels, and no source of data.train has classes")
    if needs.pairs and all(_is_labelled(source.dataset) for source in data.sources):
        raise RecipeError(f"{at} reads samples without a label, and every sample of data.train has one: add pairs")
    if needs.fusion and info.fusion_width is None:
        raise RecipeError(f"{at} reads texts and images together: name a fusion encoder, model.fusion")
    if needs.masking and info.vocabulary.mask is None:
        raise RecipeError(f"{at} hides tokens, and the tokenizer has no mask token: choose one that has")
    if needs.queue and 0 < info.queue < recipe.train.batch_size:
        raise RecipeError(
            f"{at} reads a queue of {info.queue} features, which a batch of {recipe.train.batch_size} would overrun: "
            f"set model.momentum.queue to 0 or to at least the batch size"
        )


def _is_labelled(dataset: Dataset) -> bool:
    """Whether every sample is known to have a label."""
    labels = dataset.labels()
    return labels is not None and bool((labels != UNLABELLED).all())


def check_tokens(at: str, needs: Needs, towers: Towers) -> None:
    """Refuses an objective that reads patches or words of an encoder that gives none."""
    anyway = needs.fusion or needs.locals
    for side, tower, read in (
        ("image", towers.image, anyway or needs.image_tokens),
        ("text", towers.text, anyway or needs.text_tokens),
    ):
        if read and not tower.encoder.gives_tokens:
            parts = "patches" if side == "image" else "words"
            raise RecipeError(
                f"{at} reads {parts} one by one, and the {side} encoder has one vector for the whole: "
                f"choose another model.{side}"
            )
