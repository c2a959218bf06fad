"""The exceptions of vlc, and the exit code that each ends a command with.

VlcError                 1   anything that vlc itself reports
├── RecipeError          2   the recipe or the command line is wrong; nothing was started
│   ├── UnknownComponent     a name that no plugin offers
│   └── AmbiguousComponent   a short name that several plugins offer
├── DataError            3   the data is missing, empty or broken
├── Diverged             4   the loss or a gradient is no longer finite
├── StorageError         5   a folder or file cannot be written, or what is there cannot be used
└── RankLost             6   another rank died or hangs

Every message is one sentence that says what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class VlcError(Exception):
    """Base of everything that vlc reports to its user without a traceback."""

    exit_code: ClassVar[int] = 1


class RecipeError(VlcError):
    """One or several things wrong with a recipe; ``problems`` holds one sentence each."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class UnknownComponent(RecipeError):
    """A component name that no plugin offers."""


class AmbiguousComponent(RecipeError):
    """A short component name that several plugins offer."""


class DataError(VlcError):
    """Data that is missing, empty or broken beyond what the recipe tolerates."""

    exit_code: ClassVar[int] = 3


class Diverged(VlcError):
    """A loss or gradient that is no longer finite."""

    exit_code: ClassVar[int] = 4


class StorageError(VlcError):
    """A folder or file that cannot be written, or whose content cannot be used."""

    exit_code: ClassVar[int] = 5


class RankLost(VlcError):
    """A rank of the run that died or stopped answering."""

    exit_code: ClassVar[int] = 6
