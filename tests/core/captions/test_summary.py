"""What a tokenizer makes of texts, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from vlc_core.captions import Reservoir, summarise
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.tokenizer import Tokenizer

WORDS = ["<pad>", "<unknown>", "a", "dog", "<start>", "<end>"]


def tokenizer(**special):
    backend = tokenizers.Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unknown>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return Tokenizer(backend, Vocabulary(len(WORDS), pad=0, **special))


def test_lengths_and_what_is_unknown():
    found = summarise(tokenizer(unknown=1, start=4, end=5), ["a dog", "a cat", "cat", "a dog a dog"])
    assert found.mean_tokens == (4 + 4 + 3 + 6) / 4
    assert (found.longest, found.tokens_99) == (6, 6)
    assert found.unknown == pytest.approx(2 / 9)
    assert found.texts_with_unknown == 0.5


def test_an_unknown_id_that_there_is_not_is_counted_nowhere():
    assert summarise(tokenizer(), ["a cat"]).unknown == 0


def test_ninety_nine_of_a_hundred():
    texts = ["a"] * 99 + ["a " * 50]
    assert summarise(tokenizer(unknown=1), texts).tokens_99 == 1
    assert summarise(tokenizer(unknown=1), [*texts, "a " * 60]).tokens_99 == 50
    assert summarise(tokenizer(unknown=1), texts * 30).longest == 50


def test_a_reservoir_keeps_all_alike_and_the_same_every_time():
    def kept():
        reservoir = Reservoir(100)
        for number in range(2000):
            reservoir.add(str(number))
        assert reservoir.passed == 2000
        return [int(text) for text in reservoir.texts]

    found = kept()
    assert found == kept()
    assert len(set(found)) == 100
    assert abs(np.mean(found) - 1000) < 150
