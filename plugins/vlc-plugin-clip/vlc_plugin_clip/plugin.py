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
    registry.objective(
        "bag-of-words",
        "vlc_plugin_clip.bag_of_words:BagOfWords",
        summary="predicts the caption's words from the image, to compare with contrast",
        source="CLIP, ICML 2021",
    )
    source = "CLIP, ICML 2021"
    registry.recipe("base", "vlc_plugin_clip:recipes/base.yaml", summary="ViT-B/16 as published", source=source)
    registry.recipe("laptop", "vlc_plugin_clip:recipes/laptop.yaml", summary="7 M parameters, for a CPU", source=source)
    registry.recipe("gpu", "vlc_plugin_clip:recipes/gpu.yaml", summary="ViT-B/16 for one GPU", source=source)
    registry.recipe("cluster", "vlc_plugin_clip:recipes/cluster.yaml", summary="ViT-L/14 for many", source=source)
    registry.recipe(
        "bag-of-words",
        "vlc_plugin_clip:recipes/bag-of-words.yaml",
        summary="predicts words instead of contrasting pairs, for a CPU",
        source=source,
    )
