"""CLIP's byte-pair tokenizer of 49,408 pieces, from either of the two forms that it is handed around in.

Texts are lower-cased and their white space is collapsed; a piece that ends a word carries ``</w>``. The
released tokenizer also repairs mojibake and HTML entities first; captions that need that should be cleaned
beforehand.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from vlc_core.errors import DataError

START, END = "<|startoftext|>", "<|endoftext|>"
END_OF_WORD = "</w>"
RELEASED_MERGES = 49_152 - 256 - 2
"""The released list of merges is longer than what the model was trained with; the rest is not used."""

WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def from_released(path: Path) -> tokenizers.Tokenizer:
    """The tokenizer of ``bpe_simple_vocab_16e6.txt.gz``, packed or not.

    Raises:
        DataError: The file is missing or is not such a list of merges.
    """
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as lines:
            content = lines.read().split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(
            f"Cannot read CLIP's merges from {path}: {error}; name bpe_simple_vocab_16e6.txt.gz."
        ) from error
    merges = _pairs(content[1 : RELEASED_MERGES + 1], path)
    single = byte_characters()
    pieces = [*single, *(piece + END_OF_WORD for piece in single), *(a + b for a, b in merges), START, END]
    return assemble({piece: number for number, piece in enumerate(pieces)}, merges)


def from_folder(folder: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a folder with ``vocab.json`` and ``merges.txt``.

    Raises:
        DataError: A file is missing or malformed.
    """
    try:
        vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read a vocab.json and a merges.txt in {folder}: {error}.") from error
    if not isinstance(vocabulary, dict) or not {START, END} <= vocabulary.keys():
        raise DataError(
            f"{folder / 'vocab.json'} lacks {START} and {END}, so it is not CLIP's; name its tokenizer.json."
        )
    return assemble(vocabulary, _pairs([line for line in lines if not line.startswith("#version")], folder))


def assemble(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> tokenizers.Tokenizer:
    """Byte pairs as CLIP applies them: words are split off, and the last byte of each carries ``</w>``."""
    model = models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix=END_OF_WORD)
    backend = tokenizers.Tokenizer(model)
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
    words = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    backend.decoder = decoders.Sequence([decoders.Replace(END_OF_WORD, " "), decoders.ByteLevel()])
    return backend


def byte_characters() -> list[str]:
    """One printable character per byte, in the order in which byte-level vocabularies list them."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = 256 - len(printable)
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(others)]


def _pairs(lines: list[str], path: Path) -> list[tuple[str, str]]:
    pairs = [tuple(line.split()) for line in lines if line.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise DataError(
            f"{path} does not hold merges, two pieces a line; name the file that CLIP's tokenizer came with."
        )
    return [(pair[0], pair[1]) for pair in pairs]
