"""What the project's own plugins offer, installed or not, so that an unknown name can say what to install."""

from __future__ import annotations

_PAIRED = (
    "shapes-statements", "shapes-entailment", "shapes-questions", "shapes-two-images", "shapes-phrases",
    "statements", "snli-ve", "nlvr2", "vqa", "flickr30k-entities",
)  # fmt: skip

# plugin name → kind → component names
CATALOGUE: dict[str, dict[str, tuple[str, ...]]] = {
    "align": {"objective": ("align",), "image_encoder": ("efficientnet",)},
    "clip": {"objective": ("clip", "bag-of-words")},
    "data": {
        "dataset": (
            "digits",
            "folder",
            "manifest",
            "webdataset",
            "huggingface",
            "coco",
            "karpathy",
            "captions-by-language",
            "shapes",
            "shapes-by-language",
            *_PAIRED,
        ),
        "sampler": ("shuffle", "balanced", "weighted", "proportional", "class-balanced", "shard-shuffle"),
        "transform": ("clip", "fit", "tcl"),
        "prompts": ("clip80", "clip7", "simple", "digits"),
    },
    "encoders": {
        "image_encoder": ("vit", "resnet", "features", "transformers", "timm"),
        "text_encoder": ("text-transformer", "linear-text", "transformers"),
        "fusion_encoder": ("cross-attention", "transformers"),
        "tokenizer": ("word", "bpe", "byte-level", "unigram", "file", "whole-text", "transformers"),
    },
    "eval": {
        "evaluator": (
            "zero-shot",
            "retrieval",
            "multilingual-retrieval",
            "linear-probe",
            "few-shot",
            "knn",
            "concept-retrieval",
            "embedding-map",
            "pair-classes",
            "grounding",
            "crisscrossed",
        )
    },
    "tcl": {"objective": ("cma", "imc", "lmi", "itm", "mlm", "pairs")},
    "unicl": {"objective": ("bic", "classify", "supcon")},
}


def distribution(plugin: str) -> str:
    """The distribution that brings one of the project's own plugins."""
    return f"vlc-plugin-{plugin}"


def offering(kind: str, name: str) -> list[str]:
    """Those of the project's own plugins that offer ``name`` (``"cma"`` or ``"tcl/cma"``) of ``kind``."""
    wanted, _, short = name.rpartition("/")
    return [plugin for plugin, kinds in CATALOGUE.items() if short in kinds.get(kind, ()) and wanted in ("", plugin)]
