"""Names the evaluators and the command; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlc_core import hookimpl

if TYPE_CHECKING:
    import typer

    from vlc_core.registry import Registrar


@hookimpl
def vlc_register(registry: Registrar) -> None:
    """Offers the evaluators."""
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
    registry.evaluator(
        "multilingual-retrieval",
        "vlc_plugin_eval.multilingual:MultilingualRetrieval",
        summary="Images by text and texts by image in each language of the captions, of one model or of several",
        source="ALIGN, ICML 2021",
    )
    registry.evaluator(
        "linear-probe",
        "vlc_plugin_eval.linear_probe:LinearProbe",
        summary="Logistic regression on frozen features, its strength swept on a validation split",
        source="CLIP, ICML 2021",
    )
    registry.evaluator(
        "few-shot",
        "vlc_plugin_eval.few_shot:FewShot",
        summary="Logistic regression on 1 to 16 images a class, beside zero-shot",
        source="CLIP, ICML 2021",
    )
    registry.evaluator(
        "knn",
        "vlc_plugin_eval.knn:NearestNeighbours",
        summary="Classification by the votes of the nearest neighbours",
        source="InstDisc, CVPR 2018",
    )
    registry.evaluator(
        "concept-retrieval",
        "vlc_plugin_eval.concepts:ConceptRetrieval",
        summary="The nearest concepts of a vocabulary, by text or by images, of one model or of two",
        source="UniCL, CVPR 2022",
    )
    registry.evaluator(
        "embedding-map",
        "vlc_plugin_eval.embedding_map:EmbeddingMap",
        summary="t-SNE of image embeddings with pictures on hover, of one model or of two",
        source="UniCL, CVPR 2022",
    )
    registry.evaluator(
        "crisscrossed",
        "vlc_plugin_eval.crisscrossed:CrissCrossed",
        summary="Retrieval within and between images and captions, and correlation with people's ratings of likeness",
        source="Crisscrossed Captions, EACL 2021",
    )
    registry.evaluator(
        "pair-classes",
        "vlc_plugin_eval.pair_classes:PairClasses",
        summary="Statements, entailment and questions: accuracy and consistency of an objective on fused pairs",
        source="ALBEF, NeurIPS 2021",
    )
    registry.evaluator(
        "grounding",
        "vlc_plugin_eval.grounding:Grounding",
        summary="Where the fusion encoder looks for phrases: pointing, boxes, recall among candidates",
        source="ALBEF, NeurIPS 2021",
    )


@hookimpl
def vlc_commands(app: typer.Typer) -> None:
    """Adds ``vlc transfer``."""
    from vlc_plugin_eval.transfer.commands import transfer

    app.command("transfer")(transfer)
