"""A procedural world of coloured shapes whose pictures and sentences are known to be true or false."""

from vlc_plugin_data.shapes.captions import Caption, Phrase, captions
from vlc_plugin_data.shapes.claims import (
    Entailment,
    Pair,
    Statement,
    entailments,
    statement_pairs,
    statements,
)
from vlc_plugin_data.shapes.draw import paint
from vlc_plugin_data.shapes.facts import Boxed, Exists, Fact, Related, Relation, Sized, truth
from vlc_plugin_data.shapes.questions import Question, questions
from vlc_plugin_data.shapes.scene import (
    COLOURS,
    HELD_OUT_KINDS,
    KINDS,
    SHAPES,
    Box,
    Kind,
    Scene,
    Thing,
    draw_scene,
)

__all__ = [
    "COLOURS",
    "HELD_OUT_KINDS",
    "KINDS",
    "SHAPES",
    "Box",
    "Boxed",
    "Caption",
    "Entailment",
    "Exists",
    "Fact",
    "Kind",
    "Pair",
    "Phrase",
    "Question",
    "Related",
    "Relation",
    "Scene",
    "Sized",
    "Statement",
    "Thing",
    "captions",
    "draw_scene",
    "entailments",
    "paint",
    "questions",
    "statement_pairs",
    "statements",
    "truth",
]
