"""Objectives: what a step's features are pulled towards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from vlc_core.interfaces.encoder import Encoded, Vocabulary

if TYPE_CHECKING:
    from vlc_core.step import Step


class Term(NamedTuple):
    """One named part of a loss, as a sum and what it was summed over on this rank.

    The framework divides the sum over all ranks and micro-batches by the count over all of them, so a mean is the
    same however the batch is cut.

    Attributes:
        sum: A scalar with gradient.
        count: How many anchors, tokens or pairs were summed; zero where the batch had none.
    """

    sum: Tensor
    count: Tensor | float  # type: ignore[assignment]  # tuple.count is of no use here


class Measure(NamedTuple):
    """A number that is told beside the loss and takes no part in it; what it is the mean of, as with a term.

    Attributes:
        sum: A scalar; a gradient of it is not followed.
        count: How many were summed; zero where the batch had none.
    """

    sum: Tensor
    count: Tensor | float  # type: ignore[assignment]  # as above


Scope = Literal["batch", "micro"]


@dataclass(frozen=True, slots=True)
class Needs:
    """What an objective needs of a step. Read before training, to make the step offer it and to refuse what cannot.

    Attributes:
        views: How many independently augmented views of each image.
        image_tokens: Whether it reads the image's token vectors.
        text_tokens: Whether it reads the text's token vectors.
        labels: Whether samples must carry class labels.
        pairs: Whether some samples must carry none.
        positives: Whether samples of one class attract each other, so that it matters how many meet in a batch.
        fusion: Whether it fuses texts with images; the tokens of both are then there.
        momentum: Whether it reads features of the momentum twins.
        queue: Whether it reads their queues.
        locals: Whether it reads the twins' embeddings of patches and words.
        masking: The share of tokens that is hidden in ``Step.masked_text``; 0 where it does not read that.
        text_draws: Whether it compares draws of dropout of a text, and so learns little from texts without dropout.
        scope: ``"batch"`` sees the whole batch of all ranks at once, as contrast must; ``"micro"`` is content with
            one micro-batch at a time.
    """

    views: int = 1
    image_tokens: bool = False
    text_tokens: bool = False
    labels: bool = False
    pairs: bool = False
    positives: bool = False
    fusion: bool = False
    momentum: bool = False
    queue: bool = False
    locals: bool = False
    masking: float = 0.0
    text_draws: bool = False
    scope: Scope = "batch"

    def merge(self, other: Needs) -> Needs:
        """What satisfies both: the most views and masking, every flag that either sets, and the wider scope."""
        merged = {f.name: max(getattr(self, f.name), getattr(other, f.name)) for f in fields(self) if f.name != "scope"}
        scope: Scope = "micro" if self.scope == other.scope == "micro" else "batch"
        return replace(self, scope=scope, **merged)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What an objective is told about the model it trains.

    Attributes:
        embed_dim: D, the width of the shared space.
        image_width: Width of the image encoder's summary and tokens.
        text_width: Width of the text encoder's summary and tokens.
        vocabulary: Of the text encoder.
        classes: The class names of the training data, merged over its sources; empty where it has no labels.
        fusion_width: Width of the fusion encoder's result; None where there is none.
        momentum: How much of itself a momentum twin keeps in a step, for twins of an objective's own modules.
        queue: K, how many features of earlier batches the queues hold.
    """

    embed_dim: int
    image_width: int
    text_width: int
    vocabulary: Vocabulary
    classes: tuple[str, ...] = ()
    fusion_width: int | None = None
    momentum: float = 0.995
    queue: int = 0


class Objective(nn.Module, ABC):
    """A loss over the features of a step.

    The positional parameter of ``__init__`` is the :class:`ModelInfo`; keyword-only ones are the recipe's options.

    Attributes:
        images: How many images of a sample ``judge`` reads beside its text: 1 or 2.
    """

    needs: ClassVar[Needs] = Needs()
    images: int = 1

    def __init__(self, model: ModelInfo) -> None:
        super().__init__()
        self.model = model

    @classmethod
    def requires(cls, options: Mapping[str, Any]) -> Needs:
        """What it needs under these ``options``; ``cls.needs`` unless overridden."""
        return cls.needs

    @abstractmethod
    def forward(self, step: Step) -> Mapping[str, Term | Measure] | Tensor:
        """The named terms of the loss; their quotients are added up. A measure is told beside them and not learned.

        A bare scalar is taken as the mean over this rank's samples. The names are the same in every step.
        """

    def judge(self, fused: Encoded) -> Tensor:
        """What it makes of fused pairs outside training, for objectives that tell classes of pairs.

        Args:
            fused: What ``Step.fuse`` gives for N pairs. Where ``images`` is 2, the readings of both images side by
                side: summaries (N, 2W).

        Returns:
            (N, C) logits.

        Raises:
            NotImplementedError: It tells no classes of pairs.
        """
        raise NotImplementedError(f"{type(self).__name__} tells no classes of pairs")
