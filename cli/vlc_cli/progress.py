"""A training run on the terminal: what starts, how far it is, what came out, and what to do next."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vlc_cli import console
from vlc_core.hookspecs import hookimpl
from vlc_core.progress import Bar, Display, Lines, moves

if TYPE_CHECKING:
    from vlc_core.engine.run import Outcome, Run
    from vlc_core.interfaces.evaluator import Evaluation

SMOOTHING = 0.9
CLOSING_METRICS = {"loss": "loss", "logit scale": "logit_scale"}


class TrainingProgress:
    """Run events to stdout, as a plugin of the run."""

    def __init__(self) -> None:
        self._display: Display | None = None
        self._seconds: float | None = None
        self._notice = console.Notice()

    def preparing(self) -> None:
        """Says that the data is opened and the model is built, until there is more to say."""
        self._notice.show("preparing …")

    @hookimpl
    def vlc_run_start(self, run: Run) -> None:
        self._notice.clear()
        console.say(introduction(run))
        self._display = _bar(run) if moves(sys.stdout) else Lines()

    @hookimpl
    def vlc_step_end(self, run: Run, metrics: dict[str, float]) -> None:
        if self._display is None:
            return
        step, batch = int(metrics["step"]), run.recipe.train.batch_size
        taken = batch / metrics["samples_per_second"]
        # Seconds are averaged, not rates: a step that was measured too short must not outweigh the others.
        self._seconds = taken if self._seconds is None else SMOOTHING * self._seconds + (1 - SMOOTHING) * taken
        rate, left = batch / self._seconds, console.duration((run.steps - step) * self._seconds)
        words = f"loss {metrics['loss']:.4f} · {rate:,.0f} samples/s · {left} left"
        self._display.show(step, run.steps, words)

    @hookimpl
    def vlc_evaluated(self, run: Run, name: str, evaluation: Evaluation) -> None:
        console.say(f"step {run.step:,} · {console.bold(name)} · {console.metric_line(evaluation.metrics)}")

    @hookimpl
    def vlc_checkpoint_saved(self, run: Run, path: Path) -> None:
        console.say(console.dim(f"step {run.step:,} · checkpoint {shown(path)}"))

    @hookimpl
    def vlc_run_end(self, run: Run, outcome: Outcome) -> None:
        self.close()
        if outcome.status != "failed":
            console.say(conclusion(run, outcome))
            console.say(next_commands(run, outcome))

    def close(self) -> None:
        """Gives the terminal back, however the run ended."""
        self._notice.clear()
        if self._display is not None:
            self._display.close()
            self._display = None


def _bar(run: Run) -> Bar:
    return Bar("training", run.steps, done=run.first_step, words="first step …")


def introduction(run: Run) -> str:
    """What is about to be trained, on what, and for how long."""
    recipe, batch, steps = run.recipe, run.recipe.train.batch_size, run.steps - run.first_step
    resumed = f", resumed after step {run.first_step:,}" if run.first_step else ""
    objectives = " + ".join(objective.name for objective in recipe.objectives)
    ranks = f"{run.world} rank{'' if run.world == 1 else 's'}"
    lines = {
        "run": f"{recipe.name} in {shown(run.folder)}{resumed}",
        "model": f"{recipe.model.image.use} + {recipe.model.text.use}, trained by {objectives}",
        "parameters": parts(run.parameters),
        "training": f"{steps:,} steps × {batch:,} = {console.count(steps * batch)} samples, "
        + epochs(steps * batch, run.epoch_samples),
        "on": f"{ranks} in {recipe.train.precision}",
    }
    return console.listing(lines)


def parts(parameters: Mapping[str, int]) -> str:
    """``1.5 M: image 1.2 M, text 300,000``."""
    by_part = ", ".join(f"{name.removeprefix('towers.')} {console.count(size)}" for name, size in parameters.items())
    return f"{console.count(sum(parameters.values()))}: {by_part}"


def epochs(samples: int, epoch_samples: int) -> str:
    """``1.7 epochs of 1,438 samples``."""
    number = samples / epoch_samples
    shown = f"{number:.3g}" if number < 1000 else f"{number:,.0f}"
    return f"{shown} epochs of {epoch_samples:,} samples"


def conclusion(run: Run, outcome: Outcome) -> str:
    """How the run ended and what it reached, as a table; and how many samples had to be replaced."""
    head = f"{outcome.status} after {outcome.steps:,} steps, {console.duration(outcome.seconds)}"
    if outcome.status != "finished":
        head += f" · {outcome.reason}"
    rows = [(name, f"{outcome.metrics[key]:.4f}") for name, key in CLOSING_METRICS.items() if key in outcome.metrics]
    for name, evaluation in outcome.evaluations.items():
        measured = console.without_counts(evaluation.metrics)
        rows += [(f"{name} {metric}", shown) for metric, shown in console.metric_rows(measured)]
    table = "\n" + console.table(("result", "value"), rows, title=head, right=("value",))
    return f"{table}\n{replaced(run, outcome.skipped)}" if outcome.skipped else table


def replaced(run: Run, skipped: int) -> str:
    """How many samples could not be used, and where they are listed."""
    many = "1 sample" if skipped == 1 else f"{skipped:,} samples"
    return f"{many} could not be used and had others drawn in place: see {shown(run.folder / 'skipped.jsonl')}"


def next_commands(run: Run, outcome: Outcome) -> str:
    """Three things to do with the run, to be copied to a shell."""
    folder = shlex.quote(shown(run.folder))
    recipe = shlex.quote(shown(run.folder / "recipe.yaml"))
    python = f"from vlc_core.inference import DualEncoder; model = DualEncoder.load({shown(run.folder)!r})"
    more = "" if outcome.status == "interrupted" else f" --set train.steps={2 * run.steps}"
    commands = {f"vlc eval {folder}": "measure the trained model"} if run.recipe.evaluate.with_ else {}
    commands |= {
        f"vlc train {recipe} --resume{more}": "train on",
        f'python -c "{python}"': "use it from Python",
    }
    lines = [f"  {command}  {console.dim(f'# {purpose}')}" for command, purpose in commands.items()]
    return "\n".join([console.bold("next"), *lines])


def shown(path: Path) -> str:
    """``path`` as seen from the working directory, where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)
