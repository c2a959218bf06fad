"""``vlc check``: everything that a run would refuse, found without one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlc_cli import options

if TYPE_CHECKING:
    from vlc_core.plugins import Plugins
    from vlc_core.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe would train.

    Attributes:
        name: Of the run.
        output: Its folder.
        output_holds_a_run: Whether training must be told to resume, or to write elsewhere.
        parameters: By part of the model.
        sources: Samples by source.
        classes: How many classes the sources have together.
        vocabulary: How many ids the tokenizer has.
        steps: Optimizer steps.
        samples: Samples over all steps.
        epoch_samples: Samples in an epoch.
        epochs: How many of those the run makes.
        evaluators: Their names.
    """

    name: str
    output: str
    output_holds_a_run: bool
    parameters: dict[str, int]
    sources: dict[str, int]
    classes: int
    vocabulary: int
    steps: int
    samples: int
    epoch_samples: int
    epochs: float
    evaluators: tuple[str, ...]


def check(
    recipe: options.RecipeArgument,
    sets: options.Sets = [],  # noqa: B006
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Validate a recipe completely and train nothing.

    The recipe and every option are checked, the data is opened, and the model is built. No folder is made.
    """
    from vlc_cli import console
    from vlc_cli.logs import show_warnings
    from vlc_core.plugins import plugins
    from vlc_core.recipe import load_recipe

    show_warnings()
    found = plugins()
    loaded = load_recipe(recipe, sets=sets, registry=found.registry)
    with console.waiting(f"checking {recipe} …"):
        plan = plan_of(loaded.recipe, found)
    if json:
        console.say_json({"recipe": loaded.resolved, "plan": asdict(plan)})
    else:
        console.say(described(plan))


def plan_of(recipe: Recipe, found: Plugins) -> Plan:
    """Opens the recipe's data and builds its model.

    Raises:
        VlcError: Whatever ``vlc train`` would refuse to start with, on one rank.
    """
    from vlc_core import assemble
    from vlc_core.engine.folder import RunFolder
    from vlc_core.engine.settings import deepspeed_config

    deepspeed_config(recipe, 1)
    data = assemble.build_data(recipe, found.registry)
    evaluators = assemble.build_evaluators(recipe, found.registry)
    tokenizer = assemble.build_tokenizer(recipe.model, found.registry, data.captions)
    towers = assemble.build_towers(recipe.model, found.registry, tokenizer)
    model = assemble.build_pretrainer(recipe, found.registry, towers, tokenizer, data)
    epoch = data.sampler.epoch
    steps = assemble.total_steps(recipe, epoch)
    samples = steps * recipe.train.batch_size
    folder = RunFolder(Path(recipe.output))
    return Plan(
        name=recipe.name,
        output=recipe.output,
        output_holds_a_run=folder.recipe.exists(),
        parameters=assemble.parameter_counts(model),
        sources={source.name: len(source.dataset) for source in data.sources},
        classes=len(data.classes),
        vocabulary=tokenizer.vocabulary.size,
        steps=steps,
        samples=samples,
        epoch_samples=epoch,
        epochs=samples / epoch,
        evaluators=tuple(evaluators),
    )


def described(plan: Plan) -> str:
    """``plan`` for people."""
    from vlc_cli import console
    from vlc_cli.progress import epochs, parts, shown

    output = shown(Path(plan.output))
    if plan.output_holds_a_run:
        output += " holds a run: train with --resume, or with --set output=…"
    sources = ", ".join(f"{name} {console.count(size)}" for name, size in plan.sources.items())
    classes = f", {plan.classes:,} classes" if plan.classes else ""
    lines = {
        "recipe": f"{plan.name} is complete and sound",
        "parameters": parts(plan.parameters),
        "data": f"{sources} samples{classes}, {plan.vocabulary:,} token ids",
        "training": f"{plan.steps:,} steps, {console.count(plan.samples)} samples, "
        + epochs(plan.samples, plan.epoch_samples),
        "evaluation": ", ".join(plan.evaluators) or "none",
        "output": output,
    }
    return console.listing(lines)
