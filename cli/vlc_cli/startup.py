"""Commands that start without importing what they do not use."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class _QuickHelpOption:
    """Gives ``--help`` the default that a flag has.

    Without one, typer validates the missing value by pydantic, and importing that costs every command 40 ms.
    """

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.default = False
        return option


class QuickCommand(_QuickHelpOption, TyperCommand):
    """A command of vlc."""


class QuickGroup(_QuickHelpOption, TyperGroup):
    """``vlc`` itself."""
