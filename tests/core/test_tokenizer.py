"""The tokenizer that wraps a backend: padding, truncation, odd texts, saving, processes."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tokenizers
import torch
from tokenizers import models, pre_tokenizers

from vlc_core.errors import DataError, RecipeError, StorageError
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.tokenizer import MAX_CHARACTERS, Tokenizer, all_threads

WORDS = ["<pad>", "<start>", "<end>", "<mask>", "<unknown>", "a", "dog", "runs", "<", ">", "pad", "end"]
VOCABULARY = Vocabulary(len(WORDS), pad=0, start=1, end=2, mask=3, unknown=4)


def _backend() -> tokenizers.Tokenizer:
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.add_special_tokens(WORDS[:5])
    return backend


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer(_backend(), VOCABULARY)


def test_pads_to_the_longest_text_of_the_call(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(["a dog runs", "a", ""], context=10)
    assert tokens.ids.tolist() == [[1, 5, 6, 7, 2], [1, 5, 2, 0, 0], [1, 2, 0, 0, 0]]
    assert tokens.mask.tolist() == [[True] * 5, [True] * 3 + [False] * 2, [True] * 2 + [False] * 3]
    assert (tokens.ids.dtype, tokens.mask.dtype, tokens.truncated) == (torch.int64, torch.bool, 0)


def test_truncation_keeps_start_and_end_and_is_counted(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(["a dog runs a dog", "a dog", "a dog runs"], context=4)
    assert tokens.ids.tolist() == [[1, 5, 6, 2], [1, 5, 6, 2], [1, 5, 6, 2]]
    assert tokens.truncated == 2


def test_a_text_that_just_fits_is_not_truncated(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(["a dog runs"], context=5).truncated == 0


def test_a_context_without_room_is_refused(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(["a dog"], context=3).ids.tolist() == [[1, 5, 2]]
    with pytest.raises(RecipeError, match="at least 3"):
        tokenizer.encode(["a"], context=2)


def test_names_of_special_tokens_in_a_text_are_plain_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(["<pad> <end>"], context=20).ids.tolist() == [[1, 8, 10, 9, 8, 11, 9, 2]]


def test_without_start_and_end_an_empty_text_is_one_unknown_token() -> None:
    tokenizer = Tokenizer(_backend(), Vocabulary(len(WORDS), pad=0, unknown=4))
    tokens = tokenizer.encode(["", "a dog"], context=8)
    assert tokens.ids.tolist() == [[4, 0], [5, 6]]
    assert tokens.mask.tolist() == [[True, False], [True, True]]


def test_no_texts_give_no_rows(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode([], context=8).ids.shape == (0, 1)


def test_the_backends_own_padding_truncation_and_template_are_not_used() -> None:
    backend = _backend()
    backend.enable_padding(length=30)
    backend.enable_truncation(2)
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="<mask> $A", special_tokens=[("<mask>", 3)]
    )
    assert Tokenizer(backend, VOCABULARY).encode(["a dog runs"], context=9).ids.tolist() == [[1, 5, 6, 7, 2]]


def test_lone_surrogates_become_unknown_and_emoji_stay_whole(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(["a \ud800 dog", "\U0001f600", "nul \x00", "\u202edog"], context=9)
    assert tokens.ids[0].tolist() == [1, 5, 4, 6, 2]
    assert int(tokens.ids.max()) < VOCABULARY.size


def test_a_huge_text_is_cut_before_it_is_looked_at(tokenizer: Tokenizer) -> None:
    book = "dog " * 12_500_000
    start = time.perf_counter()
    tokens = tokenizer.encode([book, "\ud800" + book], context=16)
    assert time.perf_counter() - start < 1
    assert tokens.truncated == 2
    assert tokens.ids.shape == (2, 16)


def test_a_text_cut_by_characters_counts_even_where_its_tokens_fit(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(["a" + " " * MAX_CHARACTERS + "dog"], context=16).truncated == 1


def test_decode_leaves_out_special_tokens(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(["a dog runs", "a"], context=8).ids
    assert tokenizer.decode(ids[1].tolist()) == "a"
    assert tokenizer.decode(ids[0].tolist()) == "a dog runs"
    assert tokenizer.token(6) == "dog"
    assert tokenizer.token(len(WORDS)) is None


def test_saved_and_loaded_it_encodes_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "new" / "folder")
    loaded = Tokenizer.load(tmp_path / "new" / "folder")
    texts = ["a <pad> dog", "cat", ""]
    assert loaded.vocabulary == tokenizer.vocabulary
    assert torch.equal(loaded.encode(texts, 9).ids, tokenizer.encode(texts, 9).ids)


def test_pickled_it_encodes_the_same(tokenizer: Tokenizer) -> None:
    other = pickle.loads(pickle.dumps(tokenizer))
    texts = ["a <pad> dog", "cat", ""]
    assert other.vocabulary == tokenizer.vocabulary
    assert torch.equal(other.encode(texts, 9).ids, tokenizer.encode(texts, 9).ids)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"size": 3}', '{"size": 3, "pad": 0, "colour": 1}'])
def test_a_broken_table_of_special_ids_is_said(tokenizer: Tokenizer, tmp_path: Path, content: str) -> None:
    tokenizer.save(tmp_path)
    (tmp_path / "special_ids.json").write_text(content)
    with pytest.raises(DataError, match=r"special_ids\.json"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("changed", [{"size": 4}, {"pad": 99}, {"end": -1}])
def test_special_ids_that_do_not_fit_are_refused(tokenizer: Tokenizer, tmp_path: Path, changed: dict[str, int]) -> None:
    tokenizer.save(tmp_path)
    path = tmp_path / "special_ids.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(DataError):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"{}", b'{"model": 1}'])
def test_a_file_that_is_no_tokenizer_is_said(tokenizer: Tokenizer, tmp_path: Path, content: bytes) -> None:
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(DataError, match=r"tokenizer\.json is not a tokenizer"):
        Tokenizer.load(tmp_path)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no tokenizer at"):
        Tokenizer.load(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_written_is_said(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write the tokenizer"):
        tokenizer.save(tmp_path / "file")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_worker_encodes_the_same(tokenizer: Tokenizer, capfd: pytest.CaptureFixture[str]) -> None:
    texts = ["a dog runs"] * 50
    with all_threads():
        tokenizer.encode(texts, 9)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        rows = pool.apply_async(_encode, (tokenizer, texts)).get(timeout=60)
    assert rows == _encode(tokenizer, texts)
    assert "parallelism" not in capfd.readouterr().err


def test_a_new_process_encodes_the_same(tokenizer: Tokenizer) -> None:
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).encode(['a <pad> dog'], 9).ids.tolist())"
    child = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(tokenizer), capture_output=True, check=True
    )
    assert json.loads(child.stdout) == _encode(tokenizer, ["a <pad> dog"])


def _encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    rows: list[list[int]] = tokenizer.encode(texts, 9).ids.tolist()
    return rows


def test_threads_share_one_tokenizer(tokenizer: Tokenizer) -> None:
    texts = [["a dog", "runs"][: 1 + n % 2] for n in range(64)]
    alone = [tokenizer.encode(t, 9).ids.tolist() for t in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda t: tokenizer.encode(t, 9).ids.tolist(), texts))
    assert together == alone
