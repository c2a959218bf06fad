"""Text to token ids, and the folder that a run keeps its tokenizer in.

Shapes: N texts, L tokens of the longest text of a call.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import tokenizers
import torch
from torch import Tensor

from vlc_core.errors import DataError, RecipeError, StorageError
from vlc_core.interfaces.encoder import Vocabulary

MAX_CHARACTERS = 10_000
"""A text is cut here before anything else looks at it: a stray book costs milliseconds, not minutes."""

BACKEND_FILE = "tokenizer.json"
VOCABULARY_FILE = "special_ids.json"
_SURROGATE = re.compile("[\ud800-\udfff]")

# The library's own threads do not survive a fork, and loader workers are forked: one thread unless told
# otherwise.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class Tokens(NamedTuple):
    """Encoded texts.

    Attributes:
        ids: (N, L) int64, padded to the longest text of the call, at least one column wide.
        mask: (N, L) bool, true at real tokens, which come first; every row has at least one.
        truncated: How many texts were cut.
    """

    ids: Tensor
    mask: Tensor
    truncated: int


@final
class Tokenizer:
    """A tokenizer of the ``tokenizers`` library with the special ids that encoders ask for.

    Start and end tokens are put around each text where the vocabulary has them, also around one that is cut.
    The names of special tokens inside a text are read as plain text. Instances may be pickled and used from
    threads.
    """

    def __init__(self, backend: tokenizers.Tokenizer, vocabulary: Vocabulary) -> None:
        """Takes a ``backend``, whose own padding and truncation are switched off, and its special ids."""
        _check_ids(vocabulary, backend.get_vocab_size())
        backend.no_padding()
        backend.no_truncation()
        backend.encode_special_tokens = True
        self._backend = backend
        self._vocabulary = vocabulary

    @property
    def vocabulary(self) -> Vocabulary:
        """How many ids there are, and which are special."""
        return self._vocabulary

    def encode(self, texts: Sequence[str], context: int) -> Tokens:
        """Encodes ``texts``, each cut to ``context`` tokens with its start and end tokens among them.

        Raises:
            RecipeError: ``context`` has no room for one word between the start and the end token.
        """
        before, after = self._around()
        room = context - len(before) - len(after)
        if room < 1:
            raise RecipeError(
                f"A context of {context} tokens has no room for a word beside the start and end tokens; "
                f"set the text encoder's context to at least {context - room + 1}."
            )
        encodings = self._backend.encode_batch_fast([clean(text) for text in texts], add_special_tokens=False)
        rows = [encoding.ids for encoding in encodings]
        cut = sum(len(row) > room or len(text) > MAX_CHARACTERS for row, text in zip(rows, texts, strict=True))
        return self._pad([before + row[:room] + after for row in rows], truncated=cut)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids`` without special tokens; case and white space may have been lost."""
        special = set(self._vocabulary[1:])
        plain = [number for number in ids if number not in special]
        return str(self._backend.decode(plain, skip_special_tokens=False)).strip()

    def token(self, number: int) -> str | None:
        """The piece of text behind id ``number``, as the tokenizer writes it; None beyond its table."""
        piece: str | None = self._backend.id_to_token(number)
        return piece

    def to_json(self) -> str:
        """The content of its ``tokenizer.json``."""
        return str(self._backend.to_str())

    def save(self, folder: str | Path) -> None:
        """Writes ``tokenizer.json`` and ``special_ids.json`` into ``folder``, which is made if need be.

        Raises:
            StorageError: The folder cannot be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / BACKEND_FILE).write_text(self._backend.to_str(), encoding="utf-8")
            (folder / VOCABULARY_FILE).write_text(json.dumps(self._vocabulary._asdict(), indent=1) + "\n")
        except OSError as error:
            raise StorageError(
                f"Cannot write the tokenizer into {folder}: {error}; free space or choose another folder."
            ) from error

    @classmethod
    def load(cls, folder: str | Path) -> Tokenizer:
        """Reads what :meth:`save` wrote.

        Raises:
            DataError: A file is missing or is not what it should be.
        """
        folder = Path(folder)
        backend = read_backend(folder / BACKEND_FILE)
        try:
            ids = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
            vocabulary = Vocabulary(**ids)
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{folder / VOCABULARY_FILE} does not tell the special ids of a tokenizer ({error}); "
                "name a folder that holds the tokenizer of a run."
            ) from error
        return cls(backend, vocabulary)

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self._backend.to_str(), tuple(self._vocabulary))

    def _around(self) -> tuple[list[int], list[int]]:
        start, end = self._vocabulary.start, self._vocabulary.end
        return ([] if start is None else [start]), ([] if end is None else [end])

    def _pad(self, rows: list[list[int]], *, truncated: int) -> Tokens:
        pad, unknown = self._vocabulary.pad, self._vocabulary.unknown
        # An empty text with neither start nor end still has to be something that an encoder can pool.
        empty = [pad if unknown is None else unknown]
        rows = [row or empty for row in rows]
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        mask_NL = np.arange(lengths.max(initial=1)) < lengths[:, None]
        ids_NL = np.full(mask_NL.shape, pad, dtype=np.int64)
        ids_NL[mask_NL] = np.fromiter((i for row in rows for i in row), dtype=np.int64, count=int(lengths.sum()))
        return Tokens(torch.from_numpy(ids_NL), torch.from_numpy(mask_NL), truncated)


def clean(text: str) -> str:
    """``text`` cut at ``MAX_CHARACTERS``, with lone surrogates, which UTF-8 cannot hold, as U+FFFD."""
    text = text[:MAX_CHARACTERS]
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def read_backend(path: Path) -> tokenizers.Tokenizer:
    """A ``tokenizer.json`` of the ``tokenizers`` library.

    Raises:
        DataError: There is no such file, or it is something else.
    """
    if not path.is_file():
        raise DataError(f"There is no tokenizer at {path}; name a tokenizer.json or a folder that holds one.")
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for every malformed file
        raise DataError(f"{path} is not a tokenizer of the tokenizers library: {error}.") from error


@contextmanager
def all_threads() -> Iterator[None]:
    """Lets the tokenizers library use all cores inside; outside it is back to one, which is safe to fork."""
    before = os.environ.get("TOKENIZERS_PARALLELISM", "false")
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    try:
        yield
    finally:
        os.environ["TOKENIZERS_PARALLELISM"] = before


def _restore(backend: str, vocabulary: tuple[int, ...]) -> Tokenizer:
    return Tokenizer(tokenizers.Tokenizer.from_str(backend), Vocabulary(*vocabulary))


def _check_ids(vocabulary: Vocabulary, size: int) -> None:
    if vocabulary.size < size:
        raise DataError(f"The tokenizer has {size} ids but its vocabulary says {vocabulary.size}; save it again.")
    for name, number in vocabulary._asdict().items():
        if name != "size" and number is not None and not 0 <= number < vocabulary.size:
            raise DataError(f"The tokenizer's {name} id {number} lies outside its {vocabulary.size} ids.")
