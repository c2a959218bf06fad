"""What vlc-plugin-align offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlc_core import hookimpl

if TYPE_CHECKING:
    from vlc_core.registry import Registrar

SOURCE = "ALIGN, ICML 2021"


@hookimpl
def vlc_register(registry: Registrar) -> None:
    """Names the components of this plugin."""
    registry.objective(
        "align",
        "vlc_plugin_align.objective:Align",
        summary="matches images and texts as CLIP does, with a smoothed target and any share of the batch as negatives",
        source=SOURCE,
    )
    registry.image_encoder(
        "efficientnet",
        "vlc_plugin_align.efficientnet:EfficientNet",
        summary="EfficientNet B0 to B7 and L2 by name, from a configuration, a folder or the hub",
        source="EfficientNet, ICML 2019",
    )
    for name, summary in (
        ("base", "EfficientNet-B7 and BERT-Large"),
        ("laptop", "4 M parameters, for a CPU"),
        ("cluster", "EfficientNet-L2 and BERT-Large, 16,384 pairs a step, for many GPUs"),
        ("multilingual", "Several languages and scripts by one tokenizer of bytes, for a CPU"),
        ("multilingual-retrieval", "align/multilingual fine-tuned for retrieval on Multi30K"),
        ("retrieval", "align/laptop fine-tuned for retrieval on Flickr30K"),
        ("retrieval-flickr30k", "align/cluster fine-tuned for retrieval on Flickr30K, as published"),
        ("retrieval-coco", "align/cluster fine-tuned for retrieval on COCO, as published"),
    ):
        registry.recipe(name, f"vlc_plugin_align:recipes/{name}.yaml", summary=summary, source=SOURCE)
