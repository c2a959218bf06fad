"""A recipe as DeepSpeed's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vlc_core.errors import RecipeError

if TYPE_CHECKING:
    from vlc_core.recipe.schema import Recipe

# What the recipe says in a place of its own, so that DeepSpeed's section may not say it again.
_OWNED = {
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


def rank_batch(recipe: Recipe, world: int) -> tuple[int, int]:
    """The batch of a rank, and how many micro-batches it is cut into.

    Raises:
        RecipeError: The batch does not divide.
    """
    batch, micro = recipe.train.batch_size, recipe.train.micro_batch_size
    if batch % world:
        fitting = [n for n in (batch // world * world, (batch // world + 1) * world) if n > 0]
        raise RecipeError(
            f"train.batch_size is {batch}, which {world} ranks do not divide: take {' or '.join(map(str, fitting))}"
        )
    per_rank = batch // world
    micro = per_rank if micro is None else micro
    if per_rank % micro:
        raise RecipeError(
            f"train.batch_size {batch} on {world} rank(s) is {per_rank} a rank, which train.micro_batch_size {micro} "
            f"does not divide: {batch} must be a multiple of {world} × {micro}"
        )
    return per_rank, per_rank // micro


def deepspeed_config(recipe: Recipe, world: int) -> dict[str, Any]:
    """The configuration that ``deepspeed.initialize`` gets: the recipe's own keys, and ``deepspeed:`` as it stands.

    Raises:
        RecipeError: ``deepspeed:`` sets what the recipe says elsewhere, or the batch does not divide.
    """
    problems = [*_contradictions(recipe.deepspeed), *_uncompilable(recipe)]
    if problems:
        raise RecipeError(problems)
    per_rank, parts = rank_batch(recipe, world)
    stage = zero_stage_taken(recipe.deepspeed, world)
    clip = recipe.train.clip_grad_norm
    config: dict[str, Any] = {
        "train_batch_size": recipe.train.batch_size,
        "train_micro_batch_size_per_gpu": per_rank // parts,
        "gradient_accumulation_steps": parts,
        # Stage 0 clips in the engine's own step, which also tells the norm; DeepSpeed's stage 0 does not.
        "gradient_clipping": clip if clip is not None and stage > 0 else 0.0,
        "steps_per_print": 2**31,
    }
    if recipe.train.precision == "bf16":
        # Autocast over fp32 parameters: an optimizer step on a bf16 scale or twin would round to nothing.
        config["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
    return _merged(_merged(config, recipe.deepspeed), {"zero_optimization": {"stage": stage}})


def zero_stage_taken(deepspeed: Mapping[str, Any], world: int) -> int:
    """The ZeRO stage that ``world`` ranks train under.

    Alone there is nobody to share with: stages 1 and 2 would take the same steps as 0, copy every gradient and weight
    several times on the way, and hold the weights twice. Where they offload to the CPU they are of use.
    """
    stage = zero_stage(deepspeed)
    useless = world == 1 and stage in (1, 2) and "offload_optimizer" not in deepspeed["zero_optimization"]
    return 0 if useless else stage


def zero_stage(deepspeed: Mapping[str, Any]) -> int:
    """The ZeRO stage that a ``deepspeed:`` section asks for; 0 where it asks for none.

    Raises:
        RecipeError: It asks for something else.
    """
    section = deepspeed.get("zero_optimization")
    section = {} if section is None else section
    stage = section.get("stage", 0) if isinstance(section, Mapping) else None
    if type(stage) is not int or not 0 <= stage <= 3:
        raise RecipeError(f"deepspeed.zero_optimization is {section!r}: write {{stage: N}} there, with N from 0 to 3")
    return stage


def _contradictions(section: Mapping[str, Any]) -> Iterator[str]:
    for key in section:
        if key in _OWNED:
            yield f"deepspeed.{key} contradicts {_OWNED[key]}: remove deepspeed.{key} and set {_OWNED[key]}"


def _uncompilable(recipe: Recipe) -> Iterator[str]:
    towers = {"image": recipe.model.image, "text": recipe.model.text}
    for side, tower in towers.items():
        if tower.compile and zero_stage(recipe.deepspeed) == 3:
            yield (
                f"model.{side}.compile does not work under ZeRO stage 3, which gathers parameters while layers run: "
                "set it to false, or deepspeed.zero_optimization.stage to 2"
            )


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
