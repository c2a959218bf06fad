"""Byte-level byte-pair encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, final

from pydantic import Field

from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.tokenizers.training import SPECIAL_TOKENS, train

# GPT-2's words, with the marks that scripts such as Thai, Hindi and Arabic write onto letters as parts of them: its own
# pattern ends a word at each. So do joiners, which stand within words of Persian and of Indic scripts.
_LETTER = r"\p{L}\p{M}\x{200C}\x{200D}"
WORDS = rf"'s|'t|'re|'ve|'m|'ll|'d| ?[{_LETTER}]+| ?\p{{N}}+| ?[^\s{_LETTER}\p{{N}}]+|\s+(?!\S)|\s+"


@final
class ByteLevelTokenizer(TokenizerSource):
    """Pieces of bytes, merged by frequency in the training captions: every text of every language and script has an
    encoding. A script without spaces, such as Chinese or Thai, is merged over whole clauses.

    Source: Sennrich et al., ACL 2016; over bytes as in GPT-2 (Radford et al., 2019).
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Field(ge=261)] = 32_000,
        min_count: Annotated[int, Field(ge=1)] = 2,
        lowercase: bool = True,
    ) -> None:
        """Takes the options.

        Args:
            size: The most ids: five special ones, 256 bytes, and merges.
            min_count: How often a pair must occur to be merged.
            lowercase: Whether case is dropped.
        """
        self.size, self.min_count, self.lowercase = size, min_count, lowercase

    def make(self, captions: Callable[[], Iterable[str]]) -> Tokenizer:
        """Learns the merges from ``captions()``."""
        from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
        from tokenizers import Tokenizer as Backend

        backend = Backend(models.BPE())
        steps = [
            normalizers.NFC(),
            *([normalizers.Lowercase()] if self.lowercase else []),
            normalizers.Strip(),
            normalizers.Prepend(" "),  # a word is the same at the start of a text
        ]
        backend.normalizer = normalizers.Sequence(steps)
        words = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
        as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([words, as_bytes])
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.size,
            min_frequency=self.min_count,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        return train(backend, trainer, captions)
