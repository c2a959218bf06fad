"""``vit`` and ``text-transformer`` against the same CLIP of the transformers library with SDPA.

Both get the same weights, so that their outputs can be compared, and the same batch of a training step: images, and
captions of usual lengths, padded to the batch's longest (``text``) or to CLIP's whole context (``text at 77``).
Forward and backward are timed in turns, so that both see the same machine; the ratio is the median over the turns.

    python benchmarks/encoders.py
    python benchmarks/encoders.py --size small --turns 40 --dtype bf16
    OMP_NUM_THREADS=1 python benchmarks/encoders.py --size vit-s --threads 1 --clock cpu
    OMP_NUM_THREADS=1 python benchmarks/encoders.py --threads 1 --clock cpu --against compiled

The last one compares the towers with themselves under torch.compile, as ``compile: true`` of a recipe has it done.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModel

from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer
from vlc_plugin_encoders.weights import clip

VOCABULARY_SIZE, CONTEXT = 10_000, 77
START, END = VOCABULARY_SIZE - 2, VOCABULARY_SIZE - 1


@dataclass(frozen=True)
class Size:
    """Side and patch in pixels, then width and depth of either tower, then the batch."""

    side: int
    patch: int
    width: int
    image_depth: int
    text_depth: int
    batch: int


SIZES = {"small": Size(96, 16, 256, 6, 4, batch=64), "vit-s": Size(224, 16, 384, 12, 12, batch=8)}

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Runs = dict[str, Callable[[], Tensor]]


def theirs(size: Size, activation: str) -> tuple[CLIPVisionModel, CLIPTextModel]:
    """The library's two towers in training mode."""
    common: dict[str, Any] = {
        "hidden_size": size.width,
        "intermediate_size": 4 * size.width,
        "num_attention_heads": size.width // 64,
        "hidden_act": activation,
        "attn_implementation": "sdpa",
    }
    vision = CLIPVisionConfig(num_hidden_layers=size.image_depth, image_size=size.side, patch_size=size.patch, **common)
    text = CLIPTextConfig(
        num_hidden_layers=size.text_depth,
        vocab_size=VOCABULARY_SIZE,
        max_position_embeddings=CONTEXT,
        bos_token_id=START,
        eos_token_id=END,
        **common,
    )
    return CLIPVisionModel(vision).train(), CLIPTextModel(text).train()


def ours(vision: CLIPVisionModel, text: CLIPTextModel) -> tuple[VisionTransformer, TextTransformer]:
    """Our two towers with the library's weights."""
    image = VisionTransformer(**clip.image_options(vision.config.to_dict()))
    config = text.config.to_dict()
    words = TextTransformer(clip.vocabulary(config), **clip.text_options(config))
    image.load_state_dict(clip.image_weights(vision.state_dict()))
    words.load_state_dict(clip.text_weights(text.state_dict()))
    image.returns_tokens = words.returns_tokens = False
    return image.train(), words.train()


