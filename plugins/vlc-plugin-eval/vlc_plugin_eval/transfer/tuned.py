"""Transfer by fine-tuning, the learning rate and the number of steps swept."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from vlc_core.errors import Diverged
from vlc_core.loading.order import fold
from vlc_plugin_eval.transfer.bench import Bench, Drawn
from vlc_plugin_eval.transfer.journal import Journal, Result
from vlc_plugin_eval.transfer.scores import scores
from vlc_plugin_eval.transfer.swept import Swept
from vlc_plugin_eval.transfer.tuning import Classifier, Setting, Tuning, fine_tune

DIVERGED: Result = {"top1": 0.0, "mean_per_class": 0.0, "diverged": 1.0}


def sweep_tuned(bench: Bench, drawn: Drawn, journal: Journal) -> Swept:
    """Chooses a setting on the validation examples, and tests it trained on all examples.

    Of equal ones the shorter is chosen, then the slower. One that diverges on all examples, although it did not on
    those for training, gives way to the next best.

    Raises:
        Diverged: Every setting does.
    """
    settings = [Setting(rate, steps) for rate, steps in product(bench.protocol.rates, bench.protocol.steps)]
    n, score = drawn.draw.training, drawn.task.score
    found: dict[Setting, Result] = {}
    for number, setting in enumerate(settings, start=1):

        def validated(setting: Setting = setting, number: int = number) -> Result:
            place = f"{drawn}: setting {number} of {len(settings)}, {_name(setting)}"
            model = _trained(bench, drawn, np.arange(n), setting, place)
            if model is None:
                return DIVERGED
            return scores(bench.predicted(model, drawn.draw.pixels[n:]), drawn.draw.y[n:])

        told = drawn.validation(**_told(bench, setting))
        found[setting] = journal.done(told, validated, name=str(drawn))
    sound = [setting for setting in settings if "diverged" not in found[setting]]
    for chosen in sorted(sound, key=lambda one: (-found[one][score], one.steps, one.lr)):

        def tested(chosen: Setting = chosen) -> Result:
            place = f"{drawn}: all examples, {_name(chosen)}"
            model = _trained(bench, drawn, np.arange(len(drawn.draw.y)), chosen, place)
            if model is None:
                return DIVERGED
            predicted, y = bench.tested(model, drawn.task.test)
            unread = float(len(drawn.task.test) - len(y))
            return scores(predicted, y) | {"samples": float(len(y)), "skipped": unread}

        result = journal.done(drawn.test(**_told(bench, chosen)), tested, name=str(drawn))
        if "diverged" not in result:
            swept = {_name(setting): found[setting][score] for setting in settings}
            return Swept("tuned", drawn.number, swept, _name(chosen), result)
    raise Diverged(f"{drawn}: fine-tuning diverges in every setting: give lower learning rates by --lr")


def _trained(bench: Bench, drawn: Drawn, rows: Any, setting: Setting, place: str) -> Classifier | None:
    """The classifier trained on ``rows`` of the examples; None where it diverged."""
    protocol = bench.protocol
    model = bench.classifier(drawn.task)
    tuning = Tuning(protocol.optimizer, protocol.batch_size, bench.transform)
    seed = fold(protocol.seed, drawn.number) >> 1
    loss = fine_tune(model, drawn.draw, rows, setting, tuning, seed=seed, size=bench.model.size, what=place)
    return None if np.isnan(loss) else model


def _told(bench: Bench, setting: Setting) -> dict[str, Any]:
    """What a setting depends on beside the data."""
    protocol = bench.protocol
    return {
        "method": "tuned",
        **setting._asdict(),
        "head": protocol.head,
        "starts": str(protocol.prompts) if protocol.head == "text" else protocol.features,
        "optimizer": protocol.optimizer,
        "batch_size": protocol.batch_size,
        "transform": protocol.transform,
        "seed": protocol.seed,
    }


def _name(setting: Setting) -> str:
    return f"lr {setting.lr:g}, {setting.steps:,} steps"
