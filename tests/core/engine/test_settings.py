"""The recipe and its ``deepspeed:`` section, as one configuration."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
import torch

from vlc_core.engine.settings import deepspeed_config, rank_batch, zero_stage
from vlc_core.engine.setup import wrap
from vlc_core.errors import RecipeError

OWNED = {
    "train_batch_size": "train.batch_size",
    "train_micro_batch_size_per_gpu": "train.micro_batch_size",
    "gradient_accumulation_steps": "train.micro_batch_size",
    "gradient_clipping": "train.clip_grad_norm",
    "optimizer": "train.optimizer",
    "scheduler": "train.schedule",
    "bf16": "train.precision",
    "fp16": "train.precision",
    "amp": "train.precision",
    "torch_autocast": "train.precision",
    "data_types": "train.precision",
}


@pytest.mark.parametrize(("key", "own"), OWNED.items())
def test_a_contradiction_names_both_keys(engines: ModuleType, key: str, own: str):
    with pytest.raises(RecipeError, match=re.escape(f"deepspeed.{key} contradicts {own}: remove deepspeed.{key}")):
        deepspeed_config(engines.recipe(deepspeed={key: {"enabled": True}}), 1)


def test_contradictions_are_told_together(engines: ModuleType):
    with pytest.raises(RecipeError) as caught:
        deepspeed_config(engines.recipe(deepspeed={"fp16": {}, "optimizer": {}, "wall_clock_breakdown": True}), 1)
    assert len(caught.value.problems) == 2


def test_all_else_is_passed_through_and_merged(engines: ModuleType):
    section = {"wall_clock_breakdown": True, "zero_optimization": {"stage": 2, "overlap_comm": False}}
    config = deepspeed_config(engines.recipe(deepspeed=section, batch_size=24, micro_batch_size=3), 2)
    assert config["wall_clock_breakdown"] is True
    assert config["zero_optimization"] == {"stage": 2, "overlap_comm": False}
    assert config["train_batch_size"] == 24
    assert config["train_micro_batch_size_per_gpu"] == 3
    assert config["gradient_accumulation_steps"] == 4


@pytest.mark.parametrize(("stage", "clip", "told"), [(0, 1.0, 0.0), (1, 1.0, 1.0), (3, 0.5, 0.5), (2, None, 0.0)])
def test_clipping_is_deepspeeds_from_stage_1_on(engines: ModuleType, stage: int, clip: float | None, told: float):
    section = {"zero_optimization": {"stage": stage}}
    assert deepspeed_config(engines.recipe(deepspeed=section, clip_grad_norm=clip), 2)["gradient_clipping"] == told


@pytest.mark.parametrize(
    ("stage", "world", "taken"), [(1, 1, 0), (2, 1, 0), (3, 1, 3), (1, 2, 1), (2, 2, 2), (0, 2, 0)]
)
def test_alone_nothing_is_split_that_is_held_whole_anyway(engines: ModuleType, stage: int, world: int, taken: int):
    config = deepspeed_config(engines.recipe(deepspeed={"zero_optimization": {"stage": stage, "x": 1}}), world)
    assert config["zero_optimization"] == {"stage": taken, "x": 1}
    assert config["gradient_clipping"] == (1.0 if taken else 0.0)


def test_what_is_offloaded_keeps_its_stage(engines: ModuleType):
    section = {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}
    assert deepspeed_config(engines.recipe(deepspeed=section), 1)["zero_optimization"]["stage"] == 2


@pytest.mark.parametrize(
    ("section", "stage"), [({}, 0), ({"zero_optimization": None}, 0), ({"zero_optimization": {"stage": 3}}, 3)]
)
def test_the_stage_is_read(section, stage):
    assert zero_stage(section) == stage


@pytest.mark.parametrize("value", [3, True, "two", {"stage": "2"}, {"stage": 4}, {"stage": -1}, {"stage": True}, [1]])
def test_a_stage_that_is_none_is_refused(engines: ModuleType, value):
    with pytest.raises(RecipeError, match=r"zero_optimization is .*: write \{stage: N\} there"):
        deepspeed_config(engines.recipe(deepspeed={"zero_optimization": value}), 1)


@pytest.mark.parametrize(
    ("batch", "world", "take"), [(10, 4, "take 8 or 12"), (3, 4, "take 4$"), (12, 5, "take 10 or 15")]
)
def test_a_batch_that_ranks_do_not_divide_is_refused_with_one_that_they_do(engines: ModuleType, batch, world, take):
    with pytest.raises(RecipeError, match=f"train.batch_size is {batch}, which {world} ranks do not divide: {take}"):
        rank_batch(engines.recipe(batch_size=batch), world)


def test_a_share_that_micro_batches_do_not_divide_is_refused(engines: ModuleType):
    recipe = engines.recipe(batch_size=24, micro_batch_size=8)
    assert rank_batch(recipe, 1) == (24, 3)
    assert rank_batch(recipe, 3) == (8, 1)
    with pytest.raises(RecipeError, match=r"24 on 2 rank\(s\) is 12 a rank.*multiple of 2 × 8"):
        rank_batch(recipe, 2)


def test_what_deepspeed_itself_refuses_is_a_fault_of_the_recipe(engines: ModuleType):
    engines.alone()
    made = engines.small().model(["clip"])
    section = {"zero_optimization": {"stage": 1, "reduce_bucket_size": "many"}}
    with pytest.raises(RecipeError, match=r"deepspeed refuses its section of the recipe: .*reduce_bucket_size"):
        wrap(made, torch.optim.AdamW(made.parameters()), deepspeed_config(engines.recipe(deepspeed=section), 1))
