"""What vlc-plugin-unicl offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlc_core import hookimpl

if TYPE_CHECKING:
    from vlc_core.registry import Registrar

HERE = "vlc_plugin_unicl"
SOURCE = "UniCL, CVPR 2022"


@hookimpl
def vlc_register(registry: Registrar) -> None:
    """Names the components of this plugin."""
    _objectives(registry)
    _recipes(registry)


def _objectives(registry: Registrar) -> None:
    registry.objective(
        "bic",
        f"{HERE}.bic:Bic",
        summary="matches images and texts of one class, both ways; a pair without a label is its own class",
        source=SOURCE,
    )
    registry.objective(
        "classify",
        f"{HERE}.classify:Classify",
        summary="cross entropy of a linear layer over the image's features",
        source=SOURCE,
    )
    registry.objective(
        "supcon",
        f"{HERE}.supcon:SupCon",
        summary="matches the images of one class, two views of each",
        source="SupCon, NeurIPS 2020",
    )


def _recipes(registry: Registrar) -> None:
    summaries = {
        "base": "Swin-T and a text transformer as published",
        "laptop": "3 M parameters, for a CPU",
        "gpu": "Swin-T for one GPU",
        "cluster": "Swin-T for many GPUs, batch 4,096",
        "multi-task": "contrast on pairs and a classifier on labels, to compare with",
        "linear-text": "one embedding for each text instead of a text transformer, to compare with",
    }
    for name, summary in summaries.items():
        registry.recipe(name, f"{HERE}:recipes/{name}.yaml", summary=summary, source=SOURCE)
