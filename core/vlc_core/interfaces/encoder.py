"""Encoders: pixels or tokens in, a summary vector and token vectors out.

Shapes: N items, W width, L tokens, H × W pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from torch import Tensor, nn

from vlc_core.errors import RecipeError

if TYPE_CHECKING:
    from vlc_core.tokenizer import Tokenizer


class Encoded(NamedTuple):
    """What an encoder returns.

    Attributes:
        summary: (N, W), the vector that stands for the whole item; it is projected to the shared space.
        tokens: (N, L, W), one vector per patch or word, the summary token included where the encoder has one;
            None where the encoder has no tokens or was told that nobody reads them.
        mask: (N, L) bool, true at real tokens; None means that all are real.
    """

    summary: Tensor
    tokens: Tensor | None = None
    mask: Tensor | None = None


class Exported(NamedTuple):
    """What an export wrote.

    Attributes:
        folder: Where.
        model: The class that reads it.
        cosine: The least cosine between the encoder's summaries and those of what was written and read back.
        backbone: The class that detectors of that library take it as; None where they take none like it.
    """

    folder: Path
    model: str
    cosine: float
    backbone: str | None = None


class Encoder(nn.Module, ABC):
    """Base of the three kinds of encoder.

    Keyword-only parameters of ``__init__`` are the recipe's options.

    Attributes:
        width: W, the width of ``summary`` and ``tokens``.
        returns_tokens: Whether anybody reads ``Encoded.tokens``. The framework sets it to False when no objective
            needs them, and an encoder may then skip what only they need.
        leading_tokens: How many of the first ``tokens`` stand for no patch or word: 1 where a summary token leads.
        gives_tokens: Whether there are ``Encoded.tokens`` at all; a recipe that needs them is refused where not.
    """

    width: int
    returns_tokens: bool = True
    leading_tokens: int = 0
    gives_tokens: bool = True

    def layer_names(self) -> list[list[str]]:
        """What the encoder is made of, from its input on: its embeddings, then its blocks one by one.

        Each group lists names of submodules and parameters of this module. What is in no group comes after the last
        block. ``freeze: N`` and ``layer_decay`` of a recipe follow this order; by default all is one group, which
        has no blocks.
        """
        own = [name for name, _ in self.named_parameters(recurse=False)]
        return [own + [name for name, _ in self.named_children()]]

    def settled_options(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options that build this encoder again on another machine, where its weights are loaded into it.

        By default they are those that it was built with. An encoder that read a file or fetched something to learn
        its own shape says here what it learned instead.

        Args:
            options: What it was built with.
        """
        return options

    def load_pretrained(self, path: Path) -> Mapping[str, Tensor]:
        """Loads the weights at ``path``, which fit this encoder and nothing else.

        By default these are a tower of a run or of its model folder, or a file of safetensors with this encoder's
        state alone. Override it for what else your encoder can read, and call this for the rest.

        Returns:
            The state of the head that belongs to them, for a head that it fits; empty where there is none.

        Raises:
            StorageError: There are no weights at ``path``.
            RecipeError: They do not fit.
        """
        from vlc_core.model.weights import load_encoder  # here, because it needs the kinds of encoder

        return load_encoder(self, path)

    def export(self, folder: Path, *, to: str, tokenizer: Tokenizer) -> Exported:
        """Writes this encoder for another library and makes sure that it is the same there.

        Override it where your encoder is a model of another library, or can be said as one.

        Args:
            folder: Where to; it must not exist, or be empty.
            to: The library's name.
            tokenizer: What a text encoder was trained with; it goes along.

        Raises:
            RecipeError: It cannot be said in that library, or ``folder`` is not empty.
            StorageError: ``folder`` cannot be written.
        """
        raise RecipeError(f"--to {to}: the encoder {type(self).__name__} cannot be exported")


class ImageEncoder(Encoder):
    """Pixels to vectors.

    Attributes:
        size: The side in pixels of the square image that the encoder expects.
        mean: Per channel, subtracted from pixels in 0…1 before they reach ``forward``.
        std: Per channel, divided by after that.
        vector_width: F, where the encoder takes precomputed vectors in place of pixels; ``size`` says nothing then.
    """

    size: int
    vector_width: int | None = None
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training images
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one item: (3, size, size), or (F,) for a vector."""
        return (3, self.size, self.size) if self.vector_width is None else (self.vector_width,)

    @abstractmethod
    def forward(self, pixels: Tensor) -> Encoded:
        """Encodes normalised ``pixels`` (N, 3, size, size), or vectors (N, F) as they are."""


class Vocabulary(NamedTuple):
    """What a text encoder must know about its tokenizer: how many ids there are, and which are special."""

    size: int
    pad: int
    start: int | None = None
    end: int | None = None
    mask: int | None = None
    unknown: int | None = None


class TextEncoder(Encoder):
    """Tokens to vectors. The first positional parameter of ``__init__`` is the :class:`Vocabulary`.

    Attributes:
        context: The longest text in tokens, special tokens included; longer ones are cut before they come here.
    """

    context: int
    default_tokenizer: ClassVar[str] = "byte-level"

    @classmethod
    def own_tokenizer(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The tokenizer that a recipe means when it names none, written as the recipe would.

        By default ``default_tokenizer``. Override it where weights that ``options`` name go with a tokenizer of theirs.

        Args:
            options: The recipe's, for this encoder.
        """
        return {"use": cls.default_tokenizer}

    @abstractmethod
    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """Encodes ``tokens`` (N, L) int64 under ``mask`` (N, L) bool, L at most ``context``.

        Real tokens come first, padding after them, and padding never changes the result.
        """


class FusionEncoder(Encoder):
    """Text and image tokens to vectors that have seen both.

    The two positional parameters of ``__init__`` are the widths of the text and of the image encoder.
    """

    @abstractmethod
    def forward(self, text: Encoded, image: Encoded) -> Encoded:
        """Fuses N texts with N images; both carry tokens. The result has the text's length and mask."""
