"""The whole contract between vlc and a plugin.

A plugin is a module or class on the entry-point group ``vlc.plugins``. It implements any of these hooks, marked with
``vlc_core.hookimpl``. ``vlc_register`` and ``vlc_commands`` run in every command and must import neither torch nor
anything as slow. ``vlc_recognise`` is asked what reads a path that a command was given. The run events are called on
rank 0, outside the hot loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from vlc_core.engine.run import Outcome, Run
    from vlc_core.interfaces.evaluator import Evaluation
    from vlc_core.naming import Recognised
    from vlc_core.registry import Registrar

PROJECT = "vlc"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def vlc_register(registry: Registrar) -> None:
    """Names the plugin's components, each by an import string."""


@hookspec
def vlc_commands(app: typer.Typer) -> None:
    """Adds commands to the ``vlc`` command line."""


@hookspec(firstresult=True)
def vlc_recognise(path: str) -> Recognised | None:
    """Tells which dataset reads the path or URL ``path``; None where none of the plugin's does.

    Plugins are asked until one knows, the last name of the alphabet first; ``@hookimpl(tryfirst=True)`` goes before.
    """


@hookspec
def vlc_run_start(run: Run) -> None:
    """A training run is about to take its first step."""


@hookspec
def vlc_step_end(run: Run, metrics: dict[str, float]) -> None:
    """The metrics of a step have arrived, one step after it was taken."""


@hookspec
def vlc_evaluated(run: Run, name: str, evaluation: Evaluation) -> None:
    """An evaluation of the recipe has finished."""


@hookspec
def vlc_checkpoint_saved(run: Run, path: Path) -> None:
    """A checkpoint is whole on disk."""


@hookspec
def vlc_run_end(run: Run, outcome: Outcome) -> None:
    """The run has ended, well or not; ``outcome`` says how."""
