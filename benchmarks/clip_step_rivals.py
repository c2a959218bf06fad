"""The rivals of ``clip_step.py``: open_clip's model, loss and loop body, and ours with its weights and its batch.

Shapes: N pairs, L tokens, W width, D embedding width.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from open_clip_shim import folder, part
from torch import Tensor, nn

from vlc_core.batch import Batch
from vlc_core.engine import optimizer as optimizers
from vlc_core.engine import zero
from vlc_core.interfaces.encoder import ImageEncoder, Vocabulary
from vlc_core.interfaces.objective import ModelInfo, Needs
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.phases import Losses, Moment, Phase
from vlc_core.pretrainer import Pretrainer
from vlc_core.step import Setting
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_clip.objectives import Clip
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.tokenizers.clip import from_released
from vlc_plugin_encoders.vit import VisionTransformer

WORDS = Vocabulary(size=49_408, pad=0, start=49_406, end=49_407)
RATE, DECAY, BETAS, EPS = 1e-5, 0.2, (0.9, 0.98), 1e-6
Precision = Callable[[], AbstractContextManager[None]]

_NAMES = {
    "conv1": "patch_embed",
    "class_embedding": "summary_token",
    "positional_embedding": "positions",
    "ln_pre": "pre_norm",
    "ln_post": "norm",
    "ln_final": "norm",
    "token_embedding": "token_embed",
    "transformer.resblocks": "blocks",
    "ln_1": "attention_norm",
    "ln_2": "mlp_norm",
    "attn.in_proj_": "attention.qkv_",
    "attn.out_proj": "attention.out",
    "mlp.c_fc": "mlp.up",
    "mlp.c_proj": "mlp.down",
}


@dataclass(frozen=True)
class Size:
    """Of images and patches in pixels, of both towers, and of the batch."""

    side: int = 96
    patch: int = 16
    width: int = 256
    image_depth: int = 6
    text_depth: int = 4
    batch: int = 64


class Texts(NamedTuple):
    """Ids (N, L) int64, zero at padding, and which of them are real, (N, L) bool."""

    tokens: Tensor
    mask: Tensor


def precision(name: str) -> AbstractContextManager[None]:
    """Autocast for bf16, nothing for fp32."""
    return torch.autocast("cpu", torch.bfloat16) if name == "bf16" else nullcontext()


def captions(count: int, *, joined: bool) -> list[str]:
    """Captions of photographs, with ``joined`` all five of each photograph as one text.

    They are Flickr8k's, in the folder that ``VLC_TEST_DATA`` names or in ../shared/data; elsewhere, made-up texts of
    the same lengths.
    """
    file = Path(os.environ.get("VLC_TEST_DATA", "../shared/data")) / "flickr8k" / "pairs.jsonl"
    if not file.is_file():
        lengths = (11 + 4 * torch.randn(count, generator=torch.Generator().manual_seed(0))).round().clamp(4, 35)
        return ["dog " * (99 if joined else int(n)) for n in lengths]
    rows = [json.loads(line)["captions"] for line in file.read_text(encoding="utf-8").splitlines()[:count]]
    return [" ".join(row) if joined else row[number % len(row)] for number, row in enumerate(rows)]


def encode(texts: list[str], context: int) -> Texts:
    """The ids that open_clip's tokenizer gives, padded to the longest text."""
    tokenizer = Tokenizer(from_released(folder() / "bpe_simple_vocab_16e6.txt.gz"), WORDS)
    ids, mask, _ = tokenizer.encode(texts, context)
    return Texts(ids, mask)


def normalised(pixels: Tensor) -> Tensor:
    """What a loader hands to open_clip."""
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (ImageEncoder.mean, ImageEncoder.std))
    return (pixels.float() / 255 - mean) / std


def padded(ids: Tensor, context: int) -> Tensor:
    """(N, context), zero where there is nothing: what open_clip's tokenizer returns."""
    return nn.functional.pad(ids, (0, context - ids.shape[1]))


