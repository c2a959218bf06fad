"""Unigram language model pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, final

from pydantic import Field

from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.tokenizers.training import SPECIAL_TOKENS, UNKNOWN, train


@final
class UnigramTokenizer(TokenizerSource):
    """Pieces of words, chosen so that the training captions are most probable; kind to many languages at
    once.

    Source: Kudo, ACL 2018; SentencePiece, EMNLP 2018.
    """

    def __init__(self, *, size: Annotated[int, Field(ge=16)] = 32_000, lowercase: bool = True) -> None:
        """Takes the options.

        Args:
            size: The most ids, the five special ones included.
            lowercase: Whether case is dropped.
        """
        self.size, self.lowercase = size, lowercase

    def make(self, captions: Callable[[], Iterable[str]]) -> Tokenizer:
        """Learns the pieces from ``captions()``."""
        from tokenizers import Tokenizer as Backend
        from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

        backend = Backend(models.Unigram())
        steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if self.lowercase else [])]
        backend.normalizer = normalizers.Sequence(steps)
        # Punctuation on its own keeps the names of special tokens, <pad> and the like, from matching inside a
        # text.
        split = [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
        backend.pre_tokenizer = pre_tokenizers.Sequence(split)
        backend.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=self.size, special_tokens=list(SPECIAL_TOKENS), unk_token=UNKNOWN, show_progress=False
        )
        return train(backend, trainer, captions)
