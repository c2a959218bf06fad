"""Google docstrings: what their ``Args:`` section says about each parameter."""

from __future__ import annotations

import inspect
import re

_ENTRY = re.compile(r"(?P<name>\*{0,2}\w+)\s*(\([^)]*\))?:\s*(?P<text>.*)")
_SECTION = re.compile(r"(Args|Arguments|Keyword Args|Parameters):")


def argument_texts(docstring: str | None) -> dict[str, str]:
    """The description of every parameter in the ``Args:`` section, on one line each."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    if len(lines) > 1 and _SECTION.fullmatch(lines[0]) and not lines[1][:1].isspace():
        lines[1:] = [f"    {line}" for line in lines[1:]]  # nothing but the section: it was dedented with the rest
    start = next((i for i, line in enumerate(lines) if _SECTION.fullmatch(line.strip())), None)
    if start is None:
        return {}
    body = []
    for line in lines[start + 1 :]:
        if line and not line[0].isspace():
            break
        body.append(line)
    return _entries(inspect.cleandoc("\n".join(["", *body])).splitlines())


def first_line(docstring: str | None) -> str:
    """The summary line of a docstring; empty where there is none."""
    return inspect.cleandoc(docstring or "").partition("\n")[0]


def _entries(lines: list[str]) -> dict[str, str]:
    """Unindented lines of the form ``name: text`` start a parameter; indented ones continue it."""
    texts: dict[str, str] = {}
    current: str | None = None
    for line in lines:
        match = _ENTRY.fullmatch(line)
        if match and not line[0].isspace():
            current = match["name"].lstrip("*")
            texts[current] = match["text"].strip()
        elif current is not None and line.strip():
            texts[current] = f"{texts[current]} {line.strip()}".strip()
    return texts
