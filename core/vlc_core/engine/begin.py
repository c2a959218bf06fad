"""What a run goes on with: tokenizer, model and engine, anew or as a checkpoint has them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlc_core import assemble, distributed
from vlc_core.engine import optimizer as optimizers
from vlc_core.engine import ranks, zero
from vlc_core.engine.checkpoint import Checkpoint
from vlc_core.engine.folder import RunFolder
from vlc_core.engine.settings import deepspeed_config
from vlc_core.engine.setup import wrap
from vlc_core.errors import RecipeError
from vlc_core.model.depth import rate_scales
from vlc_core.model.learned import start_learned
from vlc_core.model.start import load_start
from vlc_core.model.weights import compared
from vlc_core.recipe.origin import model_home
from vlc_core.tokenizer import Tokenizer

if TYPE_CHECKING:
    from vlc_core.assemble import Data
    from vlc_core.plugins import Plugins
    from vlc_core.pretrainer import Pretrainer
    from vlc_core.recipe import LoadedRecipe
    from vlc_core.recipe.schema import Recipe


def tokenizer(loaded: LoadedRecipe, plugins: Plugins, data: Data, resumed: RunFolder | None) -> Tokenizer:
    """Made on rank 0 alone, which may read many captions; a run that is resumed keeps its own."""

    def make() -> Tokenizer:
        if resumed is not None:
            return Tokenizer.load(resumed.model)
        return assemble.build_tokenizer(loaded.recipe.model, plugins.registry, data.captions, loaded.place)

    return ranks.on_first(make)


def model(
    loaded: LoadedRecipe, plugins: Plugins, data: Data, tokenizer: Tokenizer, saved: Checkpoint | None
) -> Pretrainer:
    """As the checkpoint has it, or as a new one starts: at random, from another run, from pretrained weights."""
    recipe, registry = loaded.recipe, plugins.registry
    towers = assemble.build_towers(recipe.model, registry, tokenizer, loaded.place)
    if saved is None:
        load_start(recipe.model, towers, loaded.place)
    model = assemble.build_pretrainer(recipe, registry, towers, tokenizer, data, loaded.place)
    if saved is not None:
        _restore(model, saved)
    elif recipe.model.from_ is not None and (home := model_home(Path(recipe.model.from_))) is not None:
        start_learned(home, dict(model.objectives.items()))
    return model


def engine(recipe: Recipe, model: Pretrainer, saved: Checkpoint | None) -> Any:
    """The model with its optimizer in DeepSpeed's hands, the moments as they were saved."""
    scales = rate_scales(recipe.model, model.towers)
    groups = optimizers.parameter_groups(model, recipe.train.optimizer.weight_decay, scales)
    optimizer = optimizers.make_optimizer(groups, recipe.train.optimizer)
    engine = wrap(model, optimizer, deepspeed_config(recipe, distributed.world()))
    if saved is not None:
        zero.set_moments(engine, saved.moments, saved.progress.step - saved.progress.skipped_steps)
    return engine


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
