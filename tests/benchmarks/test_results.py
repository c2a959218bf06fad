"""The grids of results: what they are made of, what is run, and what is written."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
DIGESTS = ["dca6f5d93b8fa4b3", "1bef5460f19b341c", "c791b42b859b5683"]
"""Of the rows of the first table at seed 1."""
MEASURE = "import json, pathlib, sys; print(json.dumps({'ap': pathlib.Path(sys.argv[1]).is_dir() * int(sys.argv[2])}))"
GRID = {
    "prepare": "builtins:print",
    "about": "a test",
    "seeds": [0, 1],
    "base": {"model": {"image": {"use": "vit", "depth": 2}}, "train": {"steps": 5}},
    "parts": {
        "plain": {},
        "deep": {"model": {"image": {"depth": 4}}},
        "other": {"model": {"image": {"use": "resnet"}}, "without": ["names"]},
    },
    "evaluators": {"names": {"use": "zero-shot"}, "near": {"use": "knn"}, "unused": {"use": "retrieval"}},
    "stages": {
        "tuned": {"recipe": {"model": {"image": {"use": "vit"}, "from": "${RUN}"}, "train": {"steps": 2}}},
        "boxes": {
            "commands": [["vlc", "export", "${RUN}", "-o", "${OUT}"], ["python", "-c", MEASURE, "${RUN}", "${SEED}"]]
        },
    },
    "tables": {
        "first": {
            "title": "Depth",
            "about": "Deeper or other.",
            "axes": {"encoder": {"plain": "plain", "deep": "deep", "other": ["deep", "other"]}},
            "measures": {"zero-shot": "names/top1", "kNN": "near/top1"},
        },
        "second": {
            "title": "Again",
            "about": "One that is in the first.",
            "axes": {"encoder": {"deep": "deep"}},
            "measures": {"zero-shot": "names/top1", "kNN": "near/top1"},
        },
        "third": {
            "title": "Then",
            "about": "What comes of it later.",
            "after": ["tuned", "boxes"],
            "axes": {"encoder": {"deep": "deep"}},
            "measures": {"zero-shot": "names/top1", "boxes": "boxes/ap"},
        },
    },
}


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.results import cells, grid, place, running, tables

    return {"cells": cells, "grid": grid, "place": place, "running": running, "tables": tables}


@pytest.fixture
def grid(modules: dict[str, ModuleType], tmp_path: Path) -> Any:
    (tmp_path / "method.yaml").write_text(yaml.safe_dump(GRID, sort_keys=False))
    return modules["grid"].read_grid(tmp_path / "method.yaml")


@pytest.fixture
def place(modules: dict[str, ModuleType], tmp_path: Path) -> Any:
    return modules["place"].Place(work=tmp_path / "work", data=tmp_path)


def test_parts_are_laid_over_the_base_as_recipes_are(grid: Any) -> None:
    plain, deep, other = (row.cells[1] for row in grid.tables[0].rows)
    assert plain.recipe == {**GRID["base"], "seed": 1}  # type: ignore[dict-item]
    assert deep.recipe["model"] == {"image": {"use": "vit", "depth": 4}}
    assert other.recipe["model"] == {"image": {"use": "resnet"}}
    assert set(deep.evaluators) == {"names", "near"}
    assert set(other.evaluators) == {"near"}


def test_a_recipe_that_stands_in_two_tables_is_one_cell(grid: Any) -> None:
    assert len(grid.cells()) == 8
    assert len(grid.only(["first", "second"]).cells()) == 6
    assert len(grid.only(["second"]).cells()) == 2
    with pytest.raises(SystemExit, match="fourth"):
        grid.only(["fourth"])


def test_what_is_kept_of_cells_without_stages_stays_valid(grid: Any) -> None:
    """Results are found by these digests, also those of years ago."""
    first, _, third = grid.tables
    assert [row.cells[1].digest for row in first.rows] == DIGESTS
    (alone,) = {row.cells[1].run_digest for row in first.rows if row.values == ("deep",)}
    assert third.rows[0].cells[1].run_digest == alone, "a table with stages begins with the same run"
    assert third.rows[0].cells[1].digest not in DIGESTS


def test_stages_follow_the_run(
    modules: dict[str, ModuleType], grid: Any, place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules["place"], "COMMAND", fake_vlc(tmp_path))
    both = grid.only(["second", "third"])
    assert modules["running"].run_all(both, place, jobs=2) == 0
    calls = sorted((tmp_path / "calls").read_text().split())
    assert calls == ["export"] * 2 + ["train"] * 4, "what is trained last is measured by what trains it"
    cell = grid.tables[2].rows[0].cells[1]
    tuned = place.run(cell, cell.stages[0])
    recipe = yaml.safe_load(tuned.with_suffix(".yaml").read_text())
    assert recipe == {
        "model": {"image": {"use": "vit"}, "from": str(place.run(cell))},
        "train": {"steps": 2},
        "seed": 1,
    }
    result = place.result(cell)
    assert result["metrics"] == {"boxes": {"ap": 1}, "names": {"top1": 0.35}}
    assert result["last_step"] == {"step": 2}, "of the stage's run"
    assert not [path for path in place.work.iterdir() if path.name not in {"cells", "data", "runs"}]
    modules["tables"].write_tables(both, place, tmp_path / "page.md")
    assert "| deep | 30.0 ± 7.1 | 50.0 ± 70.7 |" in (tmp_path / "page.md").read_text()


def test_a_run_that_is_trained_is_measured_anew_where_it_is_measured_in_another_way(
    modules: dict[str, ModuleType], grid: Any, place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules["place"], "COMMAND", fake_vlc(tmp_path))
    cell = grid.tables[1].rows[0].cells[0]
    other = dataclasses.replace(cell, evaluators={"near": {"use": "changed"}})
    run_cell = modules["cells"].run_cell
    assert run_cell(cell, place)["metrics"].keys() == cell.evaluators.keys()
    assert (tmp_path / "calls").read_text().split() == ["train"]
    assert run_cell(other, place)["metrics"]["near"] == {"top1": 0.25}
    assert (tmp_path / "calls").read_text().split() == ["train", "eval"]


@pytest.mark.parametrize("said", [{}, {"recipe": {}, "commands": [["vlc"]]}, {"recipes": {}}])
def test_a_stage_says_what_it_does(modules: dict[str, ModuleType], tmp_path: Path, said: dict[str, Any]) -> None:
    (tmp_path / "method.yaml").write_text(yaml.safe_dump(GRID | {"stages": {"tuned": said, "boxes": said}}))
    with pytest.raises(SystemExit, match="the stage tuned"):
        modules["grid"].read_grid(tmp_path / "method.yaml")


def fake_vlc(folder: Path, failing: str = "") -> Path:
    """A command that trains and evaluates in no time, and counts how often it is called."""
    command = folder / "vlc"
    command.write_text(
        f"""#!{sys.executable}
