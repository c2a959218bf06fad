"""The watchdog speaks once of every step that does not come, and never of one that does."""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import Any

import pytest

from vlc_core.engine.watchdog import Watchdog, show_stacks
from vlc_core.loading.loader import Loader


def within(seconds: float, happened: list[float], count: int) -> bool:
    deadline = time.monotonic() + seconds
    while len(happened) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(happened) == count


def test_it_speaks_once_of_a_step_that_does_not_come_and_again_of_the_next_one():
    spoken: list[float] = []
    with Watchdog(0.1, lambda: spoken.append(time.monotonic())) as watchdog:
        assert within(5, spoken, 1)
        time.sleep(0.4)
        assert len(spoken) == 1
        watchdog.fed()
        assert within(5, spoken, 2)


def test_it_is_quiet_while_it_is_fed_or_away_and_gone_after_its_end():
    spoken: list[float] = []
    with Watchdog(30.0, lambda: spoken.append(0.0)) as watchdog:
        watchdog.fed()
    with Watchdog(0.1, lambda: spoken.append(0.0)) as watchdog, watchdog.away():
        time.sleep(0.4)
    assert spoken == []
    assert not any(thread.name == "watchdog" for thread in threading.enumerate())


def test_the_stacks_name_every_thread_and_where_it_stands(capfd: pytest.CaptureFixture[str]):
    let_go = threading.Event()

    def standing_somewhere() -> None:
        let_go.wait(30)

    thread = threading.Thread(target=standing_somewhere)
    thread.start()
    show_stacks("rank 3 stands here:")
    let_go.set()
    thread.join()
    told = capfd.readouterr().err
    assert told.startswith("rank 3 stands here:\n")
    assert "in standing_somewhere" in told
    assert "in test_the_stacks_name_every_thread" in told


class Standing:
    """Makes batches, and the third one never."""

    def __call__(self, numbers: Any) -> int:
        if numbers[0] == 2:
            self.in_a_worker_of_ours()
        return int(numbers[0])

    def in_a_worker_of_ours(self) -> None:
        time.sleep(60)


def test_a_data_worker_says_where_it_stands_and_works_on(capfd: pytest.CaptureFixture[str]):
    loader = Loader(make=Standing(), batch_size=1, steps=3, workers=1)
    batches = iter(loader)
    assert [next(batches), next(batches)] == [0, 1]
    deadline, told = time.monotonic() + 20, ""
    while "in in_a_worker_of_ours" not in told and time.monotonic() < deadline:
        show_stacks("rank 0 stands here:")
        told += capfd.readouterr().err
    assert "its data worker " in told
    assert "in in_a_worker_of_ours" in told
    assert len(multiprocessing.active_children()) == 1
    batches.close()
