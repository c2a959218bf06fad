"""A grid: tables whose rows are recipes, put together from named parts, at several seeds.

The file of a grid holds

    prepare     module:function that makes the data, given the data folder and the folder to write into
    about       a sentence under the heading
    seeds       the seeds
    base        a recipe
    parts       name → what is laid over it; ``without`` lists measures that do not apply to it
    evaluators  name → an evaluator of a recipe
    stages      name → what a table may do with its finished runs (:class:`Stage`)
    tables      name → title, about, axes, measures, and ``after``: the stages that follow, none by default

An axis has values, each with the parts (one or several) that it stands for; a table has a row for each combination of
values. A measure is ``evaluator/metric``, or ``stage/metric`` of a stage that measures. Evaluators look at the run of
the last stage that trains.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import yaml

Tree = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """What follows a finished run: another run that begins with it, or commands that measure it.

    In every text of both, ``${RUN}`` is the folder of the finished run and ``${SEED}`` the seed.

    Attributes:
        name: How measures call it.
        recipe: Of the other run, which gets the cell's seed; or None.
        commands: Commands in turn, the last of which prints a JSON object of metrics; ``${OUT}`` is an empty folder of
            theirs. None where there is a recipe.
    """

    name: str
    recipe: Tree | None = None
    commands: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Cell:
    """A recipe at a seed, what is done with its run, and how it is measured."""

    name: str
    recipe: Tree
    evaluators: Tree
    stages: tuple[Stage, ...] = ()

    @cached_property
    def run_digest(self) -> str:
        """Of what is trained first: cells that differ in what follows share the run."""
        return _digest(self.recipe)

    @cached_property
    def digest(self) -> str:
        """Of what is trained and how it is measured. Without stages it is what it was before there were any."""
        said: list[Any] = [self.recipe, self.evaluators]
        return _digest([*said, [asdict(stage) for stage in self.stages]] if self.stages else said)

    def stage_digest(self, stage: Stage) -> str:
        """Of what is trained in ``stage``, and before it."""
        before = self.stages[: self.stages.index(stage) + 1]
        return _digest([self.recipe, *(asdict(each) for each in before if each.recipe is not None)])


@dataclass(frozen=True)
class Row:
    """A line of a table: the values of its axes, and a cell for each seed."""

    values: tuple[str, ...]
    cells: tuple[Cell, ...]
    without: frozenset[str]


@dataclass(frozen=True)
class Table:
    """A comparison."""

    name: str
    title: str
    about: str
    axes: tuple[str, ...]
    measures: Mapping[str, str]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Grid:
    """All comparisons of a method."""

    method: str
    prepare: str
    about: str
    tables: tuple[Table, ...]

    def only(self, names: Sequence[str]) -> Grid:
        """The grid with these of its tables; with all where none is named."""
        unknown = set(names) - {table.name for table in self.tables}
        if unknown:
            known = ", ".join(table.name for table in self.tables)
            raise SystemExit(f"no table is called {', '.join(sorted(unknown))}; there are {known}")
        return replace(self, tables=tuple(t for t in self.tables if not names or t.name in names))

    def cells(self) -> list[Cell]:
        """Every cell once, in the order of the tables."""
        unique = {cell.digest: cell for table in self.tables for row in table.rows for cell in row.cells}
        return list(unique.values())


def read_grid(path: Path) -> Grid:
    """Reads the grid in ``path``."""
    said: Tree = yaml.safe_load(path.read_text())
    tables = tuple(_table(name, table, said) for name, table in said["tables"].items())
    return Grid(path.stem, said["prepare"], said["about"], tables)


def merge(below: Any, above: Any) -> Any:
    """``above`` laid over ``below`` as recipes are: mappings merge, unless their ``use`` differs; the rest replaces."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    if "use" in above and above["use"] != below.get("use"):
        return above
    return below | {key: merge(below.get(key), value) for key, value in above.items()}


def _table(name: str, said: Tree, grid: Tree) -> Table:
    axes: Tree = said["axes"]
    rows = tuple(_row(name, values, said, grid) for values in product(*axes.values()))
    return Table(name, said["title"], said["about"], tuple(axes), said["measures"], rows)


def _row(table: str, values: tuple[str, ...], said: Tree, grid: Tree) -> Row:
    names = [part for axis, value in zip(said["axes"].values(), values, strict=True) for part in _listed(axis[value])]
    recipe: Tree = grid["base"]
    without: set[str] = set()
    for name in names:
        part = dict(grid["parts"][name])
        without |= set(part.pop("without", ()))
        recipe = merge(recipe, part)
    wanted = {measure.partition("/")[0] for measure in said["measures"].values()} - without
    stages = tuple(_stage(name, grid["stages"][name]) for name in said.get("after", ()))
    evaluators = {name: grid["evaluators"][name] for name in sorted(wanted - {stage.name for stage in stages})}
    title = " · ".join((table, *map(str, values)))
    cells = tuple(Cell(f"{title} · seed {s}", recipe | {"seed": s}, evaluators, stages) for s in grid["seeds"])
    return Row(tuple(map(str, values)), cells, frozenset(without))


def _stage(name: str, said: Tree) -> Stage:
    stage = Stage(name, said.get("recipe"), tuple(tuple(map(str, command)) for command in said.get("commands", ())))
    if set(said) - {"recipe", "commands"} or (stage.recipe is None) == (not stage.commands):
        raise SystemExit(f"the stage {name} has {', '.join(said) or 'nothing'}; say either recipe or commands")
    return stage


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
