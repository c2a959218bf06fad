"""One step of a recipe without content: what it computes, holds and sends on one rank."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from vlc_core.assemble import Data
from vlc_core.batch import Batch
from vlc_core.errors import VlcError
from vlc_core.inference import Inference
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import Features
from vlc_core.phases import Embedded, Moment, Phase
from vlc_core.plan import shell
from vlc_core.plan.ledger import Ledger
from vlc_core.pretrainer import Pretrainer
from vlc_core.recipe.schema import Recipe
from vlc_core.registry import Registry
from vlc_core.tokenizer import Tokenizer

BACKWARD = "gradients"
BATCH = "batch"
OBJECTIVES = "objectives"
IMAGE, TEXT = "image", "text"
_NOW = Moment(0.0, 0)
_EVALUATED_AT_ONCE: int = inspect.signature(Inference).parameters["batch_size"].default


@dataclass(frozen=True, slots=True)
class Traced:
    """What a step takes on one rank.

    Attributes:
        peak: Bytes of tensors other than weights when they are most, by part: the activations of the ``image`` and the
            ``text`` tower, what the ``objectives`` hold (tiles, gathered embeddings), the ``batch``, and the
            ``gradients`` with all else that the backward pass makes.
        flops: Floating-point operations of forward and backward, a multiply and an add counted as two.
        sent: Bytes sent by the objectives' collectives.
        evaluation: Bytes of tensors other than weights while an evaluation encodes images, when they are most.
        longest: Tokens of the longest text of the example batch.
    """

    peak: dict[str, int]
    flops: int
    sent: float
    evaluation: int
    longest: int


class Untraceable(VlcError):
    """A model or objective whose step cannot be run without content."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is traced.

    Attributes:
        recipe: The recipe.
        registry: Where its components are found.
        data: Its sources, opened.
        tokenizer: Of its model.
        packs: Whether texts are encoded without their padding, as on the CPU.
    """

    recipe: Recipe
    registry: Registry
    data: Data
    tokenizer: Tokenizer
    packs: bool


def trace(subject: Subject, *, world: int, per_rank: int, parts: int) -> Traced:
    """Runs a step of one of ``world`` ranks without content.

    Args:
        subject: What.
        world: How many ranks there would be.
        per_rank: The batch of a rank.
        parts: How many micro-batches it is cut into.

    Raises:
        Untraceable: It needs the values of what has none, however the model is built.
    """
    failure: Exception | None = None
    with _ranks(world), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own tracing asks tensors for gradients that they do not keep
        for build, condition in ((shell.build_empty, True), (shell.build_full, True), (shell.build_full, False)):
            try:
                model = build(subject.recipe, subject.registry, subject.tokenizer, subject.data)
                return _traced(subject, model, Ledger(world, condition=condition), per_rank, parts)
            except VlcError:
                raise
            except Exception as error:  # whatever a component does with a value that is not there
                failure = error
    raise Untraceable(f"a step cannot be run without content: {type(failure).__name__}: {failure}") from failure


def _traced(subject: Subject, model: Pretrainer, ledger: Ledger, per_rank: int, parts: int) -> Traced:
    recipe, mode = subject.recipe, FakeTensorMode(allow_non_fake_inputs=True)
    shell.hollow(model, mode, Temperature(**recipe.model.temperature.model_dump()))
    _watch(model, ledger)
    context = model.towers.text.encoder.context
    tokens, mask = shell.example_tokens(subject.data, subject.tokenizer, context, per_rank, full=not subject.packs)
    ledger.share = float(mask.float().mean())
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=recipe.train.precision == "bf16")
    with mode, ledger, _kernels_of_the_cpu(allowed=subject.packs):
        with ledger.part(BATCH):
            batch = shell.example_batch(model, tokens, mask, mode, classes=len(subject.data.classes))
            ledger.take(batch.pixels)
        if parts == 1:
            _whole(model, batch, ledger, autocast)
        else:
            _in_parts(model, batch, ledger, autocast, parts)
    evaluation = _evaluation(model, mode, autocast) if recipe.evaluate.with_ else 0
    return Traced(ledger.peak, ledger.flops, sum(ledger.sent.values()), evaluation, int(mask.sum(dim=1).max()))


def _watch(model: Pretrainer, ledger: Ledger) -> None:
    for objective in model.objectives.children():
        ledger.watch(objective, OBJECTIVES)
    ledger.watch(model.towers.image, IMAGE)
    ledger.watch(model.towers.text, TEXT)


def _whole(model: Pretrainer, batch: Batch, ledger: Ledger, autocast: Any) -> None:
    with autocast:
        losses = model(Phase.TRAIN, batch, _NOW)
    with ledger.part(BACKWARD):
        losses.loss.backward()


def _in_parts(model: Pretrainer, batch: Batch, ledger: Ledger, autocast: Any, parts: int) -> None:
    """As the engine does it, but the first two micro-batches stand for all: the second one finds gradients there."""
    first, second, *_ = micro = batch.split(len(batch) // parts)
    with autocast:
        embedded: Embedded = model(Phase.EMBED, first, _NOW)
        ledger.flops *= parts
        with ledger.part(OBJECTIVES):
            others = [_copy(embedded) for _ in micro[1:]]
        whole = (batch, [embedded, *others], _NOW)
        pull = model(Phase.CONTRAST, *whole)
    for part, given, times in ((first, whole, 1), (second, None, parts - 1)):
        before = ledger.flops
        with autocast:
            loss = model(Phase.REPLAY, part, slice(0, len(part)), pull, _NOW, given)
        with ledger.part(BACKWARD):
            loss.backward()
        ledger.flops = before + times * (ledger.flops - before)
        del loss


def _copy(embedded: Embedded) -> Embedded:
    return embedded._replace(features={name: Features(*map(_like, one)) for name, one in embedded.features.items()})  # type: ignore[arg-type]


def _like(x: Tensor | None) -> Tensor | None:
    return None if x is None else torch.empty_like(x)


def _evaluation(model: Pretrainer, mode: FakeTensorMode, autocast: Any) -> int:
    ledger, encoder = Ledger(), model.towers.image.encoder
    model.eval()
    with mode, ledger, torch.no_grad(), autocast:
        kind = torch.uint8 if encoder.vector_width is None else torch.float32
        pixels = torch.empty(_EVALUATED_AT_ONCE, *encoder.input_shape, dtype=kind)
        model(Phase.IMAGE, pixels)
    return sum(ledger.peak.values())


@contextmanager
def _kernels_of_the_cpu(*, allowed: bool) -> Iterator[None]:
    """Whether components may take what is made for the CPU alone, as they must not in code that is compiled.

    Fake tensors are on the CPU even in a plan for a GPU, because torch refuses others where there is none.
    """
    before = torch.compiler._is_compiling_flag
    torch.compiler._is_compiling_flag = before or not allowed
    try:
        yield
    finally:
        torch.compiler._is_compiling_flag = before


@contextmanager
def _ranks(world: int) -> Iterator[None]:
    """A process group of ``world`` ranks in which nothing is ever sent."""
    if world == 1:
        yield
        return
    if dist.is_initialized():
        raise Untraceable("a plan for several ranks cannot be made by a process that is already one of several")
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world)
    gather = dist.all_gather_object
    # Python values would be pickled into tensors, whose content nobody has here.
    dist.all_gather_object = _all_the_same  # type: ignore[assignment]
    try:
        yield
    finally:
        dist.all_gather_object = gather
        dist.destroy_process_group()


def _all_the_same(values: list[Any], value: Any, *_: Any) -> None:
    values[:] = [value] * len(values)
