"""Unigram language model pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Annotated, final

from pydantic import Field
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from vlc_core.errors import RecipeError, VlcError
from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.tokenizers.training import SPECIAL_TOKENS, UNKNOWN, train

STEP = 1e-4  # between the scores of characters that the trainer adds
AM = (("\u0e4d", "\u0e32", "\u0e33"), ("\u0ecd", "\u0eb2", "\u0eb3"))
DIGITS = 4  # of a score: far above the noise of a sum in another order, far below what decides a split

Piece = tuple[str, float]


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
        """Learns the pieces from ``captions()``.

        Raises:
            RecipeError: There are more characters than ``size`` has room for.
        """
        backend = Backend(models.Unigram())
        # NFKC takes the Thai and Lao vowel AM apart, which no keyboard writes so and nobody expects back.
        whole = [normalizers.Replace(f"{mark}{vowel}", am) for mark, vowel, am in AM]
        steps = [normalizers.NFKC(), *whole, *([normalizers.Lowercase()] if self.lowercase else [])]
        backend.normalizer = normalizers.Sequence(steps)
        # Punctuation on its own keeps the names of special tokens, <pad> and the like, from matching inside a
        # text.
        split = [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
        backend.pre_tokenizer = pre_tokenizers.Sequence(split)
        backend.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=self.size, special_tokens=list(SPECIAL_TOKENS), unk_token=UNKNOWN, show_progress=False
        )
        try:
            trained = train(backend, trainer, captions)
        except VlcError:
            raise
        except Exception as error:  # the library raises bare Exception
            if "not large enough" not in str(error):
                raise
            raise RecipeError(
                f"The captions have more different characters than the {self.size:,} ids of size; set a larger size."
            ) from error
        backend = settled(trained.to_json(), self.size)
        return Tokenizer(backend, trained.vocabulary._replace(size=backend.get_vocab_size()))


def settled(trained: str, size: int) -> Backend:
    """The tokenizer of a ``tokenizer.json`` with its pieces in an order and with scores that depend on the data alone.

    The library's trainer walks over hash tables whose order differs from process to process. The pieces that it finds
    come out the same, but their scores differ in the last digits, pieces of equal score change places, and characters
    that it must add to spell every word get the lowest score plus 0.0001 times their place in such a walk.

    Where it found more than ``size``, the least probable pieces of several characters are left out.

    Raises:
        RecipeError: The single characters alone are more.
    """
    table = json.loads(trained)
    special, pieces = (table["model"]["vocab"][part] for part in (slice(0, 5), slice(5, None)))
    lowest = min((score for _, score in pieces), default=0.0)
    window = STEP * sum(len(piece) == 1 for piece, _ in pieces)
    added = {piece for piece, score in pieces if len(piece) == 1 and score < lowest + window}
    scored = [(piece, round(lowest if piece in added else score, DIGITS)) for piece, score in pieces]
    table["model"]["vocab"] = special + _fitting(
        sorted(scored, key=lambda entry: (-entry[1], entry[0])), size - len(special)
    )
    return Backend.from_str(json.dumps(table))


def _fitting(pieces: list[Piece], room: int) -> list[Piece]:
    """``pieces``, the most probable first, without as many of the last long ones as there is no room for."""
    single = sum(len(piece) == 1 for piece, _ in pieces)
    if single > room:
        least = single + len(SPECIAL_TOKENS)
        raise RecipeError(f"The captions have {single:,} different characters; set size to {least:,} or more.")
    left = room - single
    kept = []
    for piece in pieces:
        left -= len(piece[0]) > 1
        if len(piece[0]) == 1 or left >= 0:
            kept.append(piece)
    return kept
