"""``${NAME}`` and ``${NAME:-default}`` in values, from the environment; ``$$`` stands for ``$``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from vlc_core.recipe.scalars import resolve
from vlc_core.recipe.tree import Scalar

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_TOKEN = re.compile(rf"\$\$|\$\{{(?P<name>{_NAME})(?::-(?P<default>[^}}]*))?\}}|(?P<bad>\$\{{)")


def is_whole(text: str) -> bool:
    """Whether ``text`` is one variable and nothing else, so that it stands for a value of any type."""
    match = _TOKEN.fullmatch(text)
    return match is not None and match["name"] is not None


def escape(text: str) -> str:
    """``text`` such that :func:`expand` gives it back."""
    return text.replace("$", "$$") if "$$" in text or "${" in text else text


def expand(text: str, *, reread: bool = True, environment: Mapping[str, str] = os.environ) -> Scalar:
    """``text`` with its variables replaced.

    Args:
        text: What the recipe has.
        reread: Whether a text that is a variable as a whole is read as a YAML scalar, which can be a number.
        environment: Where variables are looked up.

    Raises:
        ValueError: A variable that is not set and has no default, or a ``${`` that begins none.
    """
    expanded = _TOKEN.sub(lambda match: _value(match, environment), text)
    return resolve(expanded) if reread and is_whole(text) else expanded


def _value(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match["bad"] is not None:
        raise ValueError("'${' begins no ${NAME} or ${NAME:-default}; a plain dollar sign is written $$")
    name, default = match["name"], match["default"]
    if name is None:
        return "$"
    value = environment.get(name)
    if default is not None:
        return value or default
    if value is None:
        raise ValueError(f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
    return value
