"""Tokenizers that are trained on captions: special ids, determinism, odd texts."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_plugin_encoders.tokenizers.bpe import BytePairTokenizer
from vlc_plugin_encoders.tokenizers.byte_level import ByteLevelTokenizer
from vlc_plugin_encoders.tokenizers.unigram import UnigramTokenizer
from vlc_plugin_encoders.tokenizers.word import WordTokenizer

COLOURS, ANIMALS = ("red", "green", "pale blue"), ("dog", "cat", "Murmeltier", "sheep", "αλεπού")
CAPTIONS = [f"A photo of a {c} {a}, sitting." for c in COLOURS for a in ANIMALS]
ODD = [
    "",
    "   ",
    "\n\t",
    "\x00",
    "\ud83d",
    "\U0001f600\u200d",
    "שלום",
    "مرحبا",
    "a" * 300,
    "<pad><end>",
    "é e\u0301",
]

SOURCES = [
    pytest.param(WordTokenizer(), id="word"),
    pytest.param(BytePairTokenizer(size=100), id="bpe"),
    pytest.param(ByteLevelTokenizer(size=320), id="byte-level"),
    pytest.param(UnigramTokenizer(size=60), id="unigram"),
]


@pytest.mark.parametrize("source", SOURCES)
def test_special_tokens_have_the_lowest_ids(source: TokenizerSource) -> None:
    vocabulary = source.make(lambda: CAPTIONS).vocabulary
    assert vocabulary[1:] == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("source", SOURCES)
def test_every_text_gives_ids_within_the_vocabulary(source: TokenizerSource) -> None:
    tokenizer = source.make(lambda: CAPTIONS)
    tokens = tokenizer.encode(CAPTIONS + ODD, 24)
    assert int(tokens.ids.min()) >= 0
    assert int(tokens.ids.max()) < tokenizer.vocabulary.size
    inner = tokens.ids[tokens.mask & (tokens.ids != 1) & (tokens.ids != 2)]
    assert not ((inner == 0) | (inner == 3)).any(), "a text reached the padding or the mask token"


@pytest.mark.parametrize("source", SOURCES)
def test_a_known_text_survives_the_round_trip(source: TokenizerSource) -> None:
    tokenizer = source.make(lambda: CAPTIONS)
    ids = tokenizer.encode(["a photo of a red dog"], 40).ids[0].tolist()
    assert tokenizer.decode(ids) == "a photo of a red dog"


@pytest.mark.parametrize("source", SOURCES)
def test_without_any_text_training_is_refused(source: TokenizerSource) -> None:
    for captions in ([], ["", "  \n"]):
        with pytest.raises(DataError, match="no text"):
            source.make(partial(list[str], captions))


TRAINING = """
import sys
from vlc_plugin_encoders.tokenizers.bpe import BytePairTokenizer
from vlc_plugin_encoders.tokenizers.byte_level import ByteLevelTokenizer
from vlc_plugin_encoders.tokenizers.unigram import UnigramTokenizer
from vlc_plugin_encoders.tokenizers.word import WordTokenizer
captions = [f"a {i % 7}{i % 11} thing{i % 13} of kind{i % 17} and {i}" for i in range(400)]
sources = (WordTokenizer(size=40), BytePairTokenizer(size=99), ByteLevelTokenizer(size=400), UnigramTokenizer(size=80))
for source in sources:
    print(source.make(lambda: captions).to_json())
"""


def test_training_gives_the_same_in_every_process() -> None:
    command = [sys.executable, "-c", TRAINING]
    found = [subprocess.run(command, check=True, capture_output=True).stdout for _ in range(3)]
    assert len(found[0].splitlines()) == 4
    assert found[0] == found[1] == found[2]


def test_word_keeps_the_most_frequent_words() -> None:
    captions = ["common common common rare", "common other other"]
    tokenizer = WordTokenizer(size=7).make(lambda: captions)
    assert [tokenizer.token(5), tokenizer.token(6), tokenizer.token(7)] == ["common", "other", None]
    assert WordTokenizer(min_count=2).make(lambda: captions).vocabulary.size == 7


def test_word_separates_punctuation_and_drops_case() -> None:
    tokenizer = WordTokenizer().make(lambda: ["A dog."])
    assert tokenizer.encode(["a DOG ."], 9).ids.tolist() == tokenizer.encode(["A dog."], 9).ids.tolist()
    kept = WordTokenizer(lowercase=False).make(lambda: ["A dog."])
    assert kept.encode(["a"], 9).ids.tolist() == [[1, 4, 2]]


def test_byte_pairs_can_spell_what_they_never_saw() -> None:
    tokenizer = ByteLevelTokenizer(size=300).make(lambda: CAPTIONS)
    text = "zebra 数据 \U0001f600"
    ids = tokenizer.encode([text], 60).ids[0].tolist()
    assert 4 not in ids
    assert tokenizer.decode(ids) == text


def test_normal_forms_of_one_text_are_one() -> None:
    for source in (WordTokenizer(), BytePairTokenizer(), ByteLevelTokenizer(), UnigramTokenizer(size=60)):
        tokenizer = source.make(lambda: [*CAPTIONS, "café"])
        ids = [tokenizer.encode([text], 20).ids.tolist() for text in ("caf\u00e9", "cafe\u0301")]
        assert ids[0] == ids[1]


def test_pairs_of_characters_know_the_characters_they_saw() -> None:
    tokenizer = BytePairTokenizer(size=200, min_count=1).make(lambda: CAPTIONS)
    pieces = [tokenizer.token(i) for i in tokenizer.encode(["pale dogs ぞ"], 20).ids[0].tolist()]
    assert pieces[1] == "▁pale"
    assert pieces[-2] == "<unknown>"
    assert "do" in "".join(piece or "" for piece in pieces)


@pytest.mark.parametrize("kind", [BytePairTokenizer, UnigramTokenizer])
@pytest.mark.parametrize("size", [16, 30])
def test_a_size_without_room_for_the_characters_is_refused(kind: type[TokenizerSource], size: int) -> None:
    with pytest.raises(RecipeError, match=r"larger size|set size to 32"):
        kind(size=size).make(lambda: CAPTIONS)  # type: ignore[call-arg]


@pytest.mark.parametrize("size", [32, 33, 34, 36, 60])
def test_unigram_never_has_more_ids_than_asked(size: int) -> None:
    tokenizer = UnigramTokenizer(size=size).make(lambda: CAPTIONS)
    assert tokenizer.vocabulary.size <= size
    known = tokenizer.encode(["a photo of a red dog"], 40)
    assert 4 not in known.ids[0].tolist(), "a character of the captions became unknown"
    assert tokenizer.decode(known.ids[0].tolist()) == "a photo of a red dog"
