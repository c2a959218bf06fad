"""Prediction of words against its definition, and zero-shot classification by it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.interfaces.objective import ModelInfo
from vlc_plugin_clip.bag_of_words import BagOfWords, as_texts, word_losses, words

AROUND = Vocabulary(9, pad=0, start=1, end=2, mask=3, unknown=4)
BARE = Vocabulary(6, pad=0, unknown=1)


def test_words_are_the_ids_that_are_not_special() -> None:
    assert words(AROUND) == [5, 6, 7, 8]
    assert words(BARE) == [2, 3, 4, 5]


def test_a_word_is_a_text_as_the_tokenizer_would_write_it() -> None:
    assert as_texts(torch.tensor([5, 6]), AROUND).tolist() == [[1, 5, 2], [1, 6, 2]]
    assert as_texts(torch.tensor([2, 3]), BARE).tolist() == [[2], [3]]


def test_the_loss_is_the_mean_over_a_captions_words() -> None:
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    captions = [[0, 3], [], [2]]
    present = torch.tensor([[word in caption for word in range(4)] for caption in captions])
    log_p = logits.log_softmax(dim=1)
    nothing = torch.zeros((), dtype=torch.float64)
    expected = [nothing - sum(log_p[i, w] for w in c) / max(len(c), 1) for i, c in enumerate(captions)]
    found = word_losses(logits, present)
    torch.testing.assert_close(found, torch.stack(expected))
    slopes = [torch.autograd.grad(x.sum(), logits, retain_graph=True)[0] for x in (found, torch.stack(expected))]
    torch.testing.assert_close(*slopes)


def step(tokens: list[list[int]], mask: list[list[int]]) -> Any:
    generator = torch.Generator().manual_seed(1)
    table = normalize(torch.randn(9, 6, generator=generator), dim=1)

    def encode_text(tokens: Tensor, mask: Tensor) -> SimpleNamespace:
        assert mask.all()
        return SimpleNamespace(embed=normalize(table[tokens].mean(dim=1), dim=1))

    image = normalize(torch.randn(len(tokens), 6, generator=generator), dim=1)
    return SimpleNamespace(
        image=SimpleNamespace(embed=image),
        tokens=(torch.tensor(tokens), torch.tensor(mask).bool()),
        encode_text=encode_text,
        scale=torch.tensor([5.0]),
    )


def test_the_objective_counts_each_word_of_a_caption_once_and_skips_captions_without() -> None:
    tokens = [[1, 5, 7, 5, 2], [1, 4, 2, 0, 0], [1, 8, 2, 5, 5]]
    shown = step(tokens, [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0]])
    objective = BagOfWords(ModelInfo(6, 6, 6, AROUND))
    with torch.no_grad():
        objective.prior_V.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
    term = objective(shown)["bag-of-words"]
    word = shown.encode_text(torch.tensor([[1, w, 2] for w in (5, 6, 7, 8)]), torch.ones(4, 3)).embed
    log_p = (5.0 * shown.image.embed @ word.T + objective.prior_V).log_softmax(dim=1)
    assert term.count == 2
    torch.testing.assert_close(term.sum, -(log_p[0, 0] + log_p[0, 2]) / 2 - log_p[2, 3])


def test_a_batch_without_words_is_zero_with_a_gradient_of_zero() -> None:
    objective = BagOfWords(ModelInfo(6, 6, 6, AROUND))
    term = objective(step([[1, 4, 2]], [[1, 1, 1]]))["bag-of-words"]
    assert (term.sum, term.count) == (0, 0)
    (slope,) = torch.autograd.grad(term.sum, objective.prior_V)
    assert slope.abs().max() == 0


@pytest.mark.parametrize("micro", [None, 32])
def test_zero_shot_works_as_always_by_the_words_of_class_names(tmp_path: Any, micro: int | None) -> None:
    from vlc_core.engine.evaluate import evaluate_run
    from vlc_core.engine.train import train
    from vlc_core.plugins import plugins
    from vlc_core.recipe import load_recipe

    recipe = tmp_path / "words.yaml"
    recipe.write_text(
        f"""\
model:
  image: {{use: vit, size: 8, patch: 4, width: 32, depth: 1, heads: 2}}
  text: {{use: linear-text, width: 32, context: 16}}
  tokenizer: {{use: word}}
  embed_dim: 32
objectives: [{{use: bag-of-words}}]
data:
  train: [{{use: digits, split: train, prompts: digits}}]
  transform: {{use: fit}}
train:
  steps: 120
  batch_size: 64
  micro_batch_size: {"null" if micro is None else micro}
  optimizer: {{lr: 1e-2}}
evaluate: {{with: [{{use: zero-shot, data: {{use: digits, split: test}}, prompts: "{{}}"}}]}}
output: {tmp_path / "run"}
"""
    )
    train(load_recipe(str(recipe), registry=plugins().registry), plugins())
    assert evaluate_run(tmp_path / "run", plugins())["zero-shot"].metrics["top1"] > 0.4
