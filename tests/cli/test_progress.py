"""What a training run prints, on a terminal and into a log."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from vlc_cli import progress
from vlc_core.engine.run import Outcome, Run
from vlc_core.interfaces.evaluator import Evaluation


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = SimpleNamespace(
        name="tiny",
        model=SimpleNamespace(image=SimpleNamespace(use="vit"), text=SimpleNamespace(use="text-transformer")),
        objectives=[SimpleNamespace(name="clip"), SimpleNamespace(name="sigmoid")],
        train=SimpleNamespace(batch_size=64, precision="fp32"),
        evaluate=SimpleNamespace(with_=[SimpleNamespace(name="zero-shot")]),
    )
    parameters = {"towers.image": 1_200_000, "towers.text": 300_000}
    return Run(
        recipe=recipe,
        folder=tmp_path / "runs" / "tiny",
        steps=100,
        first_step=0,
        world=2,
        epoch_samples=1000,
        parameters=parameters,
    )


def metrics(step: int, rate: float = 320.0) -> dict[str, float]:
    return {"step": float(step), "loss": 2.5, "samples_per_second": rate, "logit_scale": 14.3}


def outcome(run, **changes) -> Outcome:
    evaluations = {"zero-shot": Evaluation({"top1": 0.9731, "classes": 10.0})}
    whole = {
        "status": "finished",
        "reason": "all steps taken",
        "exit_code": 0,
        "steps": run.steps,
        "seconds": 65.0,
        "metrics": metrics(run.steps),
        "evaluations": evaluations,
    }
    return Outcome(**(whole | changes))


def watch(run, steps, ending) -> progress.TrainingProgress:
    watched = progress.TrainingProgress()
    watched.vlc_run_start(run=run)
    for step in steps:
        watched.vlc_step_end(run=run, metrics=metrics(step))
    watched.vlc_run_end(run=run, outcome=ending)
    return watched


def test_the_start_says_parameters_samples_epochs_and_ranks(run, capsys):
    progress.TrainingProgress().vlc_run_start(run=run)
    told = capsys.readouterr().out
    assert "1.5 M: image 1.2 M, text 300,000" in told
    assert "100 steps × 64 = 6,400 samples, 6.4 epochs of 1,000 samples" in told
    assert "tiny in runs/tiny" in told
    assert "vit + text-transformer, trained by clip + sigmoid" in told
    assert "2 ranks in fp32" in told


@pytest.mark.parametrize(("skipped", "told"), [(1, "1 sample could"), (1234, "1,234 samples could")])
def test_the_end_says_how_many_samples_were_replaced_and_where_they_are_listed(run, skipped, told, capsys):
    watch(run, [100], outcome(run, skipped=skipped))
    assert f"{told} not be used and had others drawn in place: see runs/tiny/skipped.jsonl\n" in capsys.readouterr().out
    watch(run, [100], outcome(run))
    assert "could not be used" not in capsys.readouterr().out


def test_a_resumed_run_counts_what_is_left(run, capsys):
    run.first_step = 60
    progress.TrainingProgress().vlc_run_start(run=run)
    told = capsys.readouterr().out
    assert "resumed after step 60" in told
    assert "40 steps × 64 = 2,560 samples" in told


def test_a_log_gets_the_first_and_the_last_step_and_a_line_now_and_then(run, capsys, monkeypatch):
    clock = iter(range(0, 10_000, 3))  # three seconds between any two looks at the clock
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    watch(run, range(1, 101), outcome(run))
    lines = [line for line in capsys.readouterr().out.splitlines() if "samples/s" in line]
    assert lines[0] == "step 1/100 · loss 2.5000 · 320 samples/s · 20 s left"
    assert lines[-1] == "step 100/100 · loss 2.5000 · 320 samples/s · 0 s left"
    assert 10 < len(lines) < 40


def test_a_log_of_a_fast_run_is_short(run, capsys):
    watch(run, range(1, 101), outcome(run))
    assert capsys.readouterr().out.count("samples/s") == 2


def test_a_terminal_gets_a_bar_with_loss_rate_and_time_left(run, capsys, terminal):
    terminal()
    watch(run, range(1, 101), outcome(run))
    told = capsys.readouterr().out
    assert "━" in told
    assert "100/100" in told
    assert "loss 2.5000 · 320 samples/s · 0 s left" in told
    assert told.count("100/100") < 5
    assert told.count("\x1b[?25l") == told.count("\x1b[?25h") == 1  # the cursor is hidden once and comes back


def test_the_time_left_follows_a_smoothed_rate(run, capsys):
    watched = progress.TrainingProgress()
    watched.vlc_run_start(run=run)
    watched._display = progress.Lines(every=0.0)
    watched.vlc_step_end(run=run, metrics=metrics(10, rate=64.0))
    watched.vlc_step_end(run=run, metrics=metrics(11, rate=32.0))
    assert "58 samples/s · 1:38 min left" in capsys.readouterr().out


def test_evaluations_and_checkpoints_are_said_as_they_come(run, capsys):
    run.step = 50
    watched = progress.TrainingProgress()
    watched.vlc_evaluated(run=run, name="retrieval", evaluation=Evaluation({"text_r1": 0.5, "median_rank": 1.0}))
    watched.vlc_checkpoint_saved(run=run, path=run.folder / "checkpoints" / "step-50")
    assert capsys.readouterr().out.splitlines() == [
        "step 50 · retrieval · text r1 50.0 %",
        "step 50 · checkpoint runs/tiny/checkpoints/step-50",
    ]


def test_the_end_is_a_table_and_the_next_three_commands(run, capsys):
    watch(run, [100], outcome(run))
    told = capsys.readouterr().out
    assert "finished after 100 steps, 1:05 min" in told
    cells = [(line.split("  ")[0], line.split("  ")[-1].strip()) for line in told.splitlines()]
    assert ("loss", "2.5000") in cells
    assert ("logit scale", "14.3000") in cells
    assert ("zero-shot top1", "97.3 %") in cells
    assert "zero-shot classes" not in told
    assert "vlc eval runs/tiny " in told
    assert "vlc train runs/tiny/recipe.yaml --resume --set train.steps=200" in told
    assert "DualEncoder.load('runs/tiny')" in told


def test_a_run_without_evaluations_is_not_told_to_measure(run):
    run.recipe.evaluate.with_ = []
    assert "vlc eval" not in progress.next_commands(run, outcome(run))


def test_an_interrupted_run_says_so_and_how_to_go_on(run, capsys):
    watch(run, [7], outcome(run, status="interrupted", reason="SIGINT", exit_code=130, steps=7))
    told = capsys.readouterr().out
    assert "interrupted after 7 steps, 1:05 min · SIGINT" in told
    assert "vlc train runs/tiny/recipe.yaml --resume  " in told


def test_a_failed_run_leaves_the_last_word_to_the_error(run, capsys, terminal):
    terminal()
    watch(run, [7], outcome(run, status="failed", reason="the loss is nan", exit_code=4))
    told = capsys.readouterr().out
    assert "next" not in told
    assert told.count("\x1b[?25h") == 1


def test_a_run_that_ends_before_its_first_step_is_no_trouble(run, capsys):
    progress.TrainingProgress().vlc_run_end(run=run, outcome=outcome(run, status="failed"))
    assert capsys.readouterr().out == ""


def test_brackets_in_names_are_printed(run, capsys):
    run.recipe.name = "a[bold]b"
    progress.TrainingProgress().vlc_run_start(run=run)
    assert "a[bold]b" in capsys.readouterr().out


def test_the_python_line_runs_as_it_is_printed(run, capsys):
    text = progress.next_commands(run, outcome(run))
    code = text.split('python -c "')[1].split('"')[0]
    compile(code, "line", "exec")


@pytest.mark.parametrize(
    ("path", "shown"), [(Path("a/b"), "a/b"), (Path.cwd() / "a", "a"), (Path("/elsewhere"), "/elsewhere")]
)
def test_paths_are_shown_from_here(path, shown):
    assert progress.shown(path) == shown
