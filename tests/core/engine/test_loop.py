"""What the loop does when: steps, due points, signals, tolerance, the end. Steps are taken by a stand-in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vlc_core.accounting import TermName
from vlc_core.batch import Batch, Skipped
from vlc_core.engine.checkpoint import Progress
from vlc_core.engine.loop import Loop, Plan, StopRequest, Tolerance
from vlc_core.engine.metrics import Read
from vlc_core.engine.watchdog import Watchdog
from vlc_core.errors import DataError, Diverged

SIZE = 4


def batch(skipped: int = 0, truncated: int = 0) -> Batch:
    empty = torch.zeros(SIZE, dtype=torch.int64)
    lost = tuple(Skipped(number, "source", "key", "reason") for number in range(skipped))
    mask = torch.ones(SIZE, 1, dtype=torch.bool)
    return Batch(empty, empty[:, None], mask, empty, empty, empty, skipped=lost, truncated=truncated)


class Steps:
    """Stands for a stepper; ``losses`` by step, 1 by default."""

    def __init__(self, losses: dict[int, float] | None = None, also: Any = None) -> None:
        self.losses, self.also = losses or {}, also or (lambda step: None)
        self.taken: list[int] = []
        self.engine = SimpleNamespace(device=torch.device("cpu"))
        self.model = SimpleNamespace(weights={"a": 1.0}, term_names=(TermName("a", "a"),))

    def __call__(self, given: Batch, step: int) -> torch.Tensor:
        self.taken.append(step)
        self.also(step)
        return torch.tensor([self.losses.get(step, 1.0) * SIZE, SIZE, 14.0, 0.5], dtype=torch.float64)


class Heard:
    """Notes what it is told, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.reads: list[Read] = []
        self.progress = Progress()
        self.lasts: list[bool] = []
        self.lost = 0

    def step(self, read: Read) -> None:
        self.reads.append(read)
        self.events.append(("step", read.step))

    def skipped(self, samples: Any) -> None:
        self.lost += len(samples)

    def evaluate(self, progress: Progress) -> None:
        self.events.append(("evaluate", progress.step))

    def checkpoint(self, progress: Progress, *, last: bool) -> None:
        self.lasts.append(last)
        self.progress = progress
        self.events.append(("checkpoint", progress.step))


def loop(steps: int, taker: Steps, heard: Heard, *, start: int = 0, stop: Any = None, **plan: Any) -> Loop:
    told = {"evaluate_every": None, "checkpoint_every": None, "tolerance": Tolerance(0.5, 1000)}
    told |= {"max_skipped_steps": 3} | plan
    made = Plan(steps=steps, batch_size=SIZE, rate=lambda step: 0.1 * (step + 1), **told)
    asked = StopRequest() if stop is None else stop
    return Loop(made, taker, heard, Progress(step=start), asked, Watchdog(600.0, list))  # type: ignore[arg-type]


def batches(**what: int) -> Iterator[Batch]:
    while True:
        yield batch(**what)


def test_every_step_is_heard_of_once_and_in_order():
    taker, heard, rates = Steps(), Heard(), []
    assert loop(5, taker, heard).run(batches(), rates.append) is True
    assert taker.taken == [0, 1, 2, 3, 4]
    assert [read.step for read in heard.reads] == [1, 2, 3, 4, 5]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert [read.metrics["lr"] for read in heard.reads] == pytest.approx(rates)
    assert heard.events[-2:] == [("evaluate", 5), ("checkpoint", 5)]


def test_what_is_due_happens_after_the_metrics_of_its_step():
    heard = Heard()
    loop(7, Steps(), heard, evaluate_every=3, checkpoint_every=2).run(batches(), lambda _: None)
    others = [event for event in heard.events if event[0] != "step"]
    assert others == [
        ("checkpoint", 2),
        ("evaluate", 3),
        ("checkpoint", 4),
        ("evaluate", 6),
        ("checkpoint", 6),
        ("evaluate", 7),
        ("checkpoint", 7),
    ]
    for name, step in others:
        before = heard.events[: heard.events.index((name, step))]
        assert max(at for kind, at in before if kind == "step") == step


def test_what_is_due_at_the_end_happens_once():
    heard = Heard()
    loop(4, Steps(), heard, evaluate_every=2, checkpoint_every=4).run(batches(), lambda _: None)
    assert heard.events.count(("evaluate", 4)) == heard.events.count(("checkpoint", 4)) == 1
    assert heard.events.count(("evaluate", 2)) == 1


def test_the_last_checkpoint_is_told_to_be_that():
    heard = Heard()
    loop(5, Steps(), heard, checkpoint_every=2).run(batches(), lambda _: None)
    assert heard.lasts == [False, False, True]


def test_a_resumed_run_takes_the_steps_that_are_left():
    taker, heard = Steps(), Heard()
    assert loop(5, taker, heard, start=3, checkpoint_every=2).run(batches(), lambda _: None)
    assert taker.taken == [3, 4]
    assert [event for event in heard.events if event[0] == "checkpoint"] == [("checkpoint", 4), ("checkpoint", 5)]