class Theirs:
    """open_clip's ``CLIP`` and ``ClipLoss`` with fused AdamW, as its training loop calls them."""

    def __init__(self, size: Size, context: int, pixels: Tensor, tokens: Tensor) -> None:
        model = part("model")
        vision = model.CLIPVisionCfg(
            layers=size.image_depth, width=size.width, patch_size=size.patch, image_size=size.side
        )
        text = model.CLIPTextCfg(
            context_length=context,
            vocab_size=WORDS.size,
            width=size.width,
            heads=size.width // 64,
            layers=size.text_depth,
        )
        self.model: Any = model.CLIP(size.width, vision, text, output_dict=True).train()
        self.loss: Any = part("loss").ClipLoss()
        self.optimizer = optimizers.adamw(groups(self.model), lr=RATE, betas=BETAS, eps=EPS)
        self.pixels, self.tokens = normalised(pixels), padded(tokens, context)

    def embed(self) -> tuple[Tensor, Tensor]:
        """Both embeddings (N, D)."""
        found = self.model(self.pixels, self.tokens)
        return found["image_features"], found["text_features"]

    def gradients(self, mode: str) -> Tensor:
        """Leaves gradients in the parameters; returns the loss."""
        with precision(mode):
            loss: Tensor = self.loss(**self.model(self.pixels, self.tokens))
        loss.backward()
        return loss.detach()

    def step(self, mode: str) -> Tensor:
        """One training step; returns the loss before it."""
        loss = self.gradients(mode)
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(100))
        self.optimizer.zero_grad()
        return loss


class Ours:
    """The pretrainer with the objective ``clip``, and the engine's AdamW."""

    def __init__(self, size: Size, peer: Theirs, pixels: Tensor, texts: Texts) -> None:
        common: dict[str, Any] = {"width": size.width}
        image = VisionTransformer(size=size.side, patch=size.patch, depth=size.image_depth, pre_norm=True, **common)
        text = TextTransformer(WORDS, depth=size.text_depth, context=peer.model.context_length, **common)
        image.returns_tokens = text.returns_tokens = False
        towers = Towers(ImageTower(image, size.width), TextTower(text, size.width), Temperature())
        objective = Clip(ModelInfo(size.width, size.width, size.width, WORDS))
        self.model = Pretrainer(Setting(towers), {"clip": objective}, {"clip": 1.0}, {"clip": Needs()}).train()
        self.model.towers.load_state_dict(renamed(dict(peer.model.named_parameters())))
        self.optimizer = optimizers.adamw(groups(self.model), lr=RATE, betas=BETAS, eps=EPS)
        nothing = torch.full((size.batch,), -1)
        numbers = torch.arange(size.batch)
        self.batch = Batch(pixels[None], texts.tokens, texts.mask, nothing, numbers, numbers)

    def embed(self) -> tuple[Tensor, Tensor]:
        """Both embeddings (N, D)."""
        towers = self.model.towers
        return towers.image(self.batch.pixels[0]).embed, towers.text(self.batch.tokens, self.batch.mask).embed

    def gradients(self, mode: str) -> Tensor:
        """Leaves gradients in the parameters; returns the loss."""
        with precision(mode):
            losses: Losses = self.model(Phase.TRAIN, self.batch, Moment(0.0, 0))
        losses.loss.backward()
        return losses.loss.detach()

    def step(self, mode: str) -> Tensor:
        """One training step; returns the loss before it."""
        loss = self.gradients(mode)
        self.optimizer.step()
        temperature = self.model.towers.temperature
        zero.clamp(temperature.value, temperature.low, temperature.high)
        self.optimizer.zero_grad()
        return loss


def groups(model: nn.Module) -> list[dict[str, Any]]:
    """The same for both: matrices decay, the rest does not."""
    return optimizers.parameter_groups(model, DECAY)


def renamed(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by open_clip's names as tensors by those of our towers; projections and patches change their shape."""
    return {_name(name): _value(name, value.detach()) for name, value in theirs.items()}


def _name(name: str) -> str:
    if name == "logit_scale":
        return "temperature.value"
    if name in ("visual.proj", "text_projection"):
        return ("image" if name == "visual.proj" else "text") + ".head.weight"
    tower = "image" if name.startswith("visual.") else "text"
    name = name.removeprefix("visual.")
    for old, new in _NAMES.items():
        name = name.replace(old, new)
    return f"{tower}.encoder.{name}"


def _value(name: str, value: Tensor) -> Tensor:
    if name == "logit_scale":
        return value.view(1)
    if name in ("visual.proj", "text_projection"):
        return value.T
    return value.flatten(1) if name == "visual.conv1.weight" else value
