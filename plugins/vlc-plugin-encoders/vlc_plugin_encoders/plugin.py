"""What this plugin offers: names and import strings only, so that listing it loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlc_core import hookimpl

if TYPE_CHECKING:
    from vlc_core.registry import Registrar

HERE = "vlc_plugin_encoders"


@hookimpl
def vlc_register(registry: Registrar) -> None:
    """Registers encoders and tokenizers."""
    registry.image_encoder(
        "vit",
        f"{HERE}.vit:VisionTransformer",
        summary="Vision transformer of any size",
        source="ViT, ICLR 2021",
    )
    registry.text_encoder(
        "text-transformer",
        f"{HERE}.text_transformer:TextTransformer",
        summary="Transformer over tokens, causal or not, pooled at the end, the start or the mean",
        source="CLIP, ICML 2021",
    )
    registry.image_encoder(
        "resnet", f"{HERE}.resnet:ResNet", summary="Residual network of 18 to 101 layers", source="ResNet, CVPR 2016"
    )
    registry.image_encoder(
        "features",
        f"{HERE}.features:Features",
        summary="Precomputed embeddings from a column of the data, in place of images",
        source="LiT, CVPR 2022",
    )
    registry.image_encoder(
        "transformers",
        f"{HERE}.pretrained.image:TransformersImage",
        summary="Any image model of the transformers library, from a configuration, a folder or the hub",
    )
    registry.image_encoder("timm", f"{HERE}.pretrained.timm:TimmImage", summary="Any image model of timm")
    registry.text_encoder(
        "transformers",
        f"{HERE}.pretrained.text:TransformersText",
        summary="Any text encoder of the transformers library, from a configuration, a folder or the hub",
    )
    registry.fusion_encoder(
        "cross-attention",
        "vlc_plugin_encoders.cross_attention:CrossAttention",
        summary="transformer blocks over the text's tokens that also attend to the image's",
        source="ALBEF, NeurIPS 2021",
    )
    registry.fusion_encoder(
        "transformers",
        f"{HERE}.pretrained.fusion:TransformersFusion",
        summary="The upper layers of a BERT of the transformers library, each with attention to the image",
        source="ALBEF, NeurIPS 2021",
    )
    registry.tokenizer(
        "transformers",
        f"{HERE}.tokenizers.library:TransformersTokenizer",
        summary="The tokenizer of a model of the transformers library",
    )
    registry.text_encoder(
        "linear-text",
        f"{HERE}.linear_text:LinearText",
        summary="One embedding per known text, or a bag of words",
        source="UniCL, CVPR 2022",
    )
    registry.tokenizer("word", f"{HERE}.tokenizers.word:WordTokenizer", summary="One id per word of the captions")
    registry.tokenizer(
        "bpe",
        f"{HERE}.tokenizers.bpe:BytePairTokenizer",
        summary="Byte-pair encoding of characters, trained on the captions",
        source="Sennrich et al., ACL 2016",
    )
    registry.tokenizer(
        "byte-level",
        f"{HERE}.tokenizers.byte_level:ByteLevelTokenizer",
        summary="Byte-pair encoding of bytes, trained on the captions: nothing is unknown",
        source="GPT-2, 2019",
    )
    registry.tokenizer(
        "unigram",
        f"{HERE}.tokenizers.unigram:UnigramTokenizer",
        summary="Unigram language model pieces trained on the captions",
        source="SentencePiece, EMNLP 2018",
    )
    registry.tokenizer(
        "whole-text",
        f"{HERE}.tokenizers.whole_text:WholeTextTokenizer",
        summary="One id per text of the training data, for `linear-text`",
    )
    registry.tokenizer(
        "file", f"{HERE}.tokenizers.file:FileTokenizer", summary="A tokenizer.json, or CLIP's own byte pairs"
    )
