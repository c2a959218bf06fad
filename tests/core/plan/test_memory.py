"""Memory and traffic of ZeRO's stages, by the numbers."""

from __future__ import annotations

import pytest
from torch import nn

from vlc_core.plan.memory import COPIES_SAVED, HEAP_SHARE, KERNELS, Sizes, memory
from vlc_core.plan.trace import Traced
from vlc_core.plan.traffic import traffic

MIB = 1 << 20
SIZES = Sizes(weights=1000 * MIB, gradients=800 * MIB, persistent=8 * MIB, low_gradients=600 * MIB)
TRACED = Traced(
    peak={"image": 3000 * MIB, "batch": 10 * MIB, "gradients": 100 * MIB}, flops=1, sent=5.0, evaluation=0, longest=9
)
BUCKET = {"reduce_bucket_size": 50 * MIB}


def planned(stage, world, on="cuda", traced=TRACED, **settings):
    return memory(traced, SIZES, {"stage": stage, **settings}, stage=stage, world=world, on=on)


def test_stage_0_keeps_all_on_every_rank():
    for world in (1, 8):
        plan = planned(0, world)
        assert plan.moments["step"] == (1000 + 1600 + 3000 + 10 + 100) * MIB
        assert plan.moment == "step"
    assert planned(0, 1).moments["update"] == (1000 + 1600 + 800) * MIB
    assert planned(0, 8).moments["update"] == (1000 + 1600 + 800 + 800) * MIB


@pytest.mark.parametrize("stage", [1, 2])
def test_stages_1_and_2_split_the_optimizer_and_take_buckets(stage):
    plan = planned(stage, 8, **BUCKET)
    assert plan.parts["optimizer"] == 300 * MIB
    assert plan.parts["gradients"] == 200 * MIB
    assert plan.total == (1000 + 300 + 3000 + 10 + 200) * MIB
    assert planned(stage, 8, overlap_comm=True, **BUCKET).parts["gradients"] == 400 * MIB


def test_stage_3_splits_weights_and_gathers_them_when_used():
    plan = planned(3, 8, **BUCKET)
    assert plan.parts["weights"] == (100 + 208) * MIB
    assert plan.parts["gathered weights"] == 800 * MIB
    assert plan.parts["gradients"] == (100 + 200) * MIB


def test_deepspeeds_default_bucket_is_two_gigabytes():
    assert planned(2, 8).parts["gradients"] == 4 * 500_000_000


def test_more_ranks_never_take_more():
    for stage in (1, 2, 3):
        totals = [planned(stage, world, **BUCKET).total for world in (1, 2, 64, 1024)]
        assert totals == sorted(totals, reverse=True)
        assert totals[0] > totals[-1]


def test_the_cpu_adds_its_heap_and_the_copies_that_are_saved():
    plan = planned(0, 1, on="cpu")
    alive = (1000 + 1600 + 3000 + 10 + 100) * MIB
    assert plan.moments["step"] == alive + KERNELS + round(HEAP_SHARE * alive)
    assert plan.moment == "save"
    assert plan.total == plan.moments["step"] + COPIES_SAVED * 800 * MIB
    assert sum(plan.parts.values()) == plan.total


def test_an_evaluation_that_takes_more_than_a_step_is_the_peak():
    heavy = Traced(peak=TRACED.peak, flops=1, sent=0.0, evaluation=9000 * MIB, longest=9)
    plan = planned(0, 1, traced=heavy)
    assert plan.moment == "evaluate"
    assert plan.total == (1000 + 1600 + 9000) * MIB


def test_a_model_is_weighed_by_what_is_trained():
    model = nn.ModuleDict({"big": nn.Linear(100, 50), "norm": nn.LayerNorm(50), "frozen": nn.Linear(10, 10)})
    model["frozen"].requires_grad_(False)
    model.register_buffer("table", __import__("torch").zeros(7))
    sizes = Sizes.of(model, {"stage3_param_persistence_threshold": 1000})
    assert sizes.weights == 4 * (5050 + 100 + 110 + 7)
    assert sizes.gradients == 4 * (5050 + 100)
    assert sizes.low_gradients == 4 * 5000
    assert sizes.persistent == 4 * (50 + 100)


def test_a_rank_alone_sends_nothing():
    for stage in range(4):
        assert traffic(SIZES, 0.0, {}, stage=stage, world=1, parts=4, low=True).total == 0


@pytest.mark.parametrize(
    ("stage", "parts", "gradients", "weights"),
    [
        (0, 1, 2 * 800, 0),
        (0, 4, 2 * 800, 0),
        (1, 4, 2 * 800, 800),
        (2, 4, 4 * 2 * 800, 800),
        (3, 1, 800, 2 * 792),
        (3, 4, 4 * 800, 12 * 792),
    ],
)
def test_what_each_stage_sends(stage, parts, gradients, weights):
    sent = traffic(SIZES, 5.0, {}, stage=stage, world=4, parts=parts, low=False)
    assert sent.gradients == 3 / 4 * gradients * MIB
    assert sent.weights == 3 / 4 * weights * MIB
    assert sent.objectives == 5.0


def test_bf16_halves_the_gradients_of_matrices_from_stage_1_on():
    halved = 800 - 600 / 2
    assert traffic(SIZES, 0.0, {}, stage=1, world=2, parts=1, low=True).gradients == halved * MIB
    assert traffic(SIZES, 0.0, {}, stage=0, world=2, parts=1, low=True).gradients == 800 * MIB


def test_reducing_to_the_owner_alone_halves_stage_2():
    alone = {"use_multi_rank_bucket_allreduce": False}
    assert traffic(SIZES, 0.0, alone, stage=2, world=2, parts=1, low=False).gradients == 400 * MIB
