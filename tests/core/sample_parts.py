"""Components of every kind, small enough to read at a glance; tests register them under their own plugins."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from vlc_core import (
    Component,
    Dataset,
    Encoded,
    Evaluation,
    Evaluator,
    FusionEncoder,
    ImageEncoder,
    ModelInfo,
    Objective,
    PathLike,
    Sample,
    Sampler,
    Step,
    Term,
    TextEncoder,
    Tokenizer,
    TokenizerSource,
    Transform,
    Vocabulary,
)
from vlc_core.interfaces.sampler import Int64Array, Source
from vlc_core.loading.picture import Picture

Location = Annotated[str, PathLike()]


class Pool(enum.Enum):
    """How tokens become one vector."""

    CLASS = "class"
    MEAN = "mean"


class Eye(ImageEncoder):
    """Sees.

    Args:
        size: The side of the image
            in pixels.
        pool (Pool): How tokens become one.
        act: The activation.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Field(gt=0)] = 8,
        pool: Pool = Pool.MEAN,
        act: Literal["relu", "gelu"] = "gelu",
        drop: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        spread: tuple[float, float] = (0.5, 1.0),
        bias: bool = True,
        depth: int | None = None,
    ) -> None:
        super().__init__()
        if size % 2:
            raise ValueError(f"size {size} is odd")
        self.size, self.width = size, 4
        self.seen: dict[str, Any] = {
            "pool": pool,
            "act": act,
            "drop": drop,
            "spread": spread,
            "bias": bias,
            "depth": depth,
        }
        self.proj = nn.Linear(3, 4)

    def forward(self, pixels: Tensor) -> Encoded:
        return Encoded(self.proj(pixels.mean((2, 3))))


class Reader(TextEncoder):
    """Reads."""

    def __init__(self, vocabulary: Vocabulary, *, width: int = 4, context: int = 8) -> None:
        super().__init__()
        self.width, self.context, self.vocabulary = width, context, vocabulary

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        return Encoded(torch.zeros(len(tokens), self.width))


class Fuse(FusionEncoder):
    """Fuses."""

    def __init__(self, text_width: int, image_width: int, *, depth: int = 1) -> None:
        super().__init__()
        self.width, self.depth = text_width, depth

    def forward(self, text: Encoded, image: Encoded) -> Encoded:
        return text


class Words(TokenizerSource):
    """Tokenizes; its options come partly from its parent."""

    def __init__(self, *, lower: bool = True) -> None:
        self.lower = lower

    def make(self, captions: Any) -> Tokenizer:
        raise NotImplementedError


class FancyWords(Words):
    """Tokenizes with more options."""

    def __init__(self, *, size: int = 100, **options: Any) -> None:
        super().__init__(**options)
        self.size = size


class Pull(Objective):
    """Pulls."""

    def __init__(self, model: ModelInfo, *, alpha: float = 0.4, **_: Any) -> None:
        super().__init__(model)
        self.alpha = alpha

    def forward(self, step: Step) -> Mapping[str, Term]:
        return {}


class Greedy(Objective):
    """Takes an option that the recipe reads itself."""

    def __init__(self, model: ModelInfo, *, weight: float = 1.0) -> None:
        super().__init__(model)

    def forward(self, step: Step) -> Mapping[str, Term]:
        return {}


class Files(Dataset):
    """Reads files.

    Args:
        path: Where they are.
        more: Where more are.
    """

    def __init__(
        self,
        *,
        path: Location,
        more: list[Location] | None = None,
        token: str = "",
        retries: int = 0,
        parts: dict[str, Location] | None = None,
    ) -> None:
        self.path, self.more, self.token, self.retries, self.parts = path, more, token, retries, parts

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return Sample(Image.new("RGB", (2, 2)))


class Joined(Dataset):
    """Several datasets as one."""

    def __init__(
        self,
        *,
        of: list[Annotated[Dataset, Component("dataset")]],
        also: Annotated[Dataset, Component("dataset")] | None = None,
    ) -> None:
        self.of, self.also = of, also

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return self.of[0][index]


class Shuffle(Sampler):
    """Shuffles."""

    def __init__(self, sources: Sequence[Source], seed: int, *, by: int = 1) -> None:
        super().__init__(sources, seed)

    def draw(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        return numbers, numbers


class Crop(Transform):
    """Crops."""

    def __init__(self, *, scale: tuple[float, float] = (0.5, 1.0)) -> None:
        self.scale = scale

    def __call__(self, picture: Picture, size: int, rng: np.random.Generator) -> Any:
        return np.zeros((size, size, 3), np.uint8)


class Probe(Evaluator):
    """Measures."""

    def __init__(
        self,
        *,
        data: Annotated[Dataset, Component("dataset")],
        prompts: Annotated[Sequence[str], Component("prompts")] = ("{}",),
        cache: Annotated[Path, PathLike()] | None = None,
    ) -> None:
        self.data, self.prompts, self.cache = data, prompts, cache

    def evaluate(self, model: Any) -> Evaluation:
        return Evaluation({})


class Unfinished(Objective):
    """Has no forward."""


class Unwritable(Dataset):
    """Has an option that no recipe can write."""

    def __init__(self, *, layer: nn.Linear) -> None:
        self.layer = layer

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Sample:
        raise IndexError


class NotAComponent:
    """Derives from nothing."""


def function() -> None:
    """Is no class."""
