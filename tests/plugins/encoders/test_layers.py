"""``freeze`` and ``layer_decay`` of encoders from other libraries: their layers in the order in which they run."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoder, Vocabulary
from vlc_core.model.depth import freeze, scales_of
from vlc_core.model.towers import ImageTower, TextTower, Tower
from vlc_core.testing.encoders import texts
from vlc_plugin_encoders.pretrained.image import TransformersImage
from vlc_plugin_encoders.pretrained.layers import lifted, ordered
from vlc_plugin_encoders.pretrained.text import TransformersText
from vlc_plugin_encoders.pretrained.timm import grouped

pytest.importorskip("transformers")

WORDS = Vocabulary(40, pad=0, start=1, end=2, mask=3, unknown=4)
SMALL: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
VIT: dict[str, Any] = SMALL | {"image_size": 16, "patch_size": 4}
SWIN = {"model_type": "swin", "image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [2, 1], "num_heads": [2, 2]}
RESNET = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [2, 1]}
BOTTLENECK = RESNET | {"hidden_sizes": [16, 32], "layer_type": "bottleneck"}
SIZES = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 2, 1, 1]}
TOWERS: dict[str, tuple[dict[str, Any], int]] = {
    "vit": (VIT | {"model_type": "vit"}, 3),
    "dinov2": ({k: v for k, v in VIT.items() if k != "intermediate_size"} | {"model_type": "dinov2"}, 3),
    "clip image": (VIT | {"model_type": "clip_vision_model"}, 3),
    "siglip": (VIT | {"model_type": "siglip_vision_model"}, 3),
    "swin": (SWIN | {"window_size": 4}, 3),
    "resnet": (RESNET | {"layer_type": "basic"}, 3),
    "resnet, bottlenecks": (BOTTLENECK, 3),
    "convnext": (SIZES | {"model_type": "convnext"}, 5),
    "bert": (SMALL | {"model_type": "bert"}, 3),
    "roberta": (SMALL | {"model_type": "roberta"}, 3),
    "clip text": (SMALL | {"model_type": "clip_text_model"}, 3),
    "distilbert": ({"model_type": "distilbert", "dim": 16, "hidden_dim": 32, "n_layers": 3, "n_heads": 2}, 3),
}
ON_IMAGES = ("vit", "dinov2", "clip image", "siglip", "swin", "resnet", "resnet, bottlenecks", "convnext")


def tower_of(name: str) -> Tower:
    torch.manual_seed(0)
    config = TOWERS[name][0]
    if name not in ON_IMAGES:
        return TextTower(TransformersText(WORDS, config=config, context=12), 4)
    size = 32 if "image_size" not in config else None
    return ImageTower(TransformersImage(config=config, size=size), 4)


def encode(tower: Tower) -> Tensor:
    if isinstance(tower, TextTower):
        return tower(*texts(WORDS, [7, 4])).summary
    size = tower.encoder.size  # type: ignore[attr-defined]
    return tower(torch.randn(2, 3, size, size)).summary


def blocks_of(encoder: Encoder) -> list[nn.Module]:
    """The first module that each group after the embeddings names."""
    return [encoder.get_submodule(group[0]) for group in encoder.layer_names()[1:]]


@pytest.mark.parametrize("name", TOWERS)
def test_blocks_are_counted_and_run_in_their_order(name: str) -> None:
    tower = tower_of(name)
    blocks = blocks_of(tower.encoder)
    assert len(blocks) == TOWERS[name][1]
    ran: list[int] = []
    for number, block in enumerate(blocks):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    encode(tower.eval())
    assert ran == [*range(len(blocks))]


@pytest.mark.parametrize("name", TOWERS)
def test_everything_but_the_last_norm_is_in_a_group(name: str) -> None:
    scales = scales_of(tower_of(name).encoder, 0.5)
    rest = {parameter for parameter, scale in scales.items() if scale == 1}
    assert all("norm" in parameter or ".head." in parameter for parameter in rest)
    assert set(scales.values()) - {1} == {0.5 ** (depth + 1) for depth in range(TOWERS[name][1] + 1)}


@pytest.mark.parametrize("name", TOWERS)
def test_the_first_blocks_leave_no_graph_and_do_not_move(name: str) -> None:
    tower = tower_of(name)
    last = TOWERS[name][1] - 1
    freeze(tower, last)
    tower.train()
    reached: dict[int, bool] = {}
    for number, block in enumerate(blocks_of(tower.encoder)):
        block.register_forward_hook(lambda _, __, out, at=number: reached.update({at: first_of(out).requires_grad}))
    before = {key: value.clone() for key, value in tower.encoder.state_dict().items()}
    encode(tower).square().sum().backward()
    assert reached == {number: number == last for number in range(last + 1)}
    trained = [parameter for parameter in tower.encoder.parameters() if parameter.grad is not None]
    assert trained
    torch.optim.SGD(trained, 0.1).step()
    moved = {key for key, value in tower.encoder.state_dict().items() if not torch.equal(value, before[key])}
    frozen = tuple(name for group in tower.encoder.layer_names()[: last + 1] for name in group)
    assert moved
    assert not [key for key in moved if key.startswith(tuple(f"{name}." for name in frozen)) or key in frozen]


def first_of(out: Any) -> Tensor:
    return out if isinstance(out, Tensor) else out[0]


def test_more_blocks_than_there_are() -> None:
    with pytest.raises(RecipeError, match="this encoder has 3 blocks"):
        freeze(tower_of("bert"), 4)


class Flat(nn.Module):
    """A model without a list of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)


def test_a_model_without_blocks_is_one_group() -> None:
    assert ordered(Flat(), "model") == [["model"]]


class Named(nn.Module):
    """A model that numbers its layers by patterns, as those of timm do."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1))
        self.stem = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(2), nn.Linear(2, 2)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        return {"stem": r"^token|^stem", "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))]}


def group_parameters(module: Any, matcher: dict[str, Any]) -> dict[int, list[str]]:
    """timm's function as its documentation describes it: patterns in their order, and what matches none last."""
    patterns = [(matcher["stem"], 0), (r"^blocks\.0", 1), (r"^blocks\.1", 2), (r"^norm", 2)]
    groups: dict[int, list[str]] = defaultdict(list)
    for name, _ in module.named_parameters():
        groups[next((number for pattern, number in patterns if re.match(pattern, name)), 3)].append(name)
    return groups


def test_the_layers_of_a_model_of_timm() -> None:
    found = grouped(group_parameters, Named())
    assert found == [["model.token", "model.stem"], ["model.blocks.0"], ["model.blocks.1", "model.norm"]]
    assert grouped(group_parameters, Flat()) == []


@pytest.mark.parametrize("name", ["test_vit", "resnet10t", "test_convnext", "test_efficientnet"])
def test_timm_itself(name: str) -> None:
    try:
        from vlc_plugin_encoders.pretrained.timm import TimmImage

        encoder = TimmImage(name=name)
    except RecipeError as error:
        pytest.skip(str(error))
    tower = ImageTower(encoder, 4)
    freeze(tower, 1)
    encode(tower.train()).sum().backward()
    names = encoder.layer_names()
    assert len(names) > 2
    frozen = {p for p, _ in encoder.named_parameters() if p.startswith(tuple(n for group in names[:2] for n in group))}
    assert frozen == {p for p, parameter in encoder.named_parameters() if not parameter.requires_grad}


def test_names_are_lifted_to_whole_modules() -> None:
    names = [name for name, _ in Named().named_parameters() if not name.startswith("head.bias")]
    assert lifted(Named(), names) == ["token", "stem", "blocks", "norm", "head.weight"]
