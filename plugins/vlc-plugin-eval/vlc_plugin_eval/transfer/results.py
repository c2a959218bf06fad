"""What was measured, as an evaluation: means over draws and tasks, and the tables of results and of the sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean, stdev

from vlc_core.interfaces.evaluator import Evaluation, Table
from vlc_plugin_eval.transfer.measure import Measured
from vlc_plugin_eval.transfer.protocol import Method, Protocol

Cell = str | int | float


def as_evaluation(measured: Sequence[Measured], protocol: Protocol) -> Evaluation:
    """The evaluation ``transfer``."""
    metrics: dict[str, float] = {}
    for method in protocol.methods:
        metrics[f"{method}_mean"] = fmean(_mean(one, method, one.task.score) for one in measured)
    for one in measured:
        for method in protocol.methods:
            metrics[f"{one.task.name}_{method}_top1"] = _mean(one, method, "top1")
            metrics[f"{one.task.name}_{method}_mean_per_class"] = _mean(one, method, "mean_per_class")
            metrics[f"{one.task.name}_{method}_deviation"] = _deviation(one, method)
    tables = {"results": _results(measured, protocol), "sweep": _sweep(measured, protocol)}
    details: dict[str, object] = {
        "protocol": asdict(protocol),
        "tasks": {one.task.name: _details(one) for one in measured},
    }
    return Evaluation(metrics=metrics, tables=tables, details=details)


def _results(measured: Sequence[Measured], protocol: Protocol) -> Table:
    columns = ["task", "classes", "examples", "test", "score"]
    several = protocol.draws > 1  # one draw has no deviation
    columns += [column for method in protocol.methods for column in (method, f"± {method}")[: 1 + several]]
    rows: list[tuple[Cell, ...]] = []
    for one in measured:
        row: list[Cell] = [one.task.name, len(one.task.classes), one.examples, int(one.swept[0].test["samples"])]
        row.append(one.task.score)
        for method in protocol.methods:
            row += [_mean(one, method, one.task.score), _deviation(one, method)][: 1 + several]
        rows.append(tuple(row))
    if len(measured) > 1:
        means: list[Cell] = ["mean", "", "", "", ""]
        for method in protocol.methods:
            means += [fmean(_mean(one, method, one.task.score) for one in measured)] + [""] * several
        rows.append(tuple(means))
    return Table(tuple(columns), tuple(rows), shown=True)


def _sweep(measured: Sequence[Measured], protocol: Protocol) -> Table:
    """Validation scores: a row for each setting, a column for each draw; the chosen one is marked."""
    columns = ("task", "how", "setting", *(f"draw {number}" for number in range(protocol.draws)))
    rows: list[tuple[Cell, ...]] = []
    for one in measured:
        for method in protocol.methods:
            swept = [sweep for sweep in one.swept if sweep.method == method]
            settings = dict.fromkeys(setting for sweep in swept for setting in sweep.sweep)
            for setting in sorted(settings, key=_order) if method == "frozen" else settings:
                cells = [
                    f"{sweep.sweep[setting]:.3f}{' *' if setting == sweep.chosen else '  '}"
                    if setting in sweep.sweep
                    else ""
                    for sweep in swept
                ]
                rows.append((one.task.name, method, setting, *cells))
    return Table(columns, tuple(rows), shown=True)


def _order(setting: str) -> float:
    return float(setting.rpartition("^")[2])


def _details(one: Measured) -> dict[str, object]:
    return {
        "classes": len(one.task.classes),
        "test_held_out_of_train": one.task.held_out,
        "remarks": one.remarks,
        "draws": [sweep._asdict() for sweep in one.swept],
    }


def _of(one: Measured, method: Method, score: str) -> list[float]:
    return [sweep.test[score] for sweep in one.swept if sweep.method == method]


def _mean(one: Measured, method: Method, score: str) -> float:
    return fmean(_of(one, method, score))


def _deviation(one: Measured, method: Method) -> float:
    """The standard deviation (n − 1) of the task's score over its draws; 0 for one draw."""
    values = _of(one, method, one.task.score)
    return stdev(values) if len(values) > 1 else 0.0
