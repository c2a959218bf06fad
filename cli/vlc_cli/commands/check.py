"""``vlc check``."""

from __future__ import annotations

from vlc_cli import options


def check(
    recipe: options.RecipeArgument,
    sets: options.Sets = [],  # noqa: B006
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Validate a recipe completely and train nothing."""
