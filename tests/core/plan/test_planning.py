"""A plan of a whole recipe, for one device and many, and against a real run."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from vlc_core.errors import RecipeError
from vlc_core.plan.planning import plan_recipe
from vlc_core.plugins import plugins

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def planned(loaded):
    def plan(*sets, **asked):
        return plan_recipe(loaded(*sets).recipe, plugins().registry, **asked)

    return plan


def test_each_number_of_devices_gets_a_plan_or_a_reason(planned):
    plan = planned(devices=[1, 4, 5, 32], on="cpu")
    assert [rank.devices for rank in plan.ranks] == [1, 4, 32]
    assert [rank.batch_size for rank in plan.ranks] == [32, 8, 1]
    assert list(plan.refused) == [5]
    assert "take 30 or 35" in plan.refused[5]
    flops = [rank.flops for rank in plan.ranks]
    assert flops == sorted(flops, reverse=True)


def test_no_plan_at_all_is_an_error_that_says_which_batch_fits(planned):
    with pytest.raises(RecipeError, match="32, which 7 ranks do not divide"):
        planned(devices=[7], on="cpu")


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
    (rank,) = told["ranks"]
    assert set(rank) == {"devices", "batch_size", "micro_batch_size", "memory", "sent", "flops", "longest_text"}
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
    path = ROOT / "benchmarks" / "memory.py"
    spec = importlib.util.spec_from_file_location("memory_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    case = module.CASES["quickstart"]
    predicted = module.measured("plan", case, 8)
    taken = module.measured("run", case, 8) - module.measured("ready", case, 8)
    assert predicted == pytest.approx(taken, rel=0.3)
