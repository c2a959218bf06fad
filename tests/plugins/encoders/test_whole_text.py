"""One id per known text, and the table that `linear-text` keeps for them."""

from __future__ import annotations

import torch

from vlc_plugin_encoders.linear_text import LinearText
from vlc_plugin_encoders.tokenizers.whole_text import WholeTextTokenizer

TEXTS = ["a photo of a dog", "a photo of a cat", "A photo of a  dog ", "dog"]


def test_a_text_is_one_token() -> None:
    tokenizer = WholeTextTokenizer().make(lambda: TEXTS)
    tokens = tokenizer.encode([*TEXTS, "a dog", ""], context=1)
    assert tokens.ids.shape == (6, 1)
    assert tokens.mask.all()
    assert tokens.truncated == 0
    dog, cat, again, word, other, empty = tokens.ids[:, 0].tolist()
    assert dog == again
    assert other == empty == tokenizer.vocabulary.unknown
    assert len({dog, cat, word, other}) == 4
    assert tokenizer.vocabulary.size == 5 + 3


def test_case_can_tell_texts_apart() -> None:
    tokenizer = WholeTextTokenizer(lowercase=False).make(lambda: TEXTS)
    assert tokenizer.vocabulary.size == 5 + 4


def test_linear_text_gives_each_text_its_own_row() -> None:
    tokenizer = WholeTextTokenizer().make(lambda: TEXTS)
    encoder = LinearText(tokenizer.vocabulary, width=8)
    tokens = tokenizer.encode(TEXTS, encoder.context)
    summary = encoder(tokens.ids, tokens.mask).summary
    assert torch.equal(summary, encoder.table.weight[tokens.ids[:, 0]])
    summary[1].sum().backward()
    assert encoder.table.weight.grad is not None
    assert encoder.table.weight.grad.any(dim=1).nonzero().flatten().tolist() == [int(tokens.ids[1, 0])]
