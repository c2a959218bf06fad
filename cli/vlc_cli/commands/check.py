"""``vlc check``: everything that a run would refuse, found without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vlc_cli import options

if TYPE_CHECKING:
    from vlc_core.loading.exposure import Exposure
    from vlc_core.plan.planning import Plan as Takes
    from vlc_core.plugins import Plugins
    from vlc_core.recipe import LoadedRecipe
    from vlc_core.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe would train.

    Attributes:
        name: Of the run.
        output: Its folder.
        output_holds_a_run: Whether training must be told to resume, or to write elsewhere.
        parameters: By part of the model.
        trained: Those of them that are not frozen, by part.
        sources: Samples by source.
        classes: How many classes the sources have together.
        vocabulary: How many ids the tokenizer has.
        special: What its special tokens are called, by what they are for; None where it has none.
        steps: Optimizer steps.
        samples: Samples over all steps.
        epoch_samples: Samples in an epoch.
        epochs: How many of those the run makes.
        exposures: What it sees of each source.
        evaluators: Their names.
        takes: Memory, traffic and compute of a device.
        warnings: What had better be otherwise, a sentence each.
    """

    name: str
    output: str
    output_holds_a_run: bool
    parameters: dict[str, int]
    trained: dict[str, int]
    sources: dict[str, int]
    classes: int
    vocabulary: int
    special: dict[str, str | None]
    steps: int
    samples: int
    epoch_samples: int
    epochs: float
    exposures: tuple[Exposure, ...]
    evaluators: tuple[str, ...]
    takes: Takes
    warnings: tuple[str, ...]


def check(
    recipe: options.RecipeArgument,
    sets: options.Sets = [],  # noqa: B006
    devices: Annotated[
        list[str],
        typer.Option("--devices", metavar="N", help="Plan for so many devices; several as 1,8,1024. Repeatable."),
    ] = ["1"],  # noqa: B006
    on: Annotated[
        Literal["cpu", "cuda"] | None,
        typer.Option("--on", help="Plan for this device; by default what this machine has."),
    ] = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Validate a recipe completely and train nothing.

    The recipe and every option are checked, the data is opened, and the model is built. Memory, traffic and compute of
    a device are worked out. No folder is made.
    """
    from vlc_cli import console, failures, plan_tables
    from vlc_cli.logs import show_warnings
    from vlc_core.plugins import plugins
    from vlc_core.recipe import load_recipe

    show_warnings()
    found = plugins()
    loaded = load_recipe(recipe, sets=sets, registry=found.registry)
    with console.waiting(f"checking {recipe} …"):
        plan = plan_of(loaded, found, devices=plan_tables.counts(devices), on=on)
    if json:
        console.say_json({"recipe": loaded.resolved, "plan": asdict(plan) | {"takes": plan.takes.as_json()}})
    else:
        console.say(described(plan))
        console.say(plan_tables.tables(plan.takes))
        for sentence in plan.warnings:
            failures.warn(sentence)
        if on is None and plan.takes.on == "cpu":
            console.say(console.dim("planned for the CPU, as this machine has no GPU; --on cuda plans for GPUs"))


def plan_of(
    loaded: LoadedRecipe, found: Plugins, *, devices: Sequence[int] = (1,), on: Literal["cpu", "cuda"] | None = None
) -> Plan:
    """Opens the recipe's data and builds its model, with the weights that it starts from.

    What it takes is worked out for ``devices`` of the kind ``on``.

    Raises:
        VlcError: Whatever ``vlc train`` would refuse to start with, on one rank.
    """
    from vlc_core import assemble
    from vlc_core.engine.folder import RunFolder
    from vlc_core.engine.settings import deepspeed_config
    from vlc_core.loading.exposure import exposures
    from vlc_core.model.start import check_origins, load_start
    from vlc_core.plan.planning import make_plan
    from vlc_core.plan.remarks import remarks
    from vlc_core.plan.unknown_classes import unknown_classes

    recipe, where = loaded.recipe, loaded.place
    deepspeed_config(recipe, 1)
    check_origins(recipe.model, where)
    data = assemble.build_data(recipe, found.registry, where)
    evaluators = assemble.build_evaluators(recipe, found.registry, where)
    tokenizer = assemble.build_tokenizer(recipe.model, found.registry, data.captions, where)
    towers = assemble.build_towers(recipe.model, found.registry, tokenizer, where)
    load_start(recipe.model, towers, where)
    model = assemble.build_pretrainer(recipe, found.registry, towers, tokenizer, data, where)
    epoch = data.sampler.epoch
    steps = assemble.total_steps(recipe, epoch)
    samples = steps * recipe.train.batch_size
    folder = RunFolder(Path(recipe.output))
    return Plan(
        name=recipe.name,
        output=recipe.output,
        output_holds_a_run=folder.recipe.exists(),
        parameters=assemble.parameter_counts(model),
        trained=assemble.parameter_counts(model, trained=True),
        sources={source.name: len(source.dataset) for source in data.sources},
        classes=len(data.classes),
        vocabulary=tokenizer.vocabulary.size,
        special=special_tokens(tokenizer),
        steps=steps,
        samples=samples,
        epoch_samples=epoch,
        epochs=samples / epoch,
        exposures=exposures(data.sampler, samples),
        evaluators=tuple(evaluators),
        takes=make_plan(recipe, found.registry, data, tokenizer, devices=devices, on=on),
        warnings=(*remarks(recipe, model, data, where), *unknown_classes(evaluators, data.classes, where)),
    )


def special_tokens(tokenizer: Tokenizer) -> dict[str, str | None]:
    """What the special tokens are called, by what they are for; None where there is none."""
    _, *ids = tokenizer.vocabulary._asdict().items()
    return {role: None if number is None else tokenizer.token(number) or str(number) for role, number in ids}


def _special(tokens: dict[str, str | None]) -> str:
    lacking = [role for role, token in tokens.items() if token is None]
    there = [f"{role} {token}" for role, token in tokens.items() if token is not None]
    return ", ".join(there) + (f"; no {' or '.join(lacking)} token" if lacking else "")


def described(plan: Plan) -> str:
    """``plan`` for people."""
    from vlc_cli import console
    from vlc_cli.progress import epochs, parts, shown

    output = shown(Path(plan.output))
    if plan.output_holds_a_run:
        output += " holds a run: train with --resume, or with --set output=…"
    sources = ", ".join(f"{name} {console.count(size)}" for name, size in plan.sources.items())
    classes = f", {plan.classes:,} classes" if plan.classes else ""
    frozen = {part: size - plan.trained.get(part, 0) for part, size in plan.parameters.items()}
    lines = {
        "recipe": f"{plan.name} is complete and sound",
        "parameters": parts(plan.parameters),
        "frozen": parts({part: size for part, size in frozen.items() if size}) if any(frozen.values()) else "none",
        "data": f"{sources} samples{classes}",
        "tokenizer": f"{plan.vocabulary:,} ids; {_special(plan.special)}",
        "batches": ", ".join(f"{x.share:.3g} {x.source}: {x.epochs:.3g} epochs" for x in plan.exposures),
        "training": f"{plan.steps:,} steps, {console.count(plan.samples)} samples, "
        + epochs(plan.samples, plan.epoch_samples),
        "evaluation": ", ".join(plan.evaluators) or "none",
        "output": output,
    }
    if len(plan.exposures) == 1:
        del lines["batches"]
    return console.listing(lines)
