"""Byte-pair encoding of characters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, final

from pydantic import Field

from vlc_core.errors import RecipeError
from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.tokenizers.training import SPECIAL_TOKENS, UNKNOWN, train


@final
class BytePairTokenizer(TokenizerSource):
    """Pieces of words, merged from characters by frequency in the training captions.

    A character that the captions do not hold is unknown; ``byte-level`` can spell every text.

    Source: Sennrich et al., ACL 2016.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Field(ge=16)] = 32_000,
        min_count: Annotated[int, Field(ge=1)] = 2,
        lowercase: bool = True,
    ) -> None:
        """Takes the options.

        Args:
            size: The most ids: five special ones, the characters, and merges.
            min_count: How often a pair must occur to be merged.
            lowercase: Whether case is dropped.
        """
        self.size, self.min_count, self.lowercase = size, min_count, lowercase

    def make(self, captions: Callable[[], Iterable[str]]) -> Tokenizer:
        """Learns the merges from ``captions()``.

        Raises:
            RecipeError: There are more characters than ``size`` has room for.
        """
        from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
        from tokenizers import Tokenizer as Backend

        backend = Backend(models.BPE(unk_token=UNKNOWN))
        steps = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
        backend.normalizer = normalizers.Sequence([*steps, *([normalizers.Lowercase()] if self.lowercase else [])])
        # Words begin with a mark. A suffix at their end would make new pieces in the order of a hash table, which
        # decides between merges of equal count and differs from process to process.
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
        backend.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(
            vocab_size=self.size,
            min_frequency=self.min_count,
            special_tokens=list(SPECIAL_TOKENS),
            show_progress=False,
        )
        made = train(backend, trainer, captions)
        if made.vocabulary.size > self.size:
            raise RecipeError(
                f"The characters of the captions alone take {made.vocabulary.size:,} ids and size is {self.size:,}; "
                "set a larger size, or use byte-level, which needs no more than 261."
            )
        return made
