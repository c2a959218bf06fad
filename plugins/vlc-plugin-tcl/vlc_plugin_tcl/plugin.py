"""What vlc-plugin-tcl offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlc_core import hookimpl

if TYPE_CHECKING:
    from vlc_core.registry import Registrar

HERE = "vlc_plugin_tcl.objectives"
TCL, ALBEF = "TCL, CVPR 2022", "ALBEF, NeurIPS 2021"


@hookimpl
def vlc_register(registry: Registrar) -> None:
    """Names the components of this plugin."""
    registry.objective(
        "cma",
        f"{HERE}.cma:CrossModalAlignment",
        summary="matches images with texts among momentum features and a queue, with softened targets",
        source=TCL,
    )
    registry.objective(
        "imc",
        f"{HERE}.imc:IntraModalContrast",
        summary="matches two views of an image, and two draws of dropout of a text",
        source=TCL,
    )
    registry.objective(
        "lmi",
        f"{HERE}.lmi:LocalMutualInformation",
        summary="matches each image with its patches and each text with its words",
        source=TCL,
    )
    registry.objective(
        "itm",
        f"{HERE}.itm:ImageTextMatching",
        summary="tells pairs from hard negatives by reading text and image together",
        source=ALBEF,
    )
    registry.objective(
        "mlm",
        f"{HERE}.mlm:MaskedLanguageModelling",
        summary="tells hidden words from the words around them and the image",
        source=ALBEF,
    )
    registry.objective(
        "pairs",
        f"{HERE}.pairs:PairClasses",
        summary="tells classes of pairs, for fine-tuning: statements, entailment, questions",
        source=ALBEF,
    )
    for name, summary in RECIPES.items():
        registry.recipe(name, f"vlc_plugin_tcl:recipes/{name}.yaml", summary=summary, source=TCL)


RECIPES = {
    "quick": "four minutes on two CPU cores, on drawn shapes",
    "shapes": "forty minutes on two CPU cores, on drawn shapes",
    "pretrain": "as published: ViT-B/16 at 256 pixels, six and six layers of text and fusion",
    "statements": "fine-tuning: true and false statements about drawn shapes",
    "shapes-statements": "the same after tcl/shapes, for half an hour",
    "entailment": "fine-tuning: what a picture of drawn shapes entails",
    "questions": "fine-tuning: questions about drawn shapes",
    "two-images": "fine-tuning: statements about two pictures of drawn shapes",
}
