"""Prompt templates: from a recipe's option to strings with ``{}`` in them, and from those to texts."""

from __future__ import annotations

from collections.abc import Sequence

from vlc_core.errors import RecipeError
from vlc_core.plugins import plugins

SLOT = "{}"


def templates_of(prompts: str | Sequence[str]) -> tuple[str, ...]:
    """The templates that ``prompts`` stands for.

    Args:
        prompts: A single template, a list of templates, or the name of a registered set of them. A string
            that holds ``{}`` is a template.

    Raises:
        UnknownComponent: No plugin offers a set of that name; the message gives the nearest one.
        RecipeError: There is no template, or one has no ``{}`` and would describe every class alike.
    """
    if not isinstance(prompts, str):
        return _checked(prompts, "the list `prompts`")
    if SLOT in prompts:
        return (prompts,)
    registered = plugins().registry.find("prompts", prompts).load()
    return _checked(registered, f"the prompt set {prompts!r}")


def fill(templates: Sequence[str], name: str) -> tuple[str, ...]:
    """Every template with ``name`` in its place; braces within the name are left alone."""
    return tuple(template.replace(SLOT, name) for template in templates)


def _checked(templates: Sequence[str], where: str) -> tuple[str, ...]:
    if not templates:
        raise RecipeError(f"{where} is empty: give templates such as 'a photo of a {{}}.'")
    for template in templates:
        if SLOT not in template:
            raise RecipeError(
                f"{where} holds {template!r}, which has no {{}} for the class name: write it as "
                f"'a photo of a {{}}.', or give the name of a prompt set without a list"
            )
    return tuple(templates)
