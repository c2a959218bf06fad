"""Where a run's tokenizer comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar

from vlc_core.tokenizer import Tokenizer


class TokenizerSource(ABC):
    """Makes the tokenizer of a run: trained on its captions, read from a file, taken from a model folder.

    Keyword-only parameters of ``__init__`` are the recipe's options.

    Attributes:
        learns: Whether it learns from captions; ``vlc tokenizer train`` offers those that do.
    """

    learns: ClassVar[bool] = True

    @abstractmethod
    def make(self, captions: Callable[[], Iterable[str]]) -> Tokenizer:
        """The tokenizer. ``captions()`` walks over the run's training texts; a source that reads a file ignores it.

        Raises:
            DataError: A file that is not there, or that is not a tokenizer.
        """
