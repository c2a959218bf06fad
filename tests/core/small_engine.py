"""Small models in DeepSpeed's engine, in this process: loaded by path, in tests and on ranks of their own."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from vlc_core import accounting, distributed
from vlc_core.batch import Batch
from vlc_core.engine import optimizer as optimizers
from vlc_core.engine import zero
from vlc_core.engine.settings import deepspeed_config
from vlc_core.engine.setup import wrap
from vlc_core.engine.stepping import Stepper
from vlc_core.recipe.schema import Recipe
from vlc_core.testing.modules import module_at

STEPS = 6


def small() -> ModuleType:
    """The module of small models."""
    return module_at(Path(__file__).with_name("small_model.py"))


def alone() -> None:
    """Joins a process group of one, unless there is a group already."""
    os.environ["LOCAL_RANK"] = "0"
    os.environ["DS_ACCELERATOR"] = "cpu"
    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)


def recipe(**changes: Any) -> Recipe:
    """A recipe; keys of ``train`` and ``deepspeed`` by keyword."""
    train = {"steps": STEPS, "batch_size": small().SAMPLES, "optimizer": {"lr": 2e-2, "weight_decay": 0.1}}
    section = changes.pop("deepspeed", {})
    return Recipe.model_validate(
        {
            "model": {"image": {"use": "look"}, "text": {"use": "read"}},
            "objectives": [{"use": "clip"}],
            "data": {"train": [{"use": "none"}]},
            "train": {**train, **changes},
            "deepspeed": section,
        },
        strict=False,
    )


class Trainer:
    """What the loop does with a stepper, and nothing else."""

    def __init__(
        self,
        mix: list[str],
        *,
        stage: int = 0,
        micro: int | None = None,
        model: dict[str, Any] | None = None,
        **train: Any,
    ) -> None:
        alone()
        said = recipe(deepspeed={"zero_optimization": {"stage": stage}}, micro_batch_size=micro, **train)
        self.model = small().model(mix, dtype=torch.float32, **(model or {}))
        adam = said.train.optimizer
        groups = optimizers.parameter_groups(self.model, adam.weight_decay)
        optimizer = optimizers.make_optimizer(groups, adam)
        config = deepspeed_config(said, distributed.world())
        # Also where one rank alone would be given stage 0: what several ranks do is tried on one.
        config["zero_optimization"]["stage"] = stage
        config["gradient_clipping"] = (
            0.0 if stage == 0 or said.train.clip_grad_norm is None else said.train.clip_grad_norm
        )
        self.engine = wrap(self.model, optimizer, config)
        self.share = said.train.batch_size // distributed.world()
        self.stepper = Stepper(
            self.engine,
            self.model,
            3,
            distributed.rank(),
            STEPS,
            self.share if micro is None else micro,
            said.train.clip_grad_norm,
            stage,
            STEPS,
        )

    def batch(self, step: int) -> Batch:
        """This rank's share of the batch of ``step``."""
        return small().batch(torch.float32, seed=step).split(self.share)[distributed.rank()]

    def run(self, steps: int, *, first: int = 0) -> list[dict[str, float]]:
        """The metrics of some steps."""
        taken = []
        for step in range(first, first + steps):
            *terms, scale, norm = self.stepper(self.batch(step), step).tolist()
            metrics = accounting.report(self.model.term_names, torch.tensor(terms).view(-1, 2), self.model.weights)
            taken.append(metrics | {"scale": scale, "norm": norm})
        return taken

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights and moments."""
        return zero.state(self.model), zero.moments(self.engine)


def resumed(mix: list[str], weights: Any, moments: Any, steps: int, **options: Any) -> Trainer:
    """A new trainer that stands where another stood."""
    start = small().model(mix, dtype=torch.float32, **options.get("model", {}))
    start.load_state_dict(weights)
    made = small().model
    small().model = lambda *_, **__: start
    try:
        trainer = Trainer(mix, **options)
    finally:
        small().model = made
    zero.set_moments(trainer.engine, moments, steps)
    return trainer


def trained(mix: list[str], steps: int, options: dict[str, Any]) -> list[Any]:
    """Metrics, weights and moments after some steps."""
    trainer = Trainer(mix, **options)
    return [trainer.run(steps), *trainer.saved()]


class Spoilt(Trainer):
    """Step 1 is not finite, by what the last sample of the last rank is: its picture, or a group that :class:`Odd`
    takes for a reason to give no number."""

    spoils: str

    def batch(self, step: int) -> Batch:
        given = super().batch(step)
        if step == 1 and distributed.rank() == distributed.world() - 1:
            if self.spoils == "picture":
                given.pixels[:, -1] = torch.inf
            else:
                given.groups[-1] = -1
        return given


def spoilt(mix: list[str], spoils: str, options: dict[str, Any]) -> list[Any]:
    """Metrics, weights and moments after each of three steps."""
    trainer = Spoilt(mix, **options)
    trainer.spoils = spoils
    return [[trainer.run(1, first=step)[0], *trainer.saved()] for step in range(3)]


def spoilt_on_rank(rank: int, world: int, mix: list[str], spoils: str, cases: list[dict[str, Any]]) -> list[Any]:
    """Several of :func:`spoilt`, for ``run_on_ranks``."""
    return [spoilt(mix, spoils, options) for options in cases]


def agree(one: Any, other: Any, tolerance: float = 1e-5) -> None:
    """Metrics, weights and moments."""
    for mine, theirs in zip(one[0], other[0], strict=True):
        assert mine == pytest.approx(theirs, rel=tolerance)
    for mine, theirs in zip(one[1:], other[1:], strict=True):
        assert mine.keys() == theirs.keys()
        for name, tensor in mine.items():
            torch.testing.assert_close(
                tensor, theirs[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: n + m
            )


def train_on_rank(rank: int, world: int, mix: list[str], steps: int, cases: list[dict[str, Any]]) -> list[Any]:
    """Several of :func:`trained`, for ``run_on_ranks``."""
    return [trained(mix, steps, options) for options in cases]


def round_trips_on_rank(rank: int, world: int, mix: list[str], stages: list[int]) -> list[Any]:
    """:func:`round_trip` under several stages, for ``run_on_ranks``."""
    return [round_trip(mix, stage) for stage in stages]


def round_trip(mix: list[str], stage: int) -> list[Any]:
    """What is saved, put back into a new engine, and saved again; and the steps that follow either way."""
    trainer = Trainer(mix, stage=stage)
    trainer.run(2)
    weights, moments = trainer.saved()
    other = resumed(mix, weights, moments, 2, stage=stage)
    again = other.saved()
    return [[weights, moments], list(again), trainer.run(2, first=2), other.run(2, first=2)]
