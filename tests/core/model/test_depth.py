"""What is frozen stands still, what is not learns, and each at its own rate."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from vlc_core.engine.optimizer import adamw, parameter_groups, set_rate
from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoded, ImageEncoder, TextEncoder
from vlc_core.model.depth import freeze, rate_scales, scales_of
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.recipe.schema import Model

WIDTH, BLOCKS = 6, 3


class Block(nn.Module):
    """Has all that tells training from evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH, bias=False)
        self.norm, self.dropout = nn.BatchNorm1d(WIDTH), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.norm(self.linear(x)))


class Deep(ImageEncoder):
    """A first layer, a parameter of its own, three blocks and a last norm."""

    def __init__(self) -> None:
        super().__init__()
        self.size, self.width = 2, WIDTH
        self.first = nn.Linear(12, WIDTH)
        self.offset = nn.Parameter(torch.zeros(WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.last = nn.LayerNorm(WIDTH)

    def layer_names(self) -> list[list[str]]:
        return [["first", "offset"], *([f"blocks.{i}"] for i in range(BLOCKS))]

    def forward(self, pixels: Tensor) -> Encoded:
        x = self.first(pixels.flatten(1)) + self.offset
        for block in self.blocks:
            x = block(x)
        return Encoded(self.last(x))


class Flat(TextEncoder):
    """Says nothing of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.context = WIDTH, 4
        self.words, self.bias = nn.Embedding(9, WIDTH), nn.Parameter(torch.zeros(WIDTH))

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        return Encoded((self.words(tokens) * mask[..., None]).sum(1) + self.bias)


def tower() -> ImageTower:
    torch.manual_seed(0)
    return ImageTower(Deep(), 5)


def pixels() -> Tensor:
    return torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(1))


EMBEDDINGS = {"encoder.first.weight", "encoder.first.bias", "encoder.offset"}


def frozen_names(what: str | int) -> set[str]:
    names = {name for name, _ in tower().named_parameters()}
    if what == "all":
        return names
    if what == "encoder":
        return names - {"head.weight"}
    blocks = {name for name in names for i in range(int(what)) if name.startswith(f"encoder.blocks.{i}.")}
    return EMBEDDINGS | blocks if what else set()


@pytest.mark.parametrize("what", ["all", "encoder", 0, 1, 2, BLOCKS])
def test_what_is_frozen_stands_still_in_training(what: str | int):
    made = tower()
    freeze(made, what)
    made.eval()
    made.train()
    expected = frozen_names(what)
    assert {name for name, p in made.named_parameters() if not p.requires_grad} == expected
    before = {name: x.clone() for name, x in made.state_dict().items()}
    embed = made(pixels()).embed
    if embed.requires_grad:
        optimizer = adamw(parameter_groups(made, 0.1), lr=0.1, betas=(0.9, 0.98), eps=1e-6)
        embed.sum(dim=1).square().sum().backward()
        optimizer.step()
    moved = {name for name, x in made.state_dict().items() if not torch.equal(x, before[name])}
    statistics = {name for name in before if name not in dict(made.named_parameters())}
    assert len(statistics) == 3 * BLOCKS
    rests = {name for name in statistics if what in ("all", "encoder") or int(name.split(".")[2]) < int(what)}
    assert moved == set(before) - expected - rests


def test_a_frozen_encoder_is_in_evaluation_mode_and_leaves_no_graph():
    made = tower()
    freeze(made, "encoder")
    made.train()
    assert made.training
    assert not made.encoder.training
    first, second = made(pixels()), made(pixels())
    assert torch.equal(first.embed, second.embed)
    assert not first.summary.requires_grad
    assert first.embed.requires_grad
    freeze(made, "all")
    assert not made.train()(pixels()).embed.requires_grad


def test_frozen_blocks_leave_no_graph_and_draw_no_dropout():
    made = tower()
    freeze(made, BLOCKS)
    made.train()
    assert torch.equal(made(pixels()).embed, made(pixels()).embed)
    assert made.encoder.training
    made = tower()
    freeze(made, 1)
    assert [block.training for block in made.train().encoder.blocks] == [False, True, True]


def test_a_copy_rests_apart_from_its_original():
    made = tower()
    freeze(made, 1)
    other = copy.deepcopy(made).train()
    assert other.resting[0] is other.encoder.first
    assert not other.encoder.blocks[0].training


@pytest.mark.parametrize(("what", "has"), [(BLOCKS + 1, "3 blocks"), (99, "3 blocks")])
def test_more_blocks_than_there_are(what: int, has: str):
    with pytest.raises(RecipeError, match=f"freeze is {what}, and this encoder has {has}"):
        freeze(tower(), what)


def test_an_encoder_of_one_group_is_frozen_as_a_whole_or_not():
    made = TextTower(Flat(), 5)
    assert made.encoder.layer_names() == [["bias", "words"]]
    with pytest.raises(RecipeError, match="has no blocks: take all, encoder or fewer"):
        freeze(made, 1)
    freeze(made, "encoder")
    assert [name for name, p in made.named_parameters() if p.requires_grad] == ["head.weight"]


def test_rates_fall_towards_the_input():
    scales = scales_of(Deep(), 0.5)
    assert {name for name, scale in scales.items() if scale == 1} == {"last.weight", "last.bias"}
    assert scales["first.weight"] == scales["offset"] == 0.5**4
    for block in range(BLOCKS):
        assert scales[f"blocks.{block}.linear.weight"] == scales[f"blocks.{block}.norm.bias"] == 0.5 ** (3 - block)
    assert set(scales) == {name for name, _ in Deep().named_parameters()}
    assert set(scales_of(Flat(), 0.5).values()) == {0.5}


@pytest.mark.parametrize("names", [[["first"], ["first"]], [["fist"]], [["blocks"], ["blocks.1"]]])
def test_wrong_names_of_layers_are_the_encoders_fault(names: list[list[str]], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Deep, "layer_names", lambda self: names)
    with pytest.raises(ValueError, match=r"Deep\.layer_names\(\) names"):
        scales_of(Deep(), 0.5)


def towers() -> Towers:
    torch.manual_seed(0)
    return Towers(ImageTower(Deep(), 5), TextTower(Flat(), 5), Temperature())


def section(image: float, text: float) -> Model:
    image_tower, text_tower = ({"use": "x", "layer_decay": decay} for decay in (image, text))
    return Model.model_validate({"image": image_tower, "text": text_tower})


def test_only_towers_that_ask_for_it_have_scales():
    assert rate_scales(section(1.0, 1.0), towers()) == {}
    scales = rate_scales(section(1.0, 0.5), towers())
    assert scales == {"towers.text.encoder.words.weight": 0.5, "towers.text.encoder.bias": 0.5}


def test_each_parameter_is_in_one_group_of_its_rate_and_decay():
    module = nn.ModuleDict({"towers": towers()})
    module["towers"].image.encoder.blocks[0].requires_grad_(False)
    scales = rate_scales(section(0.5, 0.7), module["towers"])
    groups = parameter_groups(module, 0.3, scales)
    names = {parameter: name for name, parameter in module.named_parameters()}
    seen = [names[p] for group in groups for p in group["params"]]
    assert sorted(seen) == sorted(name for name, p in module.named_parameters() if p.requires_grad)
    for group in groups:
        for parameter in group["params"]:
            assert group["lr_scale"] == scales.get(names[parameter], 1.0)
            assert group["weight_decay"] == (0.3 if parameter.dim() > 1 else 0.0)
    assert [g["weight_decay"] for g in parameter_groups(module, 0.3)] == [0.3, 0.0]


def test_a_step_is_that_of_one_optimizer_for_each_rate():
    model, twin = towers(), towers()
    scales = {n.removeprefix("towers."): s for n, s in rate_scales(section(0.5, 1.0), model).items()}
    settings = {"betas": (0.9, 0.98), "eps": 1e-6}
    optimizer = adamw(parameter_groups(model, 0.1, scales), lr=9.0, **settings)
    generator = torch.Generator().manual_seed(2)
    singles = {}
    for name, parameter in twin.named_parameters():
        decay = 0.1 if parameter.dim() > 1 else 0.0
        singles[name] = torch.optim.AdamW([parameter], lr=1.0, weight_decay=decay, **settings)
    for rate in (0.1, 0.01):
        set_rate(optimizer, rate)
        for (name, parameter), other in zip(model.named_parameters(), twin.parameters(), strict=True):
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            other.grad = parameter.grad.clone()
            singles[name].param_groups[0]["lr"] = rate * scales.get(name, 1.0)
            singles[name].step()
        optimizer.step()
    for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, rtol=1e-5, atol=1e-6)
