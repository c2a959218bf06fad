"""Twins, queues, fusion and masking under every ZeRO stage, on one rank and on two, whole or in micro-batches."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from vlc_core.testing.ranks import run_on_ranks

MIX = ["clip", "twinned", "fused", "hidden"]
STAGES = [0, 1, 2, 3]


@pytest.fixture(scope="module")
def plain(engines: ModuleType):
    """Stage 0, in one piece."""
    return engines.trained(MIX, 4, {})


def test_twins_follow_and_queues_fill(engines: ModuleType, small: ModuleType, plain):
    """By hand: the average of the weights after each step, and as many features as there were samples."""
    trainer = engines.Trainer(MIX)
    name = "towers.text.words.weight".replace("words", "encoder.words")
    twin = dict(trainer.model.named_parameters())["twins.text.copied.encoder.words.weight"]
    expected = twin.detach().double().clone()
    for step in range(3):
        trainer.run(1, first=step)
        expected = 0.9 * expected + 0.1 * dict(trainer.model.named_parameters())[name].detach().double()
        torch.testing.assert_close(twin.double(), expected, rtol=1e-6, atol=1e-6)
    held = min(24, small.QUEUED + 3 * small.SAMPLES)
    assert len(trainer.model.twins.image_queue) == len(trainer.model.twins.text_queue) == held
    numbers = set(trainer.model.twins.text_queue.groups.tolist())
    assert numbers == set(range(small.SAMPLES)), "the queue holds two batches, each of all groups"


@pytest.mark.parametrize("micro", [None, 3])
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_takes_the_steps_of_stage_0(engines: ModuleType, plain, stage: int, micro: int | None):
    engines.agree(engines.trained(MIX, 4, {"stage": stage, "micro": micro}), plain, 2e-5)


def test_two_ranks_take_the_steps_of_one(engines: ModuleType, plain):
    cases = [{"stage": stage, "micro": micro} for stage, micro in [(0, None), (1, 3), (2, None), (3, None), (3, 3)]]
    for rank in run_on_ranks(engines.train_on_rank, 2, MIX, 4, cases):
        for found in rank:
            engines.agree(found, plain, 5e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_a_resumed_run_is_the_run_to_the_bit(engines: ModuleType, stage: int):
    trainer = engines.Trainer(MIX, stage=stage)
    trainer.run(2)
    weights, moments = trainer.saved()
    assert any(name.startswith("twins.image_queue") for name in weights)
    assert not any(name.startswith("twins.") for name in moments), "nothing of a twin is trained"
    other = engines.resumed(MIX, weights, moments, 2, stage=stage)
    assert trainer.run(2, first=2) == other.run(2, first=2)
    for before, after in zip(trainer.saved(), other.saved(), strict=True):
        assert all(torch.equal(before[name], after[name]) for name in before)
