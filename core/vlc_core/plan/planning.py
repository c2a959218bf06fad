"""What a recipe would take on one device and on many, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vlc_core import assemble
from vlc_core.assemble import Data
from vlc_core.engine.settings import rank_batch, zero_stage, zero_stage_taken
from vlc_core.errors import RecipeError
from vlc_core.plan import shell
from vlc_core.plan.memory import Memory, Sizes, memory
from vlc_core.plan.trace import Subject, Traced, Untraceable, trace
from vlc_core.plan.traffic import Traffic, traffic
from vlc_core.recipe.schema import Recipe
from vlc_core.registry import Registry
from vlc_core.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class RankPlan:
    """What one of ``devices`` ranks takes.

    Attributes:
        devices: How many ranks there are.
        batch_size: Samples of a rank in a step.
        micro_batch_size: Samples of which it holds the activations at once.
        memory: Its memory.
        traffic: What it sends in a step.
        flops: What it computes in a step, a multiply and an add counted as two.
        longest_text: Tokens of the longest text of the batch that was looked at.
        changed: The keys of the recipe that are planned with another value, because so many ranks need one.
    """

    devices: int
    batch_size: int
    micro_batch_size: int
    memory: Memory
    traffic: Traffic
    flops: int
    longest_text: int
    changed: dict[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe would take.

    Attributes:
        on: ``cpu`` or ``cuda``.
        zero_stage: Of DeepSpeed.
        precision: Of the recipe.
        ranks: For each number of devices that was asked for.
        refused: Why the batch does not allow some of them, by number of devices: these are planned with the nearest
            batch that does.
        untraceable: Why ``ranks`` is empty; empty where it is not.
    """

    on: str
    zero_stage: int
    precision: str
    ranks: tuple[RankPlan, ...]
    refused: dict[int, str]
    untraceable: str = ""

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs; sizes in bytes."""
        return {
            "on": self.on,
            "zero_stage": self.zero_stage,
            "precision": self.precision,
            "ranks": [_as_json(rank) for rank in self.ranks],
            "refused": [{"devices": devices, "reason": reason} for devices, reason in self.refused.items()],
            "untraceable": self.untraceable,
        }


def make_plan(
    recipe: Recipe,
    registry: Registry,
    data: Data,
    tokenizer: Tokenizer,
    *,
    devices: Sequence[int] = (1,),
    on: str | None = None,
) -> Plan:
    """Plans a recipe. Nothing is written, no image is read and no weight is made.

    Args:
        recipe: The recipe.
        registry: Where its components are found.
        data: Its sources, opened.
        tokenizer: Of its model.
        devices: Numbers of ranks.
        on: ``cpu`` or ``cuda``; by default what this machine has.
    """
    on = on or ("cuda" if torch.cuda.is_available() else "cpu")
    subject = Subject(recipe, registry, data, tokenizer, packs=on == "cpu")
    settings = zero_settings(recipe)
    refused: dict[int, str] = {}
    ranks: list[RankPlan] = []
    untraceable = ""
    try:
        sizes = _sizes(subject, settings)
        for world in dict.fromkeys(devices):
            fitting, changed, reason = fitted(recipe, world)
            refused |= {world: reason} if reason else {}
            per_rank, parts = rank_batch(fitting, world)
            traced = trace(subject, world=world, per_rank=per_rank, parts=parts)
            ranks.append(_rank(fitting, traced, sizes, settings, changed, world=world, on=on))
    except Untraceable as error:
        untraceable = str(error)
    return Plan(on, zero_stage(recipe.deepspeed), recipe.train.precision, tuple(ranks), refused, untraceable)


def zero_settings(recipe: Recipe) -> Mapping[str, Any]:
    """DeepSpeed's ``zero_optimization`` section of a recipe."""
    settings: Mapping[str, Any] = recipe.deepspeed.get("zero_optimization") or {}
    return settings


def fitted(recipe: Recipe, world: int) -> tuple[Recipe, dict[str, int], str]:
    """The recipe with a batch that ``world`` ranks divide, the nearest one; what was changed; why.

    The last two are empty where nothing had to be.
    """
    try:
        rank_batch(recipe, world)
    except RecipeError as error:
        batch, micro = recipe.train.batch_size, recipe.train.micro_batch_size
        per_rank = max(1, round(batch / world))
        sizes: dict[str, int | None] = {"batch_size": per_rank * world}
        if micro is not None:
            sizes["micro_batch_size"] = next(n for n in range(min(micro, per_rank), 0, -1) if per_rank % n == 0)
        changed = {f"train.{key}": new for key, new in sizes.items() if new and new != getattr(recipe.train, key)}
        return recipe.model_copy(update={"train": recipe.train.model_copy(update=sizes)}), changed, str(error)
    return recipe, {}, ""


def _sizes(subject: Subject, settings: Mapping[str, Any]) -> Sizes:
    build = (subject.recipe, subject.registry, subject.tokenizer, subject.data)
    try:
        return Sizes.of(shell.build_empty(*build), settings)
    except Exception:  # an encoder that reads its own weights while it is built
        return Sizes.of(shell.build_full(*build), settings)


def _rank(
    recipe: Recipe,
    traced: Traced,
    sizes: Sizes,
    settings: Mapping[str, Any],
    changed: dict[str, int],
    *,
    world: int,
    on: str,
) -> RankPlan:
    per_rank, parts = rank_batch(recipe, world)
    low, stage = recipe.train.precision == "bf16", zero_stage_taken(recipe.deepspeed, world)
    return RankPlan(
        devices=world,
        batch_size=per_rank,
        micro_batch_size=per_rank // parts,
        memory=memory(traced, sizes, settings, stage=stage, world=world, on=on),
        traffic=traffic(sizes, traced.sent, settings, stage=stage, world=world, parts=parts, low=low),
        flops=traced.flops,
        longest_text=traced.longest,
        changed=changed,
    )


def _as_json(rank: RankPlan) -> dict[str, Any]:
    sent = rank.traffic
    return {
        "devices": rank.devices,
        "batch_size": rank.batch_size,
        "micro_batch_size": rank.micro_batch_size,
        "memory": {
            "total": rank.memory.total,
            "moment": rank.memory.moment,
            "parts": rank.memory.parts,
            "moments": rank.memory.moments,
            "of_moments": rank.memory.of_moments,
            "saving": rank.memory.saving,
        },
        "sent": {
            "total": round(sent.total),
            "gradients": round(sent.gradients),
            "weights": round(sent.weights),
            "objectives": round(sent.objectives),
        },
        "flops": rank.flops,
        "longest_text": rank.longest_text,
        "changed": rank.changed,
    }


def plan_recipe(recipe: Recipe, registry: Registry, *, devices: Sequence[int] = (1,), on: str | None = None) -> Plan:
    """As :func:`make_plan`, opening the data and making the tokenizer itself.

    Raises:
        VlcError: They cannot be opened or made.
    """
    data = assemble.build_data(recipe, registry)
    tokenizer = assemble.build_tokenizer(recipe.model, registry, data.captions)
    return make_plan(recipe, registry, data, tokenizer, devices=devices, on=on)
