"""Towers that torch.compile translates compute what they computed before, and bear the same names."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor, nn

from vlc_core.engine.settings import deepspeed_config
from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoded, TextEncoder
from vlc_core.model.compiling import compile_towers
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.recipe.schema import Recipe

CPU = torch.device("cpu")


class Reader(TextEncoder):
    """A table with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.context = 4, 9
        self.words, self.dropout = nn.Embedding(9, 4), nn.Dropout(0.5)

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        return Encoded((self.dropout(self.words(tokens)) * mask[..., None]).sum(1))


def recipe(*, stage: int = 0, **text: object) -> Recipe:
    return Recipe.model_validate(
        {
            "model": {"image": {"use": "eye"}, "text": {"use": "reader", **text}},
            "objectives": [{"use": "pull"}],
            "data": {"train": [{"use": "files"}]},
            "train": {"steps": 1},
            "deepspeed": {"zero_optimization": {"stage": stage}},
        }
    )


def towers(small) -> Towers:
    torch.manual_seed(0)
    return Towers(ImageTower(small.Look(), 4), TextTower(Reader(), 4), Temperature())


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # of its own parts, when it loads them
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler: install g++")
def test_a_compiled_tower_is_the_same_with_its_dropout_for_texts_of_any_length(small):
    plain, made = towers(small), towers(small)
    names = list(made.state_dict())
    compile_towers(recipe(compile=True).model, made, CPU)
    assert list(made.state_dict()) == names
    for length in (5, 9, 7):
        tokens, mask = torch.randint(0, 9, (3, length)), torch.ones(3, length, dtype=torch.bool)
        results = []
        for model in (plain, made):
            model.zero_grad()
            torch.manual_seed(length)
            with torch.no_grad():
                embedded = model.text(tokens, mask).embed
            torch.manual_seed(length)
            replayed = model.text(tokens, mask).embed
            torch.testing.assert_close(replayed, embedded)
            replayed[:, 0].sum().backward()
            results.append((embedded, model.text.encoder.words.weight.grad))
        torch.testing.assert_close(results[0], results[1])
    assert made.text.encoder._compiled_call_impl is not None
    assert made.image.encoder._compiled_call_impl is None


def test_without_a_compiler_it_is_refused(small, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RecipeError, match=r"model\.text\.compile needs a C\+\+ compiler"):
        compile_towers(recipe(compile=True).model, towers(small), CPU)
    compile_towers(recipe().model, towers(small), CPU)


def test_zero_3_is_refused():
    with pytest.raises(RecipeError, match=r"model\.text\.compile does not work under ZeRO stage 3"):
        deepspeed_config(recipe(compile=True, stage=3), 2)
    assert deepspeed_config(recipe(compile=True, stage=2), 2)["zero_optimization"]["stage"] == 2
