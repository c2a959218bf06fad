"""Fixtures of the command line's tests."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def terminal(monkeypatch):
    """Makes stdout a terminal of some width, when called from within the test."""

    def of(width: int = 120) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.delenv("NO_COLOR", raising=False)

    return of