def test_a_finished_run_takes_none():
    taker, heard = Steps(), Heard()
    assert loop(5, taker, heard, start=5).run(iter(()), lambda _: None)
    assert taker.taken == []
    assert heard.events == [("evaluate", 5), ("checkpoint", 5)]


@pytest.mark.parametrize("at", [0, 1, 4, 5])
@pytest.mark.parametrize("due", [{}, {"checkpoint_every": 2}, {"evaluate_every": 1}])
def test_a_run_that_bears_nothing_saves_and_measures_nothing_after_what_is_not_finite(at: int, due: dict[str, int]):
    heard = Heard()
    with pytest.raises(Diverged, match=f"loss and loss/a not finite at step {at + 1} "):
        loop(6, Steps({at: float("nan")}), heard, max_skipped_steps=0, **due).run(batches(), lambda _: None)
    assert all(step <= at for kind, step in heard.events if kind != "step")


def test_single_steps_that_are_not_finite_are_told_and_counted(caplog: pytest.LogCaptureFixture):
    heard, nan = Heard(), float("nan")
    assert loop(9, Steps(dict.fromkeys((1, 2, 4, 8), nan)), heard, max_skipped_steps=2).run(batches(), lambda _: None)
    assert [read.step for read in heard.reads if read.wrong] == [2, 3, 5, 9]
    assert heard.progress == Progress(step=9, skipped_steps=4)
    first, *_ = sentences = [record.getMessage() for record in caplog.records]
    assert len(sentences) == 4
    assert first.startswith("loss and loss/a not finite at step 2 (samples 4 to 7 of the order, learning rate 0.2")
    assert first.endswith("the step is skipped, its samples are in skipped_steps.jsonl")


@pytest.mark.parametrize(("most", "ends"), [(1, "as in the step before: "), (3, "as in the 3 steps before: ")])
def test_one_more_in_a_row_ends_the_run(most: int, ends: str):
    heard, nan = Heard(), float("nan")
    wrong = dict.fromkeys((0, *range(4, 40)), nan)
    with pytest.raises(Diverged, match=ends) as caught:
        loop(40, Steps(wrong), heard, max_skipped_steps=most).run(batches(), lambda _: None)
    assert heard.reads[-1].step == 4 + most + 1
    assert "lower train.optimizer.lr" in str(caught.value)
    assert "--resume" in str(caught.value)


def test_the_first_signal_ends_the_run_after_its_step_and_saves():
    heard, stop = Heard(), StopRequest()

    def interrupt(step: int) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    taker = Steps(also=interrupt)
    before = signal.getsignal(signal.SIGTERM)
    with stop.listening():
        assert loop(50, taker, heard, stop=stop).run(batches(), lambda _: None) is False
    assert stop.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert len(taker.taken) <= 5, "all ranks hear of it with the numbers of the next step"
    last = taker.taken[-1] + 1
    assert heard.events[-1] == ("checkpoint", last)
    assert [read.step for read in heard.reads] == list(range(1, last + 1))
    assert not any(kind == "evaluate" for kind, _ in heard.events)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once(number: signal.Signals):
    code = (
        "import os, sys, time; from vlc_core.engine.loop import StopRequest\n"
        "with StopRequest().listening() as stop:\n"
        f"    os.kill(os.getpid(), {int(number)}); print(bool(stop), flush=True)\n"
        f"    os.kill(os.getpid(), {int(number)}); time.sleep(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True\n"
    assert done.returncode == -number


def test_a_run_outside_the_main_thread_hears_no_signal_and_runs():
    heard: list[bool] = []

    def run() -> None:
        with StopRequest().listening() as stop:
            heard.append(bool(stop))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert heard == [False]


def test_what_is_lost_is_counted_and_saved():
    heard = Heard()
    loop(3, Steps(), heard).run(batches(skipped=2, truncated=1), lambda _: None)
    assert heard.progress == Progress(step=3, skipped=6, truncated=3)
    assert heard.lost == 6


@pytest.mark.parametrize(("share", "epoch", "fails_at"), [(0.1, 100, 6), (0.0, 100, 1), (0.25, 4, 1), (0.5, 4, None)])
def test_too_many_lost_samples_end_the_run(share: float, epoch: int, fails_at: int | None):
    """Two of four are lost in every step; a share is granted of an epoch from the start, later of what was drawn."""
    heard, plan = Heard(), {"tolerance": Tolerance(share, epoch)}
    run = loop(20, Steps(), heard, **plan)
    if fails_at is None:
        assert run.run(batches(skipped=2), lambda _: None)
        return
    with pytest.raises(DataError, match=r"samples could not be used, more than the \d+ that data.max_bad allows"):
        run.run(batches(skipped=2), lambda _: None)
    assert heard.reads[-1].step == fails_at


def test_losses_count_over_a_resumed_run():
    run = loop(20, Steps(), Heard(), start=10, tolerance=Tolerance(0.1, 100))
    run.progress = Progress(step=10, skipped=9)
    with pytest.raises(DataError, match="11 samples"):
        run.run(batches(skipped=2), lambda _: None)
