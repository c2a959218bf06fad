"""Prompt templates: from a recipe's option to strings with ``{}`` in them, and from those to texts."""

from __future__ import annotations

from collections.abc import Sequence

from vlc_core.options import templates
from vlc_core.plugins import plugins


def templates_of(prompts: str | Sequence[str]) -> tuple[str, ...]:
    """The templates that ``prompts`` stands for.

    Args:
        prompts: The name of a registered set of templates, one template (a string with ``{}`` in it), or
            several.

    Raises:
        UnknownComponent: No plugin offers a set of that name; the message gives the nearest one.
        RecipeError: There is no template, or one has no ``{}`` and would describe every class alike.
    """
    return templates(plugins().registry, prompts if isinstance(prompts, str) else list(prompts))


def fill(templates: Sequence[str], name: str) -> tuple[str, ...]:
    """Every template with ``name`` in its place; braces within the name are left alone."""
    return tuple(template.replace("{}", name) for template in templates)
