"""The valid name that somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The one of ``valid`` that is most like ``name``, or None where none is alike."""
    import difflib

    by_folded = {_fold(v): v for v in sorted(valid, reverse=True)}
    found = difflib.get_close_matches(_fold(name), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` or the empty string."""
    found = nearest(name, valid)
    return "" if found is None else f"; did you mean {found!r}?"


def _fold(name: str) -> str:
    return name.lower().replace("_", "-")
