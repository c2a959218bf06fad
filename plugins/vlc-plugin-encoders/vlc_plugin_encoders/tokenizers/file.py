"""Tokenizers from files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, ClassVar, final

import tokenizers

from vlc_core.errors import DataError
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.options import PathLike
from vlc_core.tokenizer import BACKEND_FILE, VOCABULARY_FILE, Tokenizer, read_backend
from vlc_plugin_encoders.tokenizers import clip

log = logging.getLogger("vlc")

# What the special tokens are called in the tokenizers that people have, the most telling names first.
CUSTOMARY = {
    "pad": ("<pad>", "[PAD]", "<|pad|>", "<|padding|>"),
    "start": ("<start>", "<|startoftext|>", "[CLS]", "<s>", "<bos>", "<cls>"),
    "end": ("<end>", "<|endoftext|>", "[SEP]", "</s>", "<eos>", "<sep>"),
    "mask": ("<mask>", "[MASK]"),
    "unknown": ("<unknown>", "[UNK]", "<unk>"),
}


@final
class FileTokenizer(TokenizerSource):
    """A tokenizer that exists already.

    ``path`` is one of: a folder that holds the tokenizer of a run; a ``tokenizer.json`` of the tokenizers
    library or a folder with one; CLIP's ``vocab.json`` and ``merges.txt``, by their folder; its
    ``bpe_simple_vocab_16e6.txt.gz``, packed or not.
    """

    learns: ClassVar[bool] = False

    def __init__(
        self,
        *,
        path: Annotated[str, PathLike()],
        pad: str | None = None,
        start: str | None = None,
        end: str | None = None,
        mask: str | None = None,
        unknown: str | None = None,
    ) -> None:
        """Takes the options.

        Args:
            path: The file or folder.
            pad: Name of the padding token in it; customary names are found without this.
            start: Name of the token before each text.
            end: Name of the token after each text.
            mask: Name of the token that stands for a hidden one.
            unknown: Name of the token for what the tokenizer does not know.
        """
        self.path = Path(path)
        self.names = {"pad": pad, "start": start, "end": end, "mask": mask, "unknown": unknown}

    def make(self, captions: Callable[[], Iterable[str]]) -> Tokenizer:
        """Reads the file; the captions are not looked at.

        Raises:
            DataError: There is no such file, it is no tokenizer, or it lacks a token that an option names.
        """
        path = self.path
        if (path / VOCABULARY_FILE).is_file():
            return Tokenizer.load(path)
        if path.suffix in (".gz", ".txt"):
            return self._wrap(clip.from_released(path))
        if path.is_dir() and not (path / BACKEND_FILE).is_file() and (path / "merges.txt").is_file():
            return self._wrap(clip.from_folder(path))
        return self._wrap(read_backend(path / BACKEND_FILE if path.is_dir() else path))

    def _wrap(self, backend: tokenizers.Tokenizer) -> Tokenizer:
        found = {role: self._find(backend, role) for role in self.names}
        if found["end"] is None:
            log.warning(
                "the tokenizer %s has no end token under a customary name, so texts end in their last word: name it, "
                "as in end: </s>, if there is one",
                self.path,
            )
        return wrap(backend, found)

    def _find(self, backend: tokenizers.Tokenizer, role: str) -> int | None:
        name = self.names[role]
        if name is None:
            found = (backend.token_to_id(known) for known in CUSTOMARY[role])
            return next((number for number in found if number is not None), None)
        number: int | None = backend.token_to_id(name)
        if number is None:
            raise DataError(f"The tokenizer {self.path} has no token {name!r} to use as {role}; name one that it has.")
        return number


def wrap(backend: tokenizers.Tokenizer, ids: dict[str, int | None]) -> Tokenizer:
    """The tokenizer of ``backend`` with the special ``ids`` by their role, ``pad`` among them."""
    size = max(backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    others = {role: number for role, number in ids.items() if role != "pad"}
    # Padding is never looked at: a tokenizer without a token for it, such as CLIP's, pads with its end or with id 0.
    pad = next((number for number in (ids["pad"], ids["end"]) if number is not None), 0)
    return Tokenizer(backend, Vocabulary(size, pad, **others))