def batch_of(size: Size) -> tuple[Tensor, Tensor, Tensor]:
    """Images, and captions as long as photographs' are: 14 tokens in the mean, the longest about 25."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(size.batch, 3, size.side, size.side, generator=generator)
    lengths = (14 + 4.5 * torch.randn(size.batch, generator=generator)).round().clamp(5, 36).long()
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    tokens = torch.randint(0, START, mask.shape, generator=generator)
    tokens[:, 0] = START
    tokens[torch.arange(size.batch), lengths - 1] = END
    return pixels, torch.where(mask, tokens, END), mask


def runs_of(size: Size, activation: str) -> tuple[Runs, Runs]:
    """What is timed, ours and theirs."""
    vision, text = theirs(size, activation)
    image, words = ours(vision, text)
    pixels, tokens, mask = batch_of(size)
    more = (0, CONTEXT - tokens.shape[1])
    tokens77, mask77 = F.pad(tokens, more, value=END), F.pad(mask, more, value=False)

    def their_text(tokens: Tensor, mask: Tensor) -> Tensor:
        pooled: Tensor = text(input_ids=tokens, attention_mask=mask.long()).pooler_output
        return pooled

    def their_image() -> Tensor:
        pooled: Tensor = vision(pixel_values=pixels).pooler_output
        return pooled

    mine: Runs = {
        "image": lambda: image(pixels).summary,
        "text": lambda: words(tokens, mask).summary,
        "text at 77": lambda: words(tokens77, mask77).summary,
        "both": lambda: torch.cat([image(pixels).summary, words(tokens, mask).summary]),
    }
    other: Runs = {
        "image": their_image,
        "text": lambda: their_text(tokens, mask),
        "text at 77": lambda: their_text(tokens77, mask77),
        "both": lambda: torch.cat([their_image(), their_text(tokens, mask)]),
    }
    return mine, other


def compiled_runs_of(size: Size, activation: str) -> tuple[Runs, Runs]:
    """Our towers translated by torch.compile, and as they are."""
    image, words = ours(*theirs(size, activation))
    quick_image, quick_words = copy.deepcopy(image), copy.deepcopy(words)
    quick_image.compile(options={"fallback_random": True})
    quick_words.compile(dynamic=True, options={"fallback_random": True})
    pixels, tokens, mask = batch_of(size)
    mine: Runs = {
        "image": lambda: quick_image(pixels).summary,
        "text": lambda: quick_words(tokens, mask).summary,
    }
    other: Runs = {"image": lambda: image(pixels).summary, "text": lambda: words(tokens, mask).summary}
    return mine, other


def timed(
    run: Callable[[], Tensor], precision: Callable[[], AbstractContextManager[None]], clock: Callable[[], float]
) -> float:
    """Seconds for forward and backward; the gradients add up, which costs both rivals the same."""
    start = clock()
    with precision():
        summary = run()
    summary.float().square().sum().backward()
    return clock() - start


def compare(name: str, mine: Callable[[], Tensor], other: Callable[[], Tensor], options: argparse.Namespace) -> None:
    """Prints one row."""

    def precision() -> AbstractContextManager[None]:
        return torch.autocast("cpu", torch.bfloat16) if options.dtype == "bf16" else nullcontext()

    with torch.no_grad(), precision():
        a, b = mine().float(), other().float()
    difference = ((a - b).abs().max() / b.abs().max()).item()
    clock = CLOCKS[options.clock]
    turns = range(options.turns + 2)
    pairs = [(timed(mine, precision, clock), timed(other, precision, clock)) for _ in turns][2:]
    ratio = statistics.median(x / y for x, y in pairs)
    spent = [statistics.median(times) * 1e3 for times in zip(*pairs, strict=True)]
    least = [min(times) for times in zip(*pairs, strict=True)]
    print(
        f"{name:<24}{spent[0]:>9.1f} ms{spent[1]:>10.1f} ms{ratio:>8.3f}{least[0] / least[1]:>8.3f}{difference:>12.1e}"
    )


def main() -> None:
    """Prints a row per size and part."""
    parser = argparse.ArgumentParser(description="vit and text-transformer against the transformers library")
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--part", choices=("image", "text", "text at 77", "both"), action="append")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--activation", choices=("gelu", "quick_gelu"), default="gelu")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: fair beside other processes, on 1 thread")
    parser.add_argument("--against", choices=("transformers", "compiled"), default="transformers")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    against = options.against == "transformers"
    rivals = ("vlc", "transformers") if against else ("compiled", "as it is")
    print(f"{'forward and backward':<24}{rivals[0]:>12}{rivals[1]:>13}{'ratio':>8}{'of min':>8}{'difference':>12}")
    for name in options.size or SIZES:
        mine, other = (runs_of if against else compiled_runs_of)(SIZES[name], options.activation)
        for part in options.part or mine:
            compare(f"{name}, {part}", mine[part], other[part], options)


if __name__ == "__main__":
    main()
