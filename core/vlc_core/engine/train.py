"""A training run from its recipe to its last checkpoint, on one rank of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlc_core import assemble, distributed, folders
from vlc_core.engine import begin, ranks, schedule
from vlc_core.engine import checkpoint as checkpoints
from vlc_core.engine import optimizer as optimizers
from vlc_core.engine.checkpoint import Progress
from vlc_core.engine.environment import compare_environments, environment
from vlc_core.engine.folder import RunFolder
from vlc_core.engine.loop import Loop, Plan, StopRequest, Tolerance
from vlc_core.engine.place import place
from vlc_core.engine.preflight import preflight
from vlc_core.engine.recorder import Recorder, Trained
from vlc_core.engine.run import Outcome, Run
from vlc_core.engine.settings import rank_batch
from vlc_core.engine.shortage import shortage_named
from vlc_core.engine.stepping import Stepper
from vlc_core.engine.watchdog import Watchdog
from vlc_core.errors import RecipeError
from vlc_core.model.compiling import compile_towers
from vlc_core.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch

    from vlc_core.assemble import Data
    from vlc_core.batch import Batch
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
    recipe, world = loaded.recipe, distributed.world()
    saved = None if start is None else checkpoints.load_checkpoint(start)
    progress = Progress() if saved is None else saved.progress

    assemble.seed_everything(recipe.seed)
    data = assemble.build_data(recipe, plugins.registry, loaded.place)
    with_what = environment(plugins, data, world=world, device=str(on))
    if saved is not None:
        ranks.on_first(partial(compare_environments, folder.environment, with_what, allow=allow_changes))
    evaluators = assemble.build_evaluators(recipe, plugins.registry, loaded.place)
    tokenizer = begin.tokenizer(loaded, plugins, data, folder if saved is not None else None)
    model = begin.model(loaded, plugins, data, tokenizer, saved)
    compile_towers(recipe.model, model.towers, on, loaded.place)
    parameters = assemble.parameter_counts(model)
    engine = begin.engine(recipe, model.to(on), saved)

    steps = assemble.total_steps(recipe, data.sampler.epoch)
    run = Run(recipe, folder.path, steps, progress.step, world, data.sampler.epoch, parameters, progress.step)
    recorder = Recorder(loaded, plugins, folder, run, Trained(engine, model, tokenizer, evaluators))
    watchdog = Watchdog(recipe.train.timeout, recorder.stuck)
    loader, stepper = _steps(recipe, data, model, tokenizer, engine, range(progress.step, steps), on)
    loop = Loop(_plan(recipe, steps, data), stepper, recorder, progress, stop, watchdog)
    with recorder.recording(with_what), ranks.losses_named(), shortage_named(recipe, on), watchdog:
        finished = loop.run(iter(loader), partial(optimizers.set_rate, engine.optimizer))
        return recorder.end(finished, stop.signal)


def _steps(
    recipe: Recipe, data: Data, model: Pretrainer, tokenizer: Tokenizer, engine: Any,
    steps: range, on: torch.device,
) -> tuple[Iterable[Batch], Stepper]:  # fmt: skip
    """This rank's batches, and what makes a step of one."""
    rank, world = distributed.rank(), distributed.world()
    per_rank, parts = rank_batch(recipe, world)
    loader = assemble.build_loader(
        recipe, data, model, tokenizer, batch_size=per_rank, steps=steps.stop, start_step=steps.start,
        rank=rank, world=world, pin=on.type == "cuda",
    )  # fmt: skip
    stepper = Stepper(
        engine, model, recipe.seed, rank, steps.stop, per_rank // parts,
        recipe.train.clip_grad_norm, engine.zero_optimization_stage(), data.sampler.epoch / recipe.train.batch_size,
    )  # fmt: skip
    return loader, stepper


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
