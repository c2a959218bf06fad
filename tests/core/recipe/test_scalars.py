"""What unquoted scalars mean."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlc_core.recipe.scalars import resolve

VALUES = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "0": 0, "-1": -1, "+7": 7, "010": 10, "0o10": 8, "0x1F": 31, "18446744073709551615": 2**64 - 1,
    "1e-3": 1e-3, "1E3": 1000.0, "1.": 1.0, ".5": 0.5, "-.5e+2": -50.0, "1e5": 1e5, "0.0": 0.0,
    ".inf": math.inf, "-.Inf": -math.inf, "+.INF": math.inf,
}  # fmt: skip
TEXTS = [
    "no", "yes", "on", "off", "y", "n", "nul", "tRUE",
    "1_000", "0b1", "1:30", "12:30:45", "2024-01-01", "0o8", "0xg", "1e", "e3", "-", ".", "+", "1.2.3",
    "inf", "nan", "Infinity", "--1", "1 2", "=", "١٢", "²",
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_core_schema(text: str, value: object):
    resolved = resolve(text)
    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize("text", TEXTS)
def test_everything_else_is_text(text: str):
    assert resolve(text) == text


@pytest.mark.parametrize("text", [".nan", ".NaN", "18446744073709551616", "9" * 5000, "0x" + "f" * 20, "1e999"])
def test_numbers_that_nothing_could_hold_are_refused(text: str):
    with pytest.raises(ValueError, match="number"):
        resolve(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_as_python_writes_them(value: float):
    assert resolve(repr(value)) == value


@given(st.integers(-(2**64) + 1, 2**64 - 1))
def test_integers(value: int):
    assert resolve(str(value)) == value
