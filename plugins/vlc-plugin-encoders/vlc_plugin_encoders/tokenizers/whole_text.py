"""Whole texts as tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, final

from pydantic import Field

from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.tokenizers.training import SPECIAL_TOKENS, UNKNOWN, train


@final
class WholeTextTokenizer(TokenizerSource):
    """One id per text of the training data, and one for every text that is not among them.

    There are no start and end tokens: a text is exactly one token.
    """

    def __init__(self, *, size: Annotated[int, Field(ge=6)] = 1_000_000, lowercase: bool = True) -> None:
        """Takes the options.

        Args:
            size: The most ids, the five special ones included; the most frequent texts get them.
            lowercase: Whether texts that differ in case only are one.
        """
        self.size, self.lowercase = size, lowercase

    def make(self, captions: Callable[[], Iterable[str]]) -> Tokenizer:
        """Lists the texts of ``captions()``; white space around and within them does not tell them apart."""
        from tokenizers import Regex, models, normalizers, trainers
        from tokenizers import Tokenizer as Backend

        backend = Backend(models.WordLevel(unk_token=UNKNOWN))
        steps = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        backend.normalizer = normalizers.Sequence([*steps, *([normalizers.Lowercase()] if self.lowercase else [])])
        trainer = trainers.WordLevelTrainer(
            vocab_size=self.size, special_tokens=list(SPECIAL_TOKENS), show_progress=False
        )
        return train(backend, trainer, captions, around=False)
