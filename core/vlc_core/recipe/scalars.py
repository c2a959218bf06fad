"""What an unquoted scalar means: the core schema of YAML 1.2, so ``1e-3`` is a number and ``no`` is text."""

from __future__ import annotations

import math
import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_LONGEST = 64  # digits; a number beyond this is a mistake


def resolve(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar.

    Raises:
        ValueError: A number that no computation here could hold, or NaN.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text in _NAN:
        raise ValueError(f"{text} is not a number that a recipe can use")
    if _INFINITE.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    for pattern, base in ((_INT, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            return _whole(text, base)
    return _decimal(text) if _FLOAT.fullmatch(text) else text


def _whole(text: str, base: int) -> int:
    value = int(text, base) if len(text) <= _LONGEST else None
    if value is None or abs(value) >= 2**64:
        raise ValueError(f"the number {text[:20]}… has more than 64 bits")
    return value


def _decimal(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:20]} is too large; infinity is written .inf")
    return value
