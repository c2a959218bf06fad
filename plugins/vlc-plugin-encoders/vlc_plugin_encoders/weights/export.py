"""Encoders as folders of the transformers library, read back and compared before they get their name."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlc_core.errors import RecipeError, StorageError
from vlc_core.folders import write_folder
from vlc_core.interfaces.encoder import Exported, ImageEncoder, TextEncoder
from vlc_plugin_encoders.pretrained.library import quietly, transformers
from vlc_plugin_encoders.weights.tokenizer import tokenizer_files

if TYPE_CHECKING:
    from vlc_core.tokenizer import Tokenizer

LEAST = 0.9999
"""The cosine below which an export is not the encoder."""
BICUBIC = 3
WORDS = ("a photo of a dog", "two", "the small red square is left of a large blue circle")


def check_library(to: str) -> None:
    """Raises RecipeError unless ``to`` is a library that this plugin writes for."""
    if to != "transformers":
        raise RecipeError(f"--to {to}: this encoder can be exported to transformers only")


def export_image(encoder: ImageEncoder, model: nn.Module, folder: Path, *, pool: str = "auto") -> Exported:
    """Writes ``config.json``, ``model.safetensors`` and ``preprocessor_config.json``.

    Args:
        encoder: What is exported.
        model: The same as a model of the library.
        folder: Where to; it must not exist, or be empty.
        pool: How the folder is to be read, as an option of the ``transformers`` encoder.

    Raises:
        RecipeError: ``folder`` is not empty, or what was written is not the encoder: then nothing is left of it.
        StorageError: It cannot be written.
    """

    def compared(place: Path) -> float:
        from vlc_plugin_encoders.pretrained.image import TransformersImage

        again = TransformersImage(folder=str(place), size=encoder.size, pool=pool).eval()  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randn(4, 3, encoder.size, encoder.size, generator=generator)
        with torch.no_grad():
            return _least_cosine(encoder.eval()(pixels).summary, again(pixels).summary)

    settings = json.dumps(preprocessing(encoder), indent=2) + "\n"
    return _written(model, folder, {"preprocessor_config.json": settings.encode()}, compared)


def export_text(
    encoder: TextEncoder, model: nn.Module, folder: Path, tokenizer: Tokenizer, *, pool: str, end: int | None
) -> Exported:
    """Writes ``config.json``, ``model.safetensors``, ``tokenizer.json`` and ``tokenizer_config.json``.

    Args:
        encoder: What is exported.
        model: The same as a model of the library.
        folder: Where to; it must not exist, or be empty.
        tokenizer: Of the encoder.
        pool: Which token of the model summarises: ``first``, ``end`` or ``mean``; ``own`` where the model does it.
        end: The end token's id in ``model``.

    Raises:
        RecipeError: ``folder`` is not empty, or what was written is not the encoder: then nothing is left of it.
        StorageError: It cannot be written.
    """

    def compared(place: Path) -> float:
        library = transformers()
        with quietly():
            again = library.AutoModel.from_pretrained(place, dtype=torch.float32).eval()
            words = library.AutoTokenizer.from_pretrained(place)
        given = words(list(WORDS), padding=True, truncation=True, max_length=encoder.context, return_tensors="pt")
        tokens = tokenizer.encode(WORDS, encoder.context)
        with torch.no_grad():
            ours = encoder.eval()(tokens.ids, tokens.mask).summary
            out = again(input_ids=given["input_ids"], attention_mask=given["attention_mask"])
        return _least_cosine(ours, _pooled(out, given["attention_mask"], pool))

    return _written(model, folder, tokenizer_files(tokenizer, encoder.context, end), compared)


def _pooled(out: Any, mask_NL: Tensor, pool: str) -> Tensor:
    x_NLW: Tensor = out.last_hidden_state
    if pool == "own":
        own: Tensor = out.pooler_output
        return own
    if pool == "mean":
        return (x_NLW * mask_NL[..., None]).sum(dim=1) / mask_NL.sum(dim=1, keepdim=True)
    last = torch.zeros_like(mask_NL[:, 0]) if pool == "first" else mask_NL.sum(dim=1) - 1
    return x_NLW[torch.arange(x_NLW.shape[0]), last]


def preprocessing(encoder: ImageEncoder) -> dict[str, Any]:
    """What the library's image processor must do for ``encoder``: short side to size, centre, mean and deviation."""
    side = encoder.size
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": side},
        "resample": BICUBIC,
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(encoder.mean),
        "image_std": list(encoder.std),
    }


def _written(model: Any, folder: Path, more: dict[str, bytes], compared: Callable[[Path], float]) -> Exported:
    check_free(folder)
    try:
        with tempfile.TemporaryDirectory() as made:
            place = Path(made)
            with quietly():
                model.save_pretrained(place)
            for name, content in more.items():
                (place / name).write_bytes(content)
            least = compared(place)
            if least < LEAST:
                raise RecipeError(
                    f"the export is not the encoder (least cosine {least:.4f} on random input, {LEAST} is wanted): "
                    f"nothing was written to {folder}"
                )
            files = {path.name: path.read_bytes() for path in place.iterdir()}
        write_folder(folder, files)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written ({error.strerror or error})") from error
    return Exported(folder, type(model).__name__, least, backbone=_backbone(model))


def check_free(folder: Path) -> None:
    """Raises RecipeError if there is something at ``folder``."""
    if folder.exists() and (not folder.is_dir() or os.listdir(folder)):
        raise RecipeError(f"{folder} is not empty: choose another folder with -o")


def _backbone(model: Any) -> str | None:
    """The class that the library's ``AutoBackbone`` has for models of this kind."""
    known = transformers().AutoBackbone._model_mapping
    return known[type(model.config)].__name__ if type(model.config) in known else None


def _least_cosine(one: Tensor, other: Tensor) -> float:
    if one.shape != other.shape:
        return -1.0
    return float(F.cosine_similarity(one.double(), other.double(), dim=1).min())
