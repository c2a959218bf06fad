"""``vlc transfer``. Nothing heavy is imported until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from vlc_core.interfaces.evaluator import Evaluation

TASK_HELP = (
    "A labelled SOURCE (a folder of class folders, a table, tars, a dataset as in a recipe), of which a part is held "
    "out for testing; '{train: SOURCE, test: SOURCE}'; or a .yaml file with a list of these."
)


def transfer(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or its model folder.")],
    tasks: Annotated[list[str], typer.Argument(metavar="TASK", help=TASK_HELP)],
    only: Annotated[
        Literal["frozen", "tuned"] | None,
        typer.Option("--only", help="A linear classifier on frozen features, or fine-tuning; both without."),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=4, help="To learn a task from.")] = 1000,
    validation: Annotated[
        int | None,
        typer.Option("--validation", min=1, help="How many of them settings are chosen on; a fifth without."),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="How often examples are drawn and all is done.")] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Everything random follows from it.")] = 0,
    score: Annotated[
        Literal["top1", "mean_per_class"],
        typer.Option("--score", help="What settings are chosen by, of tasks that do not say it."),
    ] = "top1",
    holdout: Annotated[
        float,
        typer.Option("--holdout", min=0.01, max=0.9, help="The share of each class held out where a task has no test."),
    ] = 0.2,
    features: Annotated[
        Literal["summary", "embed"],
        typer.Option("--features", help="What the encoder gives, or its projection to the shared space."),
    ] = "summary",
    rates: Annotated[
        list[float], typer.Option("--lr", min=0.0, help="A peak learning rate of the sweep. Repeatable.")
    ] = [0.1, 0.01],  # noqa: B006
    steps: Annotated[
        list[int], typer.Option("--steps", min=1, help="A length of fine-tuning in the sweep. Repeatable.")
    ] = [250, 1000],  # noqa: B006
    batch_size: Annotated[int, typer.Option("--batch-size", min=2, help="Of fine-tuning.")] = 64,
    optimizer: Annotated[
        Literal["sgd", "adamw"], typer.Option("--optimizer", help="Of fine-tuning; adamw wants lower rates.")
    ] = "sgd",
    head: Annotated[
        Literal["zero", "text"],
        typer.Option("--head", help="Where fine-tuning's head starts: at zero, or at the class names' embeddings."),
    ] = "zero",
    prompts: Annotated[
        str, typer.Option("--prompts", help="Templates of the class names, for --head text.")
    ] = "clip80",
    transform: Annotated[
        str | None,
        typer.Option(
            "--transform",
            metavar="TRANSFORM",
            help="Views of the examples in fine-tuning, as in a recipe: '{use: clip, flip: 0.5}'; none without.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where results go; the run's evaluations/ without."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")] = False,
) -> None:
    """Measure transfer to small labelled tasks, frozen and fine-tuned.

    Each task is learnt from 1,000 examples: settings are tried on 800, chosen on 200, and the chosen one learns from
    all and is tested on the task's test samples. A command that was stopped goes on where it was.
    """
    from vlc_core import terminal
    from vlc_core.plugins import plugins
    from vlc_plugin_eval.transfer.asked import asked
    from vlc_plugin_eval.transfer.bench import Bench
    from vlc_plugin_eval.transfer.measure import measure
    from vlc_plugin_eval.transfer.protocol import METHODS, Protocol
    from vlc_plugin_eval.transfer.results import as_evaluation
    from vlc_plugin_eval.transfer.written import JOURNAL, place, write

    protocol = Protocol(
        methods=METHODS if only is None else (only,),
        examples=examples,
        validation=max(1, examples // 5) if validation is None else validation,
        draws=draws,
        seed=seed,
        holdout=holdout,
        score=score,
        features=features,
        rates=tuple(dict.fromkeys(rates)),
        steps=tuple(dict.fromkeys(steps)),
        optimizer=optimizer,
        batch_size=batch_size,
        head=head,
        prompts=prompts,
        transform=_transform(transform),
    )
    folder = place(run, output)
    registry = plugins().registry
    with terminal.waiting(f"opening {run} …"):
        found = asked(tasks, registry)
        bench = Bench.load(run, protocol, registry)
    measured = []
    for one in measure(bench, found, registry, folder / JOURNAL):
        measured.append(one)
        for remark in one.remarks:
            typer.echo(f"note: {remark}", err=True)
    evaluation = as_evaluation(measured, protocol)
    written = write(folder, evaluation)
    if json:
        terminal.say_json({"metrics": evaluation.metrics, "details": evaluation.details, "tables": _tables(evaluation)})
        return
    _print(evaluation)
    terminal.say(terminal.dim(f"written to {written}"))


def _transform(text: str | None) -> dict[str, Any] | None:
    """A transform as a recipe writes it, or its bare name."""
    from vlc_core.errors import RecipeError
    from vlc_core.recipe.tree import Mark
    from vlc_core.recipe.yaml import parse

    if text is None:
        return None
    node = parse(text, Mark("--transform", 0, Path.cwd()))
    plain = None if node is None else node.plain()
    plain = {"use": plain} if isinstance(plain, str) else plain
    if not isinstance(plain, dict) or not isinstance(plain.get("use"), str):
        raise RecipeError(f"--transform {text} names no transform: write it as in a recipe, {{use: clip, flip: 0.5}}")
    return plain


def _tables(evaluation: Evaluation) -> dict[str, object]:
    return {name: {"columns": table.columns, "rows": table.rows} for name, table in evaluation.tables.items()}


def _print(evaluation: Evaluation) -> None:
    from vlc_core import terminal

    sweep, results = evaluation.tables["sweep"], evaluation.tables["results"]
    rows = [[str(cell) for cell in row] for row in sweep.rows]
    title = "validation score of each setting; * is the chosen one"
    terminal.say(terminal.table(sweep.columns, rows, title=title, right=sweep.columns[3:]))
    shown = [[f"{100 * cell:.1f} %" if isinstance(cell, float) else str(cell) for cell in row] for row in results.rows]
    right = [column for column in results.columns if column not in ("task", "score")]
    terminal.say(terminal.table(results.columns, shown, title="test score, mean over draws", right=right))
