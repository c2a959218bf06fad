"""A plan of a whole recipe, for one device and many, and against a real run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlc_core.engine.settings import rank_batch
from vlc_core.plan.planning import fitted, plan_recipe
from vlc_core.plugins import plugins
from vlc_core.testing.modules import module_at

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def planned(loaded):
    def plan(*sets, **asked):
        return plan_recipe(loaded(*sets).recipe, plugins().registry, **asked)

    return plan


def test_each_number_of_devices_gets_a_plan_and_those_that_do_not_divide_a_reason(planned):
    plan = planned(devices=[1, 4, 5, 32, 4], on="cpu")
    assert [rank.devices for rank in plan.ranks] == [1, 4, 5, 32]
    assert [rank.batch_size for rank in plan.ranks] == [32, 8, 6, 1]
    assert [rank.changed for rank in plan.ranks] == [{}, {}, {"train.batch_size": 30}, {}]
    assert list(plan.refused) == [5]
    assert "take 30 or 35" in plan.refused[5]
    flops = [rank.flops for rank in plan.ranks]
    assert flops == sorted(flops, reverse=True)


@pytest.mark.parametrize(
    ("batch", "micro", "world", "changed", "per_rank", "at_once"),
    [
        (32, None, 1024, {"train.batch_size": 1024}, 1, 1),
        (32, None, 7, {"train.batch_size": 35}, 5, 5),
        (32, 16, 4, {"train.micro_batch_size": 8}, 8, 8),
        (30, 10, 4, {"train.batch_size": 32, "train.micro_batch_size": 8}, 8, 8),
    ],
)
def test_a_batch_that_does_not_divide_is_planned_with_the_nearest_that_does(
    loaded, batch, micro, world, changed, per_rank, at_once
):
    recipe = loaded(f"train.batch_size={batch}", f"train.micro_batch_size={micro or 'null'}").recipe
    fitting, found, reason = fitted(recipe, world)
    assert found == changed
    assert "divide" in reason
    assert rank_batch(fitting, world) == (per_rank, per_rank // at_once)
    assert recipe.train.batch_size == batch


def test_micro_batches_follow_the_ranks(planned):
    plan = planned("train.micro_batch_size=4", devices=[1, 8], on="cpu")
    assert [(rank.batch_size, rank.micro_batch_size) for rank in plan.ranks] == [(32, 4), (4, 4)]


def test_a_rank_alone_is_planned_under_the_stage_that_it_takes(planned):
    stage = "deepspeed.zero_optimization.stage=2"
    alone, four = planned(stage, devices=[1, 4], on="cuda").ranks
    plain = planned(devices=[1], on="cuda").ranks[0]
    assert alone.memory == plain.memory
    assert four.memory.parts["optimizer"] < alone.memory.parts["optimizer"]


def test_everything_is_told_to_programs(planned):
    told = json.loads(json.dumps(planned(devices=[2, 3], on="cpu").as_json()))
    assert set(told) == {"on", "zero_stage", "precision", "ranks", "refused", "untraceable"}
    rank, other = told["ranks"]
    keys = {"devices", "batch_size", "micro_batch_size", "memory", "sent", "flops", "longest_text", "changed"}
    assert set(rank) == keys
    assert (rank["changed"], other["changed"]) == ({}, {"train.batch_size": 33})
    assert {name: sum(parts.values()) for name, parts in rank["memory"]["of_moments"].items()} == rank["memory"][
        "moments"
    ]
    assert sum(rank["memory"]["parts"].values()) == rank["memory"]["total"] == max(rank["memory"]["moments"].values())
    assert rank["sent"]["total"] == pytest.approx(sum(v for k, v in rank["sent"].items() if k != "total"), abs=2)
    assert told["refused"][0]["devices"] == 3


def test_what_cannot_be_traced_is_said_and_nothing_else_fails(planned, monkeypatch):
    from vlc_plugin_clip.objectives import Clip

    monkeypatch.setattr(Clip, "forward", lambda self, step: step.image.embed.sum() * step.text.embed.sum().item())
    plan = planned(on="cpu")
    assert plan.ranks == ()
    assert "without content" in plan.untraceable


def test_planning_writes_nothing(planned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned(devices=[1, 2], on="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc to measure memory")
def test_a_run_takes_what_its_plan_says():
    """The benchmark's own measure on its smallest recipe; the bound is wider than there, as machines differ."""
    module = module_at(ROOT / "benchmarks" / "memory.py")
    case = module.CASES["quickstart"]
    predicted = module.measured("plan", case, 8)
    taken = module.measured("run", case, 8) - module.measured("ready", case, 8)
    assert predicted == pytest.approx(taken, rel=0.3)
