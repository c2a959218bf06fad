"""Names the evaluators; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlc_core import hookimpl

if TYPE_CHECKING:
    from vlc_core.registry import Registrar


@hookimpl
def vlc_register(registry: Registrar) -> None:
    """Offers ``zero-shot`` and ``retrieval``."""
    registry.evaluator(
        "zero-shot",
        "vlc_plugin_eval.zero_shot:ZeroShot",
        summary="Classification by class names in prompts: top-1, top-5 and mean per-class accuracy",
        source="CLIP, ICML 2021",
    )
    registry.evaluator(
        "retrieval",
        "vlc_plugin_eval.retrieval:Retrieval",
        summary="Images by text and texts by image: recall at 1, 5 and 10, median rank",
        source="ALIGN, ICML 2021",
    )
