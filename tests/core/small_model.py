"""Encoders and objectives small enough to check by hand, and the same step taken in several ways.

Loaded by path, in tests and on ranks of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from vlc_core import accounting, distributed
from vlc_core.batch import Batch
from vlc_core.engine.optimizer import parameter_groups
from vlc_core.interfaces.encoder import Encoded, ImageEncoder, TextEncoder, Vocabulary
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.pretrainer import Moment, Phase, Pretrainer
from vlc_core.step import Step

WIDTH, DIM, WORDS, SAMPLES = 6, 5, 20, 12
VOCABULARY = Vocabulary(size=WORDS, pad=0)
SEED = 7


class Look(ImageEncoder):
    """Four patches of a 4 × 4 image, each through one layer."""

    def __init__(self, *, dropout: float = 0.0, norm: bool = False) -> None:
        super().__init__()
        self.size, self.width = 4, WIDTH
        self.patch = nn.Linear(12, WIDTH)
        self.norm = nn.BatchNorm1d(WIDTH) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, pixels: Tensor) -> Encoded:
        patches = F.unfold(pixels, 2, stride=2).transpose(1, 2)
        tokens = self.dropout(self.patch(patches).tanh())
        summary = self.out(self.norm(tokens.mean(dim=1)))
        return Encoded(summary, tokens if self.returns_tokens else None)


class Read(TextEncoder):
    """The mean of a text's word vectors."""

    def __init__(self, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.context, self.width = 8, WIDTH
        self.words = nn.Embedding(WORDS, WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        vectors = self.dropout(self.words(tokens)) * mask[..., None]
        summary = self.out(vectors.sum(dim=1) / mask.sum(dim=1, keepdim=True))
        return Encoded(summary, vectors if self.returns_tokens else None, mask if self.returns_tokens else None)


class Clip(Objective):
    """The textbook loss over all ranks; the sum over this rank's rows of both directions."""

    def forward(self, step: Step) -> Mapping[str, Term]:
        image, text = step.image.embed, step.text.embed
        own = torch.arange(len(step)) + distributed.rank() * len(step)
        rows = F.cross_entropy(step.scale * image @ distributed.gather(text).T, own, reduction="sum")
        columns = F.cross_entropy(step.scale * text @ distributed.gather(image).T, own, reduction="sum")
        return {"rows": Term(rows, len(step)), "columns": Term(columns, len(step))}


class Sigmoid(Objective):
    """Pairs told from other pairs, with a scale and a bias without dimensions (arXiv 2303.15343)."""

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self.log_scale = nn.Parameter(torch.tensor(1.5))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def forward(self, step: Step) -> Mapping[str, Term]:
        logits = self.log_scale.exp() * step.image.embed @ distributed.gather(step.text.embed).T + self.bias
        signs = -torch.ones_like(logits)
        own = torch.arange(len(step))
        signs[own, own + distributed.rank() * len(step)] = 1.0
        return {"sigmoid": Term(-F.logsigmoid(signs * logits).sum(), len(step))}


class Late(Objective):
    """Every image against the words of every text: it needs the tokens of the whole batch."""

    needs = Needs(image_tokens=True, text_tokens=True)

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self.mix = nn.Linear(model.text_width, model.image_width)

    def forward(self, step: Step) -> Tensor:
        assert step.image.tokens is not None
        assert step.text.tokens is not None
        assert step.text.mask is not None
        words, patches = self.mix(step.text.tokens), step.image.tokens
        near = torch.einsum("nlw,mpw->nmlp", words, patches).logsumexp(dim=3)
        mask = step.text.mask[:, None]
        scores = (near * mask).sum(dim=2) / mask.sum(dim=2)
        return -scores.log_softmax(dim=1).diagonal().mean()


class Views(Objective):
    """Two views of one image, to each other."""

    needs = Needs(views=2)

    def forward(self, step: Step) -> Mapping[str, Term]:
        first, second = step.view(0).embed, step.view(1).embed
        own = torch.arange(len(step)) + distributed.rank() * len(step)
        loss = F.cross_entropy(3 * first @ distributed.gather(second).T, own, reduction="sum")
        return {"views": Term(loss, len(step))}


class Labelled(Objective):
    """A classifier of the samples that have a label; a micro-batch may have none."""

    needs = Needs(labels=True, scope="micro")

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self.classes = nn.Linear(model.image_width, 3)

    def forward(self, step: Step) -> Mapping[str, Term]:
        known = step.labels >= 0
        losses = F.cross_entropy(self.classes(step.image.summary), step.labels.clamp(min=0), reduction="none")
        size = step.image.summary.square().sum() * step.scale
        return {"class": Term((losses * known).sum(), known.sum()), "size": Term(size, 2.0 * len(step))}


class Words(Objective):
    """The mean over real words, so that its count follows the lengths; a bare scalar would not be exact."""

    needs = Needs(text_tokens=True, scope="micro")

    def forward(self, step: Step) -> Mapping[str, Term]:
        assert step.text.tokens is not None
        return {"words": Term(step.text.tokens.square().sum(), step.text.mask.sum())}  # type: ignore[union-attr]


class Mean(Objective):
    """A bare scalar: the mean over the samples."""

    needs = Needs(scope="micro")

    def forward(self, step: Step) -> Tensor:
        return (step.image.embed - step.text.embed).abs().sum(dim=1).mean()


class Noisy(Objective):
    """Draws noise of its own over the whole batch; no parameters."""

    def forward(self, step: Step) -> Mapping[str, Term]:
        noise = torch.rand(len(step), DIM, dtype=step.image.embed.dtype)
        return {"noise": Term((noise * step.image.embed).sum(), len(step))}


class Hazy(Objective):
    """Draws noise, and has parameters: it is computed twice in a step of micro-batches."""

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self.gain = nn.Parameter(torch.ones(DIM))

    def forward(self, step: Step) -> Mapping[str, Term]:
        kept = F.dropout(step.text.embed, 0.5)
        return {"haze": Term((kept * self.gain * step.image.embed).sum(), len(step))}


OBJECTIVES = {c.__name__.lower(): c for c in (Clip, Sigmoid, Late, Views, Labelled, Words, Mean, Noisy, Hazy)}
WEIGHTS = {"sigmoid": 0.5, "labelled": 2.0, "views": 0.3}


def model(
    names: list[str],
    *,
    dropout: float = 0.0,
    norm: bool = False,
    dtype: torch.dtype = torch.float64,
    **temperature: Any,
) -> Pretrainer:
    """A pretrainer, the same in every process."""
    torch.manual_seed(1)
    towers = Towers(
        ImageTower(Look(dropout=dropout, norm=norm), DIM),
        TextTower(Read(dropout=dropout), DIM),
        Temperature(**{"init": 0.2, **temperature}),
    )
    info = ModelInfo(DIM, WIDTH, WIDTH, VOCABULARY, ("a", "b", "c"))
    objectives = {name: OBJECTIVES[name](info) for name in names}
    needs = {name: type(objective).requires({}) for name, objective in objectives.items()}
    made = Pretrainer(towers, objectives, {name: WEIGHTS.get(name, 1.0) for name in names}, needs)
    towers.image.encoder.returns_tokens = made.needs.image_tokens
    towers.text.encoder.returns_tokens = made.needs.text_tokens
    for parameter in made.parameters():
        if parameter.dim() == 0:
            parameter.data = parameter.data.view(1)
    return made.to(dtype)


def batch(dtype: torch.dtype = torch.float64, *, seed: int = 0, views: int = 2) -> Batch:
    """Twelve samples with texts of one to eight words; the first four have no label, and no sample of the last half."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([3, 1, 5, 2, 4, 2, 1, 8, 6, 3, 2, 7])
    mask = torch.arange(8) < lengths[:, None]
    return Batch(
        pixels=torch.randn(views, SAMPLES, 3, 4, 4, generator=generator, dtype=torch.float64).to(dtype),
        tokens=torch.randint(1, WORDS, (SAMPLES, 8), generator=generator) * mask,
        mask=mask,
        labels=torch.tensor([-1, -1, -1, -1, 2, 0, -1, -1, -1, -1, -1, -1]),
        groups=torch.arange(SAMPLES),
        numbers=torch.arange(SAMPLES),
        keys=tuple(f"sample {i}" for i in range(SAMPLES)),
    )


def moment(part: int) -> Moment:
    return Moment(SEED, 0.25, 1000 * part + 10_000 * distributed.rank())


def whole_step(made: Pretrainer, given: Batch) -> dict[str, float]:
    """A step in one piece; gradients are left in the parameters."""
    losses = made(Phase.TRAIN, given, moment(0))
    losses.loss.backward()
    return accounting.report(made.term_names, losses.totals, made.weights) | {"scale": float(losses.scale)}


def step_in_parts(made: Pretrainer, given: Batch, size: int) -> dict[str, float]:
    """A step in micro-batches; gradients are left in the parameters."""
    parts = given.split(size)
    moments = [moment(1 + number) for number in range(len(parts))]
    embedded = [made(Phase.EMBED, part, when) for part, when in zip(parts, moments, strict=True)]
    whole = (given, embedded, moment(0))
    pull = made(Phase.CONTRAST, *whole)
    for number, (part, when) in enumerate(zip(parts, moments, strict=True)):
        rows = slice(number * size, (number + 1) * size)
        made(Phase.REPLAY, part, rows, pull, when, None if number else whole).backward()
    return accounting.report(made.term_names, pull.totals, made.weights) | {"scale": float(pull.scale)}


def gradients(made: Pretrainer) -> dict[str, Tensor]:
    """Of every parameter, the mean over ranks, as data parallelism takes it."""
    found = {}
    for name, parameter in made.named_parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        if distributed.world() > 1:
            dist.all_reduce(gradient)
        found[name] = gradient / distributed.world()
    return found


def taken(names: list[str], size: int | None, *, precision: str = "float64", **options: Any) -> tuple[Any, Any]:
    """Metrics and gradients of one step of this rank's share of the batch, whole or in micro-batches."""
    dtype = getattr(torch, precision)
    made = model(names, dtype=dtype, **options)
    given = batch(dtype)
    if distributed.world() > 1:
        given = given.split(SAMPLES // distributed.world())[distributed.rank()]
    metrics = whole_step(made, given) if size is None else step_in_parts(made, given, size)
    return metrics, gradients(made)


def on_rank(rank: int, world: int, cases: list[Any]) -> list[Any]:
    """Several of :func:`taken`, for ``run_on_ranks``."""
    return [list(taken(names, size, **options)) for names, size, options in cases]


def groups(made: Pretrainer, decay: float) -> list[dict[str, Any]]:
    return parameter_groups(made, decay)
