"""Tokenizers from files: customary special tokens, a run's own folder, CLIP's pieces in both their forms."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from vlc_core.errors import DataError
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.tokenizers import clip
from vlc_plugin_encoders.tokenizers.byte_level import ByteLevelTokenizer
from vlc_plugin_encoders.tokenizers.file import FileTokenizer

MERGES = ["t h", "th e</w>", "d o", "do g</w>", "c a", "ca t</w>", "' s</w>", "a n", "an d</w>", "1 2"]
TEXTS = [
    "The  DOG and\nthe cat's",
    "don't 12 123!",
    "caf\u00e9 \U0001f600 ...",
    "",
    "<|endoftext|> the",
    "\u0130stanbul",
]


def captions() -> list[str]:
    raise AssertionError("a tokenizer from a file reads no captions")


def read(path: Path, **names: str) -> Tokenizer:
    return FileTokenizer(path=str(path), **names).make(captions)


def clip_folder(folder: Path) -> Path:
    single = clip.byte_characters()
    merged = ["".join(line.split()) for line in MERGES]
    pieces = [*single, *(piece + "</w>" for piece in single), *merged, clip.START, clip.END]
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n")
    return folder


def test_the_folder_of_a_run_comes_back(tmp_path: Path) -> None:
    made = ByteLevelTokenizer(size=300).make(lambda: ["a dog", "a cat"])
    made.save(tmp_path)
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        found = read(path)
        assert found.vocabulary == made.vocabulary
        assert found.encode(TEXTS, 20).ids.tolist() == made.encode(TEXTS, 20).ids.tolist()


def test_both_forms_of_clips_tokenizer_agree(tmp_path: Path) -> None:
    from_folder = read(clip_folder(tmp_path))
    released = tmp_path / "bpe_simple_vocab_16e6.txt.gz"
    released.write_bytes(gzip.compress("\n".join(["#version", *MERGES, ""]).encode()))
    from_released = read(released)
    assert from_released.vocabulary == from_folder.vocabulary
    assert from_released.encode(TEXTS, 30).ids.tolist() == from_folder.encode(TEXTS, 30).ids.tolist()


def test_clips_start_and_end_are_its_last_ids(tmp_path: Path) -> None:
    vocabulary = read(clip_folder(tmp_path)).vocabulary
    size = 2 * 256 + len(MERGES) + 2
    assert vocabulary == (size, size - 1, size - 2, size - 1, None, None)


def test_a_word_ends_in_its_suffix(tmp_path: Path) -> None:
    tokenizer = read(clip_folder(tmp_path))
    ids = tokenizer.encode(["The DOG"], 9).ids[0].tolist()
    assert [tokenizer.token(i) for i in ids] == [clip.START, "the</w>", "dog</w>", clip.END]
    assert tokenizer.decode(ids) == "the dog"


def test_clips_pieces_are_the_librarys(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    peer = transformers.CLIPTokenizerFast.from_pretrained(clip_folder(tmp_path))
    plain = [text for text in TEXTS if clip.END not in text]
    found = read(tmp_path).encode(plain, 40)
    expected = [peer(text)["input_ids"] for text in plain]
    assert [row[mask].tolist() for row, mask in zip(found.ids, found.mask, strict=True)] == expected


def test_customary_special_tokens_are_found_and_options_win(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers

    words = ["[UNK]", "dog", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "stop"]
    backend = Backend(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path / "bert.json"
    backend.save(str(path))
    assert read(path).vocabulary == (7, 4, 2, 3, 5, 0)
    assert read(path, end="stop").encode(["dog dog"], 9).ids.tolist() == [[2, 1, 1, 6]]
    with pytest.raises(DataError, match="no token 'halt' to use as end"):
        read(path, end="halt")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of merges as long as the released one, which is longer than what is used of it."""
    single = clip.byte_characters()
    pairs = [f"{a} {b}" for a in single for b in single][: 262_144 // 4]
    path = tmp_path_factory.mktemp("clip") / "bpe_simple_vocab_16e6.txt.gz"
    path.write_bytes(gzip.compress("\n".join(['"bpe_simple_vocab_16e6.txt#version: 0.2', *pairs, ""]).encode(), 1))
    return path


def test_a_list_as_long_as_the_released_one_gives_clips_49408_pieces(released: Path) -> None:
    vocabulary = read(released).vocabulary
    assert vocabulary == (49_408, 49_407, 49_406, 49_407, None, None)


def test_all_forms_of_the_49408_pieces_are_one(released: Path, tmp_path: Path) -> None:
    plain, library, folder = tmp_path / "bpe.txt", tmp_path / "tokenizer.json", tmp_path / "folder"
    plain.write_bytes(gzip.decompress(released.read_bytes()))
    made = read(released)
    library.write_text(made.to_json())
    folder.mkdir()
    model = json.loads(made.to_json())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]))
    for path in (plain, library, folder):
        found = read(path)
        assert found.vocabulary == made.vocabulary
        assert found.encode(TEXTS, 30).ids.tolist() == made.encode(TEXTS, 30).ids.tolist()


def test_an_end_token_that_is_not_found_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    path = tmp_path / "odd.json"
    Backend(models.WordLevel({"dog": 0, "halt": 1, "<unk>": 2}, unk_token="<unk>")).save(str(path))
    assert read(path).vocabulary.end is None
    assert "has no end token" in caplog.text
    assert "odd.json" in caplog.text
    caplog.clear()
    assert read(path, end="halt").vocabulary.end == 1
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["tokenizer.json", "x.txt.gz", "x.txt", "folder"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read(tmp_path / name)


def test_plain_merges_that_are_none_are_refused(tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b"one two three\nfour five six\n"):
        (tmp_path / "merges.txt").write_bytes(content)
        with pytest.raises(DataError, match=r"merges\.txt"):
            read(tmp_path / "merges.txt")


NO_MERGES = [b"not gzip", gzip.compress(b"#version\na b c\n"), gzip.compress(b"#version\n")]


@pytest.mark.parametrize("content", NO_MERGES, ids=["text", "three pieces", "none"])
def test_merges_that_are_none_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "merges.txt.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"merges\.txt\.gz"):
        read(path)


def test_a_folder_of_another_byte_pair_tokenizer_is_refused(tmp_path: Path) -> None:
    clip_folder(tmp_path)
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    with pytest.raises(DataError, match=r"lacks <\|startoftext\|>"):
        read(tmp_path)
