"""Names the datasets, samplers, transforms and prompt sets; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlc_core import hookimpl
from vlc_plugin_data.prompts import CLIP7, CLIP80, DIGITS, SIMPLE

if TYPE_CHECKING:
    import typer

    from vlc_core.naming import Recognised
    from vlc_core.registry import Registrar


@hookimpl
def vlc_register(registry: Registrar) -> None:
    """Offers what a run reads and how."""
    _datasets(registry)
    _paired(registry)
    _samplers(registry)
    _transforms(registry)
    _prompts(registry)


@hookimpl
def vlc_commands(app: typer.Typer) -> None:
    """Adds ``vlc data``."""
    from vlc_plugin_data.commands import add_commands

    add_commands(app)


@hookimpl
def vlc_recognise(path: str) -> Recognised | None:
    """Tells tars, tables, annotations and folders by their names and what is at their head."""
    from vlc_plugin_data.inspecting.recognise import recognise

    return recognise(path)


def _datasets(registry: Registrar) -> None:
    registry.dataset(
        "digits",
        "vlc_plugin_data.digits:Digits",
        summary="1,797 scans of handwritten digits, 8×8 pixels, in ten classes; they come with scikit-learn",
        source="Alpaydin and Kaynak, UCI Machine Learning Repository, 1998",
    )
    registry.dataset(
        "folder",
        "vlc_plugin_data.folder:Folder",
        summary="A folder with a folder of images for each class",
    )
    registry.dataset(
        "manifest",
        "vlc_plugin_data.manifest:Manifest",
        summary="A CSV, TSV, JSONL or Parquet table of images with captions, labels or both",
    )
    registry.dataset(
        "webdataset",
        "vlc_plugin_data.webdataset:WebDataset",
        summary="Tar shards as img2dataset and webdataset write them, with random access",
    )
    registry.dataset(
        "huggingface",
        "vlc_plugin_data.huggingface:HuggingFace",
        summary="A dataset of the Hugging Face hub, or one that its library has saved",
    )
    registry.dataset(
        "coco",
        "vlc_plugin_data.captioned.coco:CocoCaptions",
        summary="COCO's own caption files: captions_train2017.json and its like",
        source="Lin et al., ECCV 2014; Chen et al., 2015",
    )
    registry.dataset(
        "karpathy",
        "vlc_plugin_data.captioned.karpathy:Karpathy",
        summary="The split files dataset_coco.json, dataset_flickr30k.json and dataset_flickr8k.json",
        source="Karpathy and Fei-Fei, CVPR 2015",
    )
    registry.dataset(
        "captions-by-language",
        "vlc_plugin_data.captioned.by_language:CaptionsByLanguage",
        summary="Images with captions in several languages: Multi30K, Crossmodal-3600, tables, COCO files of each",
    )
    registry.dataset(
        "shapes-by-language",
        "vlc_plugin_data.shapes.by_language:ShapesByLanguage",
        summary="Drawn scenes with captions in six languages and five scripts",
    )
    registry.dataset(
        "shapes",
        "vlc_plugin_data.shapes.dataset:Shapes",
        summary="Drawn scenes of coloured shapes, with captions, statements and questions of known truth",
    )


def _paired(registry: Registrar) -> None:
    registry.dataset(
        "shapes-statements",
        "vlc_plugin_data.shapes.paired:ShapesStatements",
        summary="Statements about drawn scenes, true and false ones in pairs",
    )
    registry.dataset(
        "shapes-entailment",
        "vlc_plugin_data.shapes.paired:ShapesEntailment",
        summary="Hypotheses about drawn scenes: contradicted, open or entailed",
    )
    registry.dataset(
        "shapes-questions",
        "vlc_plugin_data.shapes.paired:ShapesQuestions",
        summary="Questions about drawn scenes and their answers",
    )
    registry.dataset(
        "shapes-two-images",
        "vlc_plugin_data.shapes.paired:ShapesTwoImages",
        summary="Statements about one of two drawn scenes",
    )
    registry.dataset(
        "shapes-phrases",
        "vlc_plugin_data.shapes.phrases:ShapesPhrases",
        summary="Phrases about drawn scenes and where what they name is",
    )
    registry.dataset(
        "statements",
        "vlc_plugin_data.paired.sentences:Statements",
        summary="JSON lines of image, sentence and whether it is true, such as NLVR's",
        source="Suhr et al., ACL 2017",
    )
    registry.dataset(
        "snli-ve",
        "vlc_plugin_data.paired.sentences:SnliVe",
        summary="SNLI-VE's JSON lines: hypotheses about photographs",
        source="Xie et al., 2019",
    )
    registry.dataset(
        "nlvr2",
        "vlc_plugin_data.paired.nlvr2:Nlvr2",
        summary="NLVR2's JSON lines: statements about two photographs",
        source="Suhr et al., ACL 2019",
    )
    registry.dataset(
        "vqa",
        "vlc_plugin_data.paired.vqa:Vqa",
        summary="VQA v2's questions and annotations",
        source="Goyal et al., CVPR 2017",
    )
    registry.dataset(
        "flickr30k-entities",
        "vlc_plugin_data.paired.entities:Flickr30kEntities",
        summary="Flickr30K Entities: phrases of captions and their boxes",
        source="Plummer et al., ICCV 2015",
    )


def _samplers(registry: Registrar) -> None:
    registry.sampler(
        "shuffle",
        "vlc_plugin_data.samplers.shuffle:Shuffle",
        summary="All sources as one, in a new random order each epoch, every sample once",
    )
    registry.sampler(
        "balanced",
        "vlc_plugin_data.samplers.by_source:Balanced",
        summary="The same part of every batch from each source, smaller ones repeated",
        source="UniCL, CVPR 2022",
    )
    registry.sampler(
        "weighted",
        "vlc_plugin_data.samplers.by_source:Weighted",
        summary="From each source the part of every batch that its `share` names",
    )
    registry.sampler(
        "proportional",
        "vlc_plugin_data.samplers.by_source:Proportional",
        summary="From each source its part of all samples, in every batch; every sample once an epoch",
    )
    registry.sampler(
        "class-balanced",
        "vlc_plugin_data.samplers.class_balanced:ClassBalanced",
        summary="Every class equally often, small ones repeated",
    )
    registry.sampler(
        "shard-shuffle",
        "vlc_plugin_data.samplers.shard_shuffle:ShardShuffle",
        summary="Remote shards in random order, read in interleaved lanes, a block of neighbours at a time",
    )


def _transforms(registry: Registrar) -> None:
    registry.transform(
        "clip",
        "vlc_plugin_data.transforms.clip:RandomCrop",
        summary="A random crop, resized; mirrored at random if asked",
        source="CLIP, ICML 2021",
    )
    registry.transform(
        "tcl",
        "vlc_plugin_data.transforms.tcl:StrongViews",
        summary="A random crop, colour jitter, grayscale, blur, mirroring and RandAugment",
        source="TCL, CVPR 2022",
    )
    registry.transform(
        "fit",
        "vlc_plugin_data.transforms.fit:CentreCrop",
        summary="The shorter side resized, the centre kept; nothing random",
    )


def _prompts(registry: Registrar) -> None:
    clip = "CLIP, ICML 2021"
    registry.prompts("clip80", CLIP80, summary="CLIP's 80 templates for ImageNet", source=clip)
    registry.prompts("clip7", CLIP7, summary="Seven of the 80 that do nearly as well", source=clip)
    registry.prompts("simple", SIMPLE, summary="One plain template", source=clip)
    registry.prompts("digits", DIGITS, summary="Eight ways to speak of a handwritten digit")
