"""What is hidden of a text depends on the seed and its sample number alone, in the shares of BERT."""

from __future__ import annotations

import pytest
import torch

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.masking import IGNORED, mask_tokens, uniform

VOCABULARY = Vocabulary(size=50, pad=0, start=1, end=2, mask=3)


def texts(count: int = 4000, length: int = 12):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, length + 1, (count,), generator=generator)
    mask = torch.arange(length) < lengths[:, None]
    tokens = torch.randint(4, 50, (count, length), generator=generator)
    tokens[:, 0] = 1
    tokens[torch.arange(count), lengths - 1] = 2
    return tokens * mask, mask, torch.arange(count) + 10**12


def masked(*given, seed: int = 1, probability: float = 0.15):
    return mask_tokens(*given, seed=seed, probability=probability, vocabulary=VOCABULARY)


def test_only_words_are_hidden_and_what_they_were_is_told():
    tokens, mask, numbers = texts()
    ids, labels = masked(tokens, mask, numbers)
    hidden = labels != IGNORED
    assert torch.equal(labels[hidden], tokens[hidden])
    assert torch.equal(ids[~hidden], tokens[~hidden])
    assert (tokens[hidden] > 3).all()
    assert ids.min() >= 0
    assert ids.max() < 50


def test_shares_are_those_of_bert():
    tokens, mask, numbers = texts()
    ids, labels = masked(tokens, mask, numbers)
    hidden, words = labels != IGNORED, tokens > 3
    assert hidden.sum() / words.sum() == pytest.approx(0.15, abs=0.01)
    now, was = ids[hidden], tokens[hidden]
    assert (now == 3).float().mean() == pytest.approx(0.8 + 0.1 / 50, abs=0.02)
    assert (now == was).float().mean() == pytest.approx(0.1 + 0.1 / 50, abs=0.02)


def test_a_text_is_masked_alike_in_any_company():
    tokens, mask, numbers = texts(64)
    whole = masked(tokens, mask, numbers)
    order = torch.randperm(64)[:9]
    part = masked(tokens[order], mask[order], numbers[order])
    assert torch.equal(part.ids, whole.ids[order])
    assert torch.equal(part.labels, whole.labels[order])


def test_seeds_and_numbers_differ():
    tokens, mask, numbers = texts(64)
    one = masked(tokens, mask, numbers)
    assert torch.equal(one.ids, masked(tokens, mask, numbers).ids)
    assert not torch.equal(one.ids, masked(tokens, mask, numbers, seed=2).ids)
    assert not torch.equal(one.ids, masked(tokens, mask, numbers + 64).ids)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_the_ends_of_its_range(probability: float, share: float):
    tokens, mask, numbers = texts(64)
    labels = masked(tokens, mask, numbers, probability=probability).labels
    assert (labels[tokens > 3] != IGNORED).float().mean() == share


def test_a_tokenizer_without_a_mask_is_refused():
    with pytest.raises(RecipeError, match="no mask token"):
        mask_tokens(*texts(4), seed=0, probability=0.15, vocabulary=Vocabulary(size=50, pad=0))


def test_draws_are_uniform_and_independent():
    draws = torch.stack([uniform(3, torch.arange(20000), n) for n in range(3)])
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = torch.stack([row.histc(10, 0, 1) for row in draws])
    # χ² of ten bins: 99.99 % of fair draws lie below 33.7.
    assert ((counts - 2000) ** 2 / 2000).sum(dim=1).max() < 33.7
    assert torch.corrcoef(draws).fill_diagonal_(0).abs().max() < 0.03