import json, pathlib, sys, yaml
with open({str(folder / "calls")!r}, "a") as calls:
    print(sys.argv[1], file=calls)
if sys.argv[1] == "export":
    assert (pathlib.Path(sys.argv[2]) / "model").is_dir() and pathlib.Path(sys.argv[4]).is_dir()
elif sys.argv[1] == "train":
    recipe = yaml.safe_load(open(sys.argv[2]))
    run = pathlib.Path(next(a for a in sys.argv if a.startswith("output=")).removeprefix("output="))
    if recipe["model"]["image"]["use"] == {failing!r}:
        sys.exit("error: it is broken")
    (run / "model").mkdir(parents=True)
    (run / "metrics.jsonl").write_text(json.dumps({{"step": recipe["train"]["steps"]}}) + "\\n")
    (run / "seed").write_text(str(recipe["seed"]))
    for measured in json.loads(next(a for a in sys.argv if a.startswith("evaluate.with=")).partition("=")[2]):
        (run / "evaluations").mkdir(exist_ok=True)
        top1 = {{"metrics": {{"top1": 0.25 + recipe["seed"] / 10}}}}
        (run / "evaluations" / (measured["name"] + ".json")).write_text(json.dumps(top1))
else:
    seed = int((pathlib.Path(sys.argv[2]) / "seed").read_text())
    print(json.dumps({{name: {{"metrics": {{"top1": 0.25 + seed / 10}}}} for name in ("names", "near")}}))
"""
    )
    command.chmod(0o755)
    return command


def test_what_is_finished_is_not_run_again(
    modules: dict[str, ModuleType], grid: Any, place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = grid.only(["first", "second"])
    run_all = modules["running"].run_all
    monkeypatch.setattr(modules["place"], "COMMAND", fake_vlc(tmp_path, failing="resnet"))
    assert run_all(grid, place, jobs=1, most=1) == 0
    assert (tmp_path / "calls").read_text().split() == ["train"]
    assert run_all(grid, place, jobs=2) == 2, "both seeds of the broken recipe"
    assert (tmp_path / "calls").read_text().split().count("train") == 6
    monkeypatch.setattr(modules["place"], "COMMAND", fake_vlc(tmp_path))
    assert run_all(grid, place, jobs=2) == 0
    assert (tmp_path / "calls").read_text().split().count("train") == 8
    assert all(place.result(cell)["metrics"] for cell in grid.cells())


def test_tables_are_written_between_their_marks(
    modules: dict[str, ModuleType], grid: Any, place: Any, tmp_path: Path
) -> None:
    page, write = tmp_path / "results.md", modules["tables"].write_tables
    for row in grid.tables[0].rows[:2]:
        for number, cell in enumerate(row.cells):
            metrics = {name: {"top1": 0.4 + 0.1 * number} for name in ("names", "near")}
            place.keep(cell, {"metrics": metrics, "seconds": 60.0})
    page.write_text("# Page\n\n<!-- method/missing -->\n<!-- end of method/missing -->\n")
    write(grid.only(["first"]), place, page, whole=grid)
    assert "`benchmarks/results/method.yaml` and not run yet: Again; Then.\n" in page.read_text()
    page.write_text(page.read_text().replace("Deeper or other.", "Said by hand."))
    write(grid, place, page)
    text = page.read_text()
    assert "All tables of `benchmarks/results/method.yaml` are here." in text
    assert text.count("Said by hand.") == 1
    assert text.count("<!-- method/first -->") == 1
    assert "| deep | 45.0 ± 7.1 | 45.0 ± 7.1 |" in text
    assert "| other | – | – |" in text
    assert "4 of 6 runs, together 4 minutes" in text


def test_every_grid_is_whole(modules: dict[str, ModuleType]) -> None:
    for path in (ROOT / "benchmarks" / "results").glob("*.yaml"):
        cells = modules["grid"].read_grid(path).cells()
        assert len({cell.name for cell in cells}) == len(cells)
        assert json.dumps([cell.recipe for cell in cells])
