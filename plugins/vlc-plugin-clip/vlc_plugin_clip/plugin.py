"""What vlc-plugin-clip offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlc_core import hookimpl

if TYPE_CHECKING:
    from vlc_core.registry import Registrar


@hookimpl
def vlc_register(registry: Registrar) -> None:
    """Names the components of this plugin."""
    registry.objective(
        "clip",
        "vlc_plugin_clip.objectives:Clip",
        summary="matches each image with its own text among all texts of the batch, and the other way round",
        source="CLIP, ICML 2021",
    )
