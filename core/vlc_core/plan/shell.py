"""A model without content, and a batch for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from vlc_core import assemble
from vlc_core.assemble import Data
from vlc_core.batch import UNLABELLED, Batch
from vlc_core.errors import DataError
from vlc_core.loading.sources import TrainingSource
from vlc_core.model.temperature import Temperature
from vlc_core.pretrainer import Pretrainer
from vlc_core.recipe.schema import Recipe
from vlc_core.registry import Registry
from vlc_core.tokenizer import Tokenizer

MOST_TEXTS = 1024
_SMALL = 1 << 20


def build_empty(recipe: Recipe, registry: Registry, tokenizer: Tokenizer, data: Data) -> Pretrainer:
    """The recipe's pretrainer on torch's ``meta`` device: shapes, and nothing behind them."""
    with torch.device("meta"):
        return build_full(recipe, registry, tokenizer, data)


def build_full(recipe: Recipe, registry: Registry, tokenizer: Tokenizer, data: Data) -> Pretrainer:
    """The recipe's pretrainer with its weights, for encoders that cannot be built without."""
    towers = assemble.build_towers(recipe.model, registry, tokenizer)
    return assemble.build_pretrainer(recipe, registry, towers, tokenizer, data)


def hollow(model: Pretrainer, mode: FakeTensorMode, temperature: Temperature) -> None:
    """Takes the content out of ``model``: its parameters and buffers become fake tensors.

    What steers computations stays real: the temperature, and integers that were real before.
    """
    model.towers.temperature = temperature
    made: dict[int, Tensor] = {}
    for module in model.modules():
        if isinstance(module, Temperature):
            continue
        for name, parameter in module._parameters.items():
            if parameter is not None:
                fake = made.setdefault(id(parameter), _parameter(parameter, mode))
                module._parameters[name] = fake if isinstance(fake, nn.Parameter) else None
        for name, buffer in module._buffers.items():
            if buffer is not None and not _steers(buffer):
                module._buffers[name] = made.setdefault(id(buffer), _fake(buffer, mode))


def _parameter(parameter: nn.Parameter, mode: FakeTensorMode) -> nn.Parameter:
    with mode:
        return nn.Parameter(_fake(parameter, mode), requires_grad=parameter.requires_grad)


def _fake(x: Tensor, mode: FakeTensorMode) -> Tensor:
    with mode:
        return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="cpu")


def _steers(buffer: Tensor) -> bool:
    return not buffer.is_meta and not buffer.is_floating_point() and buffer.numel() <= _SMALL


def example_batch(model: Pretrainer, tokens: Tensor, mask: Tensor, mode: FakeTensorMode, *, classes: int) -> Batch:
    """A rank's batch with the texts ``tokens`` (B, L), pictures without content, and labels of all ``classes``."""
    count, encoder = len(tokens), model.towers.image.encoder
    kind = torch.uint8 if encoder.vector_width is None else torch.float32
    with mode:
        pixels = torch.empty(model.views, count, *encoder.input_shape, dtype=kind)
    numbers = torch.arange(count)
    labels = numbers % classes if classes else torch.full_like(numbers, UNLABELLED)
    return Batch(pixels, tokens, mask, labels, numbers, numbers)


def example_tokens(data: Data, tokenizer: Tokenizer, context: int, count: int, *, full: bool) -> tuple[Tensor, Tensor]:
    """Token ids and mask (count, L) of the texts that the run draws first, repeated where they are not enough.

    Args:
        data: Of the recipe.
        tokenizer: Of the model.
        context: Of the text encoder.
        count: How many rows.
        full: Whether every row is taken to be as long as the longest, as on a device that packs nothing.
    """
    tokens = tokenizer.encode(first_texts(data, min(count, MOST_TEXTS)) or [""], context)
    rows = torch.arange(count) % len(tokens.ids)
    mask = tokens.mask[rows]
    return tokens.ids[rows], torch.ones_like(mask) if full else mask


def first_texts(data: Data, count: int) -> list[str]:
    """The texts of the first ``count`` samples, as far as they can be had without their images."""
    sources, indices = data.sampler.draw(np.arange(count, dtype=np.int64))
    texts: list[str] = []
    for number, (source, index) in enumerate(zip(sources.tolist(), indices.tolist(), strict=True)):
        texts += _text(data.sources[source], index, number)
    return texts


def _text(source: TrainingSource, index: int, number: int) -> Sequence[str]:
    try:
        found = [text for text in source.dataset.texts(index) if text.strip()]
    except DataError:
        return []
    if found:
        return [found[number % len(found)]]
    names = source.dataset.classes or ()
    return [source.prompts[number % len(source.prompts)].replace("{}", names[number % len(names)])] if names else []
