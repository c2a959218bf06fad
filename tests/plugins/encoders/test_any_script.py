"""Tokenizers on texts of seven scripts, two of them without spaces between words: round trip, length, truncation."""

from __future__ import annotations

import pytest
from tokenizers import Regex, pre_tokenizers

from vlc_core.tokenizer import Tokenizer
from vlc_plugin_data.shapes.by_language import ShapesByLanguage
from vlc_plugin_data.shapes.translations import LANGUAGES
from vlc_plugin_encoders.tokenizers.byte_level import WORDS, ByteLevelTokenizer
from vlc_plugin_encoders.tokenizers.unigram import UnigramTokenizer

SCENES = ShapesByLanguage(length=120)
UNSEEN = ShapesByLanguage(length=20, seed=7)
NEVER = ("एक छोटा लाल वृत्त", "دائرةٌ حمراء صغيرة", "小さな赤い円、猫", "ไก่จิกเด็กตาย", "می‌خواهم", "👩‍🚀 rocket")
"""Hindi, Arabic with its vowels, Japanese, other Thai, Persian with a joiner, and a joined emoji."""


def captions() -> list[str]:
    return [text for index in range(len(SCENES)) for text in SCENES.texts(index)]


@pytest.fixture(scope="module")
def byte_level() -> Tokenizer:
    return ByteLevelTokenizer(size=2048).make(captions)


@pytest.fixture(scope="module")
def unigram() -> Tokenizer:
    return UnigramTokenizer(size=2048).make(captions)


def round_trip(tokenizer: Tokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer.encode([text], 512).ids[0].tolist())


@pytest.mark.parametrize("kind", ["byte_level", "unigram"])
@pytest.mark.parametrize("language", list(LANGUAGES))
def test_new_texts_of_a_learnt_script_come_back(kind: str, language: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(kind)
    for index in range(len(UNSEEN)):
        for text in UNSEEN.texts_in(language, index):
            assert round_trip(tokenizer, text) == text.lower()


@pytest.mark.parametrize("text", NEVER)
def test_bytes_spell_scripts_that_were_never_seen(byte_level: Tokenizer, text: str) -> None:
    ids = byte_level.encode([text], 512).ids
    assert byte_level.vocabulary.unknown not in ids
    assert round_trip(byte_level, text) == text


def test_unigram_knows_no_letter_that_it_never_saw(unigram: Tokenizer) -> None:
    assert unigram.vocabulary.unknown in unigram.encode(["एक छोटा"], 64).ids
    assert unigram.vocabulary.unknown not in unigram.encode(["เล็กสีแดง"], 64).ids


@pytest.mark.parametrize("kind", ["byte_level", "unigram"])
def test_scripts_without_spaces_get_pieces_of_words_not_of_letters(kind: str, request: pytest.FixtureRequest) -> None:
    """Marks on letters do not end a piece: the pattern of GPT-2 makes more than thirty tokens of such a Thai text."""
    tokenizer = request.getfixturevalue(kind)
    for language in ("zh", "th"):
        texts = [UNSEEN.texts_in(language, index)[0] for index in range(len(UNSEEN))]
        tokens = int(tokenizer.encode(texts, 512).mask.sum()) / len(texts)
        assert tokens < sum(map(len, texts)) / len(texts) / 2
        assert tokens < 15


@pytest.mark.parametrize("kind", ["byte_level", "unigram"])
@pytest.mark.parametrize("language", ["en", "ru", "zh", "th", "ko"])
def test_a_text_that_is_cut_is_the_beginning_of_itself(
    kind: str, language: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(kind)
    text = " ".join(UNSEEN.texts_in(language, index)[0] for index in range(3))
    tokens = tokenizer.encode([text], 8)
    assert tokens.truncated == 1
    assert tokens.ids.shape == (1, 8)
    assert (tokens.ids[0, 0], tokens.ids[0, -1]) == (tokenizer.vocabulary.start, tokenizer.vocabulary.end)
    beginning = tokenizer.decode(tokens.ids[0].tolist())
    assert len(beginning) > 3
    assert text.lower().startswith(beginning)


def test_a_cut_within_a_letter_does_no_harm(byte_level: Tokenizer) -> None:
    """A letter of an unseen script is several tokens; one that is cut in two decodes to the sign for broken bytes."""
    for context in range(3, 14):
        tokens = byte_level.encode(["वृत्त"], context)
        text = byte_level.decode(tokens.ids[0].tolist())
        assert "वृत्त".startswith(text.rstrip("\ufffd"))


def test_words_of_latin_letters_are_those_of_gpt_2() -> None:
    theirs = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ours = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    for text in (
        "It's a dog,  isn't it?",
        "naïve façade №7 (3.5 m)",
        " Die Straße\nist  groß!! ",
        "красный круг",
        "大きい",
    ):
        assert ours.pre_tokenize_str(text) == theirs.pre_tokenize_str(text)


def test_thai_am_stays_one_letter(unigram: Tokenizer) -> None:
    assert round_trip(unigram, "สีน้ำเงิน") == "สีน้ำเงิน"
    assert round_trip(unigram, "สีน้\u0e4d\u0e32เงิน") == "สีน้ำเงิน"
