"""A training run from its recipe to its last checkpoint, on one rank of it."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from vlc_core import assemble, distributed, folders
from vlc_core.engine import checkpoint as checkpoints
from vlc_core.engine import optimizer as optimizers
from vlc_core.engine import ranks, schedule, zero
from vlc_core.engine.checkpoint import Checkpoint, Progress
from vlc_core.engine.environment import compare_environments, environment
from vlc_core.engine.folder import RunFolder
from vlc_core.engine.loop import Loop, Plan, StopRequest, Tolerance
from vlc_core.engine.place import place
from vlc_core.engine.preflight import preflight
from vlc_core.engine.recorder import Recorder, Trained
from vlc_core.engine.run import Outcome, Run
from vlc_core.engine.settings import deepspeed_config, rank_batch
from vlc_core.engine.setup import wrap
from vlc_core.engine.shortage import shortage_named
from vlc_core.engine.stepping import Stepper
from vlc_core.engine.watchdog import Watchdog
from vlc_core.errors import RecipeError
from vlc_core.model.compiling import compile_towers
from vlc_core.model.depth import rate_scales
from vlc_core.model.learned import start_learned
from vlc_core.model.start import load_start
from vlc_core.model.weights import compared
from vlc_core.recipe.origin import model_home
from vlc_core.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch

    from vlc_core.assemble import Data
    from vlc_core.plugins import Plugins
    from vlc_core.pretrainer import Pretrainer
    from vlc_core.recipe import LoadedRecipe
    from vlc_core.recipe.schema import Recipe


def train(loaded: LoadedRecipe, plugins: Plugins, *, resume: bool = False, allow_changes: bool = False) -> Outcome:
    """Trains what a recipe says, as the rank that the launcher made this process.

    Args:
        loaded: The recipe, both of its passes done.
        plugins: The loaded plugins; their run events are called on rank 0.
        resume: Go on from the newest checkpoint in the run folder; start where there is none.
        allow_changes: Resume although recipe or data differ from the run's own in ways that change the result.

    Returns:
        How it ended: finished, or interrupted by a signal and saved.

    Raises:
        RecipeError: The recipe contradicts itself, the number of ranks, or the run that is resumed.
        DataError: The data is missing or broken.
        Diverged: The loss or the gradient was not finite in too many steps in a row.
        VlcError: Memory ran out.
        StorageError: The run folder cannot be written.
    """
    here = place()
    on = ranks.device(here.local_rank)
    ranks.join(here, on, seconds=loaded.recipe.train.timeout)
    folder = RunFolder(Path(loaded.recipe.output))

    def take() -> Path | None:
        preflight(loaded, plugins.registry, world=here.world, resume=resume, allow_changes=allow_changes)
        until_the_end.enter_context(folder.held())
        folders.settle_all(folder.path)
        folders.settle_all(folder.checkpoints)
        return checkpoints.newest(folder.checkpoints)

    try:
        with StopRequest().listening() as stop, ranks.losses_named(), ExitStack() as until_the_end:
            _refuse_other_recipes(loaded.recipe)
            return _run(loaded, plugins, folder, ranks.on_first(take), on, stop, allow_changes=allow_changes)
    finally:
        ranks.leave()


def _refuse_other_recipes(recipe: Recipe) -> None:
    """Ranks that train different recipes would wait for each other, or worse, not notice."""
    digests = distributed.gather_objects(sha256(recipe.model_dump_json().encode()).hexdigest())
    other = [rank for rank, digest in enumerate(digests) if digest != digests[0]]
    if other:
        raise RecipeError(
            f"rank {other[0]} was given another recipe than rank 0: give all ranks the same file and --set"
        )


def _run(
    loaded: LoadedRecipe,
    plugins: Plugins,
    folder: RunFolder,
    start: Path | None,
    on: torch.device,
    stop: StopRequest,
    *,
    allow_changes: bool,
) -> Outcome:
    recipe, registry = loaded.recipe, plugins.registry
    saved = None if start is None else checkpoints.load_checkpoint(start)
    progress = Progress() if saved is None else saved.progress

    assemble.seed_everything(recipe.seed)
    data = assemble.build_data(recipe, registry, loaded.place)
    with_what = environment(plugins, data, world=distributed.world(), device=str(on))
    if saved is not None:
        ranks.on_first(partial(compare_environments, folder.environment, with_what, allow=allow_changes))
    evaluators = assemble.build_evaluators(recipe, registry, loaded.place)
    tokenizer = _tokenizer(loaded, plugins, data, folder if saved is not None else None)
    towers = assemble.build_towers(recipe.model, registry, tokenizer, loaded.place)
    if saved is None:
        load_start(recipe.model, towers, loaded.place)
    model = assemble.build_pretrainer(recipe, registry, towers, tokenizer, data, loaded.place)
    if saved is not None:
        _restore(model, saved)
    elif recipe.model.from_ is not None and (home := model_home(Path(recipe.model.from_))) is not None:
        start_learned(home, dict(model.objectives.items()))
    compile_towers(recipe.model, towers, on, loaded.place)
    parameters = assemble.parameter_counts(model)

    world = distributed.world()
    scales = rate_scales(recipe.model, towers)
    groups = optimizers.parameter_groups(model, recipe.train.optimizer.weight_decay, scales)
    optimizer = optimizers.make_optimizer(groups, recipe.train.optimizer)
    engine = wrap(model.to(on), optimizer, deepspeed_config(recipe, world))
    if saved is not None:
        zero.set_moments(engine, saved.moments, progress.step - progress.skipped_steps)

    steps = assemble.total_steps(recipe, data.sampler.epoch)
    per_rank, parts = rank_batch(recipe, world)
    rank = distributed.rank()
    loader = assemble.build_loader(
        recipe, data, model, tokenizer, batch_size=per_rank, steps=steps, start_step=progress.step,
        rank=rank, world=world, pin=on.type == "cuda",
    )  # fmt: skip
    stepper = Stepper(
        engine, model, recipe.seed, rank, steps, per_rank // parts,
        recipe.train.clip_grad_norm, engine.zero_optimization_stage(), data.sampler.epoch / recipe.train.batch_size,
    )  # fmt: skip
    run = Run(recipe, folder.path, steps, progress.step, world, data.sampler.epoch, parameters, progress.step)
    recorder = Recorder(loaded, plugins, folder, run, Trained(engine, model, tokenizer, evaluators))
    watchdog = Watchdog(recipe.train.timeout, recorder.stuck)
    loop = Loop(_plan(recipe, steps, data), stepper, recorder, progress, stop, watchdog)
    with recorder.recording(with_what), ranks.losses_named(), shortage_named(recipe, on), watchdog:
        finished = loop.run(iter(loader), partial(optimizers.set_rate, engine.optimizer))
        return recorder.end(finished, stop.signal)


def _plan(recipe: Recipe, steps: int, data: Data) -> Plan:
    epoch, bad, falls = data.sampler.epoch, recipe.data.max_bad, recipe.train.schedule
    rate = partial(
        schedule.rate,
        use=falls.use,
        peak=recipe.train.optimizer.lr,
        warmup=falls.warmup,
        steps=steps,
        final=falls.final,
    )
    return Plan(
        steps=steps,
        batch_size=recipe.train.batch_size,
        rate=rate,
        evaluate_every=recipe.evaluate.every,
        checkpoint_every=recipe.checkpoint.every,
        tolerance=Tolerance(bad if bad < 1 else bad / epoch, epoch),
        max_skipped_steps=recipe.train.max_skipped_steps,
    )


def _restore(model: Pretrainer, saved: Checkpoint) -> None:
    """Puts back weights, which a changed recipe may not fit.

    Raises:
        RecipeError: They do not fit.
    """
    misfit = compared(model.state_dict(), saved.weights)  # empty where nothing differs
    moments = {f"{name}/{kind}" for name, p in model.named_parameters() if p.requires_grad for kind in zero.MOMENTS}
    lacking = sorted(moments - saved.moments.keys())
    if lacking and not misfit:
        misfit = f"moments of {len(lacking)} tensors are lacking, {lacking[0]} first"
    if misfit:
        raise RecipeError(
            f"the checkpoint of step {saved.progress.step} does not fit the recipe's model: {misfit}; undo the change "
            f"of the recipe, or train anew with another --set output=…"
        )
    model.load_state_dict(dict(saved.weights))


def _tokenizer(loaded: LoadedRecipe, plugins: Plugins, data: Data, resumed: RunFolder | None) -> Tokenizer:
    """Made on rank 0 alone, which may read many captions; a run that is resumed keeps its own."""

    def make() -> Tokenizer:
        if resumed is not None:
            return Tokenizer.load(resumed.model)
        return assemble.build_tokenizer(loaded.recipe.model, plugins.registry, data.captions, loaded.place)

    return ranks.on_first(make)
