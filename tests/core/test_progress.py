"""A bar for what takes long, nothing for what does not, and stdout left to results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from vlc_core.progress import Tracker, track


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes every look at the clock find it later by some seconds."""

    def of(step: float) -> None:
        now = iter(range(100_000))
        monkeypatch.setattr("time.monotonic", lambda: next(now) * step)

    return of


def test_what_is_over_at_once_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(5), "looking", 5)) == list(range(5))
    told = capsys.readouterr()
    assert told.out == told.err == ""


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]) -> None:
    clock(2.0)
    assert len(list(track(range(20), "looking", 20))) == 20
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert told.out == ""
    assert lines[0] == "looking 2/20 · 0.5/s · 36 s left"
    assert lines[-1].startswith("looking 20/20 · ")
    assert lines[-1].endswith(" · 0 s left")
    assert 3 < len(lines) < 15


def test_the_time_left_is_told_without_the_wait_for_the_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 60.0, 61.0, 61.0, 61.0])  # a minute until the first, then one a second
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    with Tracker("looking") as tracker:
        tracker(1, 100)
        tracker(2, 100)
    assert capsys.readouterr().err == "looking 2/100 · 1/s · 1:38 min left\n"


def test_a_terminal_gets_a_bar_and_its_cursor_back(
    capsys: pytest.CaptureFixture[str], clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock(0.5)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")

    def failing() -> Iterator[int]:
        yield from range(7)
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        list(track(failing(), "looking", 20))
    told = capsys.readouterr()
    assert told.out == ""
    assert "7/20" in told.err
    assert told.err.count("\x1b[?25l") == told.err.count("\x1b[?25h") == 1
