"""What tokenizers trained on captions have in common: special tokens at fixed ids, and cleaned texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import tokenizers

from vlc_core.errors import DataError
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.tokenizer import Tokenizer, all_threads, clean

SPECIAL_TOKENS = ("<pad>", "<start>", "<end>", "<mask>", "<unknown>")
"""Ids 0 to 4 of every tokenizer trained here, in this order."""

UNKNOWN = SPECIAL_TOKENS[4]


def train(
    backend: tokenizers.Tokenizer,
    trainer: tokenizers.trainers.Trainer,
    captions: Callable[[], Iterable[str]],
    *,
    around: bool = True,
) -> Tokenizer:
    """Trains ``backend`` on ``captions()`` and gives it the special ids.

    Args:
        backend: A tokenizer that knows nothing yet.
        trainer: The way to learn.
        captions: Walks over the texts.
        around: Whether a text gets a start and an end token.

    Raises:
        DataError: There is no text to learn from.
    """
    seen = _Seen()
    with all_threads():
        backend.train_from_iterator(seen.walk(captions()), trainer)
    if not seen.any:
        raise DataError("The training data has no text to make a tokenizer from; name a tokenizer file instead.")
    pad, start, end, mask, unknown = range(len(SPECIAL_TOKENS))
    vocabulary = Vocabulary(backend.get_vocab_size(), pad, start=start, end=end, mask=mask, unknown=unknown)
    return Tokenizer(backend, vocabulary if around else vocabulary._replace(start=None, end=None))


class _Seen:
    """Whether an iteration met anything but white space."""

    def __init__(self) -> None:
        self.any = False

    def walk(self, captions: Iterable[str]) -> Iterator[str]:
        for caption in captions:
            self.any = self.any or caption.strip() != ""
            yield clean(caption)
