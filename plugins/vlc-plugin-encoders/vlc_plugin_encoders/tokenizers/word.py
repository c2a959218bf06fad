"""Words as tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, final

from pydantic import Field

from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.tokenizers.training import SPECIAL_TOKENS, UNKNOWN, train


@final
class WordTokenizer(TokenizerSource):
    """One id per word or punctuation mark of the training captions; good for small, closed vocabularies."""

    def __init__(
        self,
        *,
        size: Annotated[int, Field(ge=6)] = 30_000,
        min_count: Annotated[int, Field(ge=1)] = 1,
        lowercase: bool = True,
    ) -> None:
        """Takes the options.

        Args:
            size: The most ids, the five special ones included; the most frequent words get them.
            min_count: How often a word must occur to get an id.
            lowercase: Whether case is dropped.
        """
        self.size, self.min_count, self.lowercase = size, min_count, lowercase

    def make(self, captions: Callable[[], Iterable[str]]) -> Tokenizer:
        """Counts the words of ``captions()``."""
        from tokenizers import Tokenizer as Backend
        from tokenizers import models, normalizers, pre_tokenizers, trainers

        backend = Backend(models.WordLevel(unk_token=UNKNOWN))
        steps = [normalizers.NFC(), *([normalizers.Lowercase()] if self.lowercase else [])]
        backend.normalizer = normalizers.Sequence(steps)
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(
            vocab_size=self.size,
            min_frequency=self.min_count,
            special_tokens=list(SPECIAL_TOKENS),
            show_progress=False,
        )
        return train(backend, trainer, captions)
