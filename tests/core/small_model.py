"""Encoders and objectives small enough to check by hand, and the same step taken in several ways.

Loaded by path, in tests and on ranks of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from vlc_core import accounting, distributed
from vlc_core.batch import Batch
from vlc_core.engine.optimizer import parameter_groups
from vlc_core.interfaces.encoder import Encoded, FusionEncoder, ImageEncoder, TextEncoder, Vocabulary
from vlc_core.interfaces.objective import ModelInfo, Needs, Objective, Term
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.model.twins import Twins
from vlc_core.momentum import MomentumTwin
from vlc_core.phases import Moment, Phase
from vlc_core.pretrainer import Pretrainer
from vlc_core.step import Setting, Step

WIDTH, DIM, WORDS, SAMPLES = 6, 5, 20, 12
VOCABULARY = Vocabulary(size=WORDS, pad=0, mask=WORDS - 1)
QUEUED = 5
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


class Both(FusionEncoder):
    """A text's word vectors, each with the mean of the image's patches."""

    def __init__(self, text_width: int = WIDTH, image_width: int = WIDTH, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = text_width
        self.join = nn.Linear(text_width + image_width, text_width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, text: Encoded, image: Encoded) -> Encoded:
        assert text.tokens is not None
        assert image.tokens is not None
        seen = image.tokens.mean(dim=1, keepdim=True).expand(-1, text.tokens.shape[1], -1)
        tokens = self.join(self.dropout(torch.cat([text.tokens, seen], dim=2))).tanh()
        return Encoded(tokens[:, 0], tokens, text.mask)


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


class Odd(Objective):
    """Not finite, with a gradient that is, where a sample's group is negative."""

    def forward(self, step: Step) -> Mapping[str, Term]:
        wrong = torch.where((step.groups < 0).any(), torch.nan, 0.0)
        return {"odd": Term((step.image.embed * step.text.embed).sum() + wrong, len(step))}


class Twinned(Objective):
    """Towards the twins' embeddings and local ones of the other side, away from what is queued."""

    needs = Needs(momentum=True, queue=True, locals=True)

    def forward(self, step: Step) -> Mapping[str, Term]:
        twin = step.momentum
        assert twin.image.local is not None
        assert twin.text.local is not None
        assert twin.text.local_mask is not None
        near = (step.image.embed * twin.text.embed).sum() + (step.text.embed[:, None] * twin.image.local).sum()
        words = (step.image.embed[:, None] * twin.text.local * twin.text.local_mask[..., None]).sum()
        far = (step.scale * step.image.embed @ step.queue.text.features.T).logsumexp(dim=1).sum()
        return {"twinned": Term(far - near - words, len(step))}


class Fused(Objective):
    """Reads every pair whole, with a head of its own."""

    needs = Needs(fusion=True)

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        assert model.fusion_width is not None
        self.head = nn.Linear(model.fusion_width, 1)

    def forward(self, step: Step) -> Mapping[str, Term]:
        fused = step.fuse(step.text, step.image)
        return {"fused": Term(self.head(fused.summary).square().sum() * step.scale.sum(), len(step))}


class Hidden(Objective):
    """Hidden words by the text around them and the image, towards what a twin of the head says."""

    needs = Needs(fusion=True, momentum=True, masking=0.5, scope="micro")

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        assert model.fusion_width is not None
        self.head = nn.Linear(model.fusion_width, model.vocabulary.size)
        self.twin = MomentumTwin(self.head, 0.5)

    def forward(self, step: Step) -> Mapping[str, Term]:
        fused, hidden = step.fuse(step.masked_text, step.image), step.masked.labels >= 0
        slow = step.momentum.fuse(step.momentum.masked_text, step.momentum.image)
        assert fused.tokens is not None
        assert slow.tokens is not None
        logits, soft = self.head(fused.tokens), self.twin(slow.tokens).softmax(dim=-1)
        losses = F.cross_entropy(logits.mT, step.masked.labels, reduction="none") - (soft * logits.log_softmax(2)).sum(
            2
        )
        return {"hidden": Term(losses[hidden].sum(), hidden.sum())}


_ALL = (Clip, Sigmoid, Late, Views, Labelled, Words, Mean, Noisy, Hazy, Odd, Twinned, Fused, Hidden)
OBJECTIVES = {c.__name__.lower(): c for c in _ALL}
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
    needs = {name: OBJECTIVES[name].requires({}) for name in names}
    merged = reduce(Needs.merge, needs.values())
    if merged.fusion:
        towers.fusion = Both(dropout=dropout)
    info = ModelInfo(DIM, WIDTH, WIDTH, VOCABULARY, ("a", "b", "c"), fusion_width=WIDTH)
    objectives = {name: OBJECTIVES[name](info) for name in names}
    setting = Setting(towers, merged, _twins(towers, merged), SEED, "other", VOCABULARY)
    made = Pretrainer(setting, objectives, {name: WEIGHTS.get(name, 1.0) for name in names}, needs)
    towers.image.encoder.returns_tokens = merged.image_tokens or merged.fusion
    towers.text.encoder.returns_tokens = merged.text_tokens or merged.fusion
    for parameter in made.parameters():
        if parameter.dim() == 0:
            parameter.data = parameter.data.view(1)
    return made.to(dtype)


def _twins(towers: Towers, needs: Needs) -> Twins | None:
    """Twins that are no longer what they follow, with something in their queues."""
    if not needs.momentum:
        return None
    twins = Twins(towers, needs, momentum=0.9, queue=24 if needs.queue else 0, draws=("image", "text"))
    for parameter in twins.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    for queue in (twins.image_queue, twins.text_queue):
        queue.push(F.normalize(torch.randn(QUEUED, DIM), dim=1))
    return twins


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
    return Moment(0.25, 1000 * part + 10_000 * distributed.rank())


def whole_step(made: Pretrainer, given: Batch) -> dict[str, float]:
    """A step in one piece; gradients are left in the parameters."""
    losses = made(Phase.TRAIN, given, moment(0))
    losses.loss.backward()
    made.advance()
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
    made.advance()
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
