"""A tiny TCL model with real encoders, and its step taken in several ways. Loaded by path, in tests and on ranks.

Shapes: B samples, K queued features, L tokens.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vlc_core import distributed
from vlc_core.batch import Batch
from vlc_core.interfaces.encoder import ImageEncoder, Vocabulary
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import Features, ImageTower, TextTower, Towers
from vlc_core.model.twins import Twins
from vlc_core.phases import Moment
from vlc_core.pretrainer import Pretrainer
from vlc_core.step import Setting, Step
from vlc_core.testing.modules import module_at
from vlc_plugin_clip.objectives import Clip
from vlc_plugin_encoders.cross_attention import CrossAttention
from vlc_plugin_encoders.resnet import ResNet
from vlc_plugin_encoders.text_transformer import TextTransformer
from vlc_plugin_encoders.vit import VisionTransformer
from vlc_plugin_tcl.objectives.cma import CrossModalAlignment
from vlc_plugin_tcl.objectives.imc import IntraModalContrast
from vlc_plugin_tcl.objectives.itm import ImageTextMatching
from vlc_plugin_tcl.objectives.lmi import LocalMutualInformation
from vlc_plugin_tcl.objectives.mlm import MaskedLanguageModelling

WIDTH, DIM, WORDS, SAMPLES, CONTEXT, SIDE = 8, 6, 20, 12, 9, 16
VOCABULARY = Vocabulary(size=WORDS, pad=0, start=1, end=2, mask=WORDS - 1)
QUEUED, SEED = 7, 5
OBJECTIVES: dict[str, type[Objective]] = {
    "cma": CrossModalAlignment,
    "imc": IntraModalContrast,
    "lmi": LocalMutualInformation,
    "itm": ImageTextMatching,
    "mlm": MaskedLanguageModelling,
    "clip": Clip,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "lmi": {"pool": 2, "negatives": "global"},
    "itm": {"negatives": "global"},
    "mlm": {"probability": 0.4},
}


def steps() -> ModuleType:
    """How steps are taken: what the tests of core use, at an epoch where alpha has grown to its half."""
    module = module_at(Path(__file__).parents[2] / "core" / "small_model.py", "tcl_small_steps")
    module.moment = moment  # type: ignore[attr-defined]
    return module


def moment(part: int) -> Moment:
    return Moment(0.25, 1000 * part + 10_000 * distributed.rank(), 0.5)


def image_encoder(kind: str, dropout: float) -> ImageEncoder:
    if kind == "resnet":
        return ResNet(size=SIDE, depth=18, width=WIDTH, stem="small")
    return VisionTransformer(size=SIDE, patch=4, width=WIDTH, depth=1, heads=2, dropout=dropout)


def model(
    names: list[str], *, image: str = "vit", dropout: float = 0.0, queue: int = 24, **options: dict[str, Any]
) -> Pretrainer:
    """A pretrainer in float64, the same in every process; ``options`` by objective."""
    torch.manual_seed(1)
    eye = image_encoder(image, dropout)
    reader = TextTransformer(
        VOCABULARY, width=WIDTH, depth=1, heads=2, context=CONTEXT, causal=False, pool="first", dropout=dropout
    )
    fusion = CrossAttention(WIDTH, eye.width, depth=2, heads=2, dropout=dropout)
    towers = Towers(ImageTower(eye, DIM), TextTower(reader, DIM), Temperature(init=0.2), fusion)
    chosen = {name: OPTIONS.get(name, {}) | options.get(name, {}) for name in names}
    needs = {name: OBJECTIVES[name].requires(chosen[name]) for name in names}
    merged = reduce(Needs.merge, needs.values())
    info = ModelInfo(DIM, eye.width, WIDTH, VOCABULARY, ("a", "b"), fusion_width=WIDTH, momentum=0.9)
    objectives = {name: OBJECTIVES[name](info, **chosen[name]) for name in names}
    eye.returns_tokens = merged.image_tokens or merged.fusion
    reader.returns_tokens = merged.text_tokens or merged.fusion
    setting = Setting(towers, merged, twins(towers, merged, queue), SEED, "other", VOCABULARY)
    weights = {name: 1.0 + 0.5 * i for i, name in enumerate(names)}
    return Pretrainer(setting, objectives, weights, needs).double()


def twins(towers: Towers, needs: Needs, queue: int) -> Twins | None:
    """Twins that are no longer what they follow, with something in their queues: two keys of the batch's images."""
    if not needs.momentum:
        return None
    made = Twins(towers, needs, momentum=0.9, queue=queue if needs.queue else 0, draws=("image", "text"))
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    for ring in (made.image_queue, made.text_queue):
        groups = torch.tensor([0, 3, 50, 51, 52, 53, 54])
        ring.push(F.normalize(torch.randn(QUEUED, DIM), dim=1), groups=groups)
    return made


def batch() -> Batch:
    """Twelve samples; samples 3 and 8 show one image, samples 1 and 5 carry one label, one text has a single word."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([5, 3, 7, 4, 6, 4, 3, 9, 8, 5, 4, 9])
    place = torch.arange(CONTEXT)
    mask = place < lengths[:, None]
    words = torch.randint(3, WORDS - 1, (SAMPLES, CONTEXT), generator=generator)
    words = torch.where(place == 0, 1, torch.where(place == lengths[:, None] - 1, 2, words)) * mask
    pixels = torch.randn(2, SAMPLES, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    groups, labels = torch.arange(SAMPLES), torch.full((SAMPLES,), -1)
    groups[8], labels[1], labels[5] = 3, 1, 1
    return Batch(pixels, words, mask, labels, groups, torch.arange(SAMPLES), tuple(map(str, range(SAMPLES))))


def taken(names: list[str], size: int | None, *, part: int | None = None, **options: Any) -> tuple[Any, Any]:
    """Metrics and gradients of a step of this rank's share of the batch, or of its half ``part``."""
    how, made, given = steps(), model(names, **options), batch()
    if distributed.world() > 1:
        part = distributed.rank()
    if part is not None:
        given = given.split(SAMPLES // 2)[part]
    metrics = how.whole_step(made, given) if size is None else how.step_in_parts(made, given, size)
    return metrics, how.gradients(made)


def on_rank(rank: int, world: int, cases: list[Any]) -> list[Any]:
    """Several of :func:`taken` on one of two ranks, for ``run_on_ranks``."""
    return [list(taken(names, size, **options)) for names, size, options in cases]


def unit(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def step_of(made: Pretrainer, given: Batch | None = None, *, epoch: float = 9.0) -> Step:
    """A step of the pretrainer, for objectives that are called by themselves."""
    torch.manual_seed(0)
    return Step(made._setting, batch() if given is None else given, epoch=epoch)


def embedded(image: Tensor, text: Tensor) -> dict[str, Features]:
    """Known embeddings of a step, with tokens that nobody looks at closely."""
    rows = len(image)
    return {
        "image.0": Features(image, image, image.new_ones(rows, 2, WIDTH)),
        "text": Features(text, text, text.new_ones(rows, 2, WIDTH)),
    }
