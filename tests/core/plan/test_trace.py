"""A step without content against the same step with it."""

from __future__ import annotations

import pytest
import torch

from vlc_core import assemble
from vlc_core.phases import Moment, Phase
from vlc_core.plan import trace as tracing
from vlc_core.plan.trace import Subject, Untraceable, trace


def saved_by_autograd(subject: Subject, count: int) -> int:
    """Bytes that a real forward pass keeps for the backward pass, weights and pixels aside."""
    towers = assemble.build_towers(subject.recipe.model, subject.registry, subject.tokenizer)
    model = assemble.build_pretrainer(subject.recipe, subject.registry, towers, subject.tokenizer, subject.data)
    loader = assemble.build_loader(subject.recipe, subject.data, model, subject.tokenizer, batch_size=count, steps=1)
    (batch,) = loader
    known = {x.untyped_storage().data_ptr() for x in (*model.parameters(), *model.buffers(), batch.pixels)}
    kept: dict[int, int] = {}

    def keep(x):
        storage = x.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        losses = model(Phase.TRAIN, batch, Moment(0.0, 0))
        size = sum(kept.values())
        losses.loss.backward()
    return size


@pytest.mark.parametrize("sets", [(), ("train.precision=fp32", "model.text.causal=false", "model.text.pool=mean")])
def test_activations_are_those_that_autograd_saves(subject, sets):
    tiny = subject(*sets)
    saved = saved_by_autograd(tiny, 256)
    traced = trace(tiny, world=1, per_rank=256, parts=1)
    held = sum(traced.peak[part] for part in ("image", "text"))
    assert held == pytest.approx(saved, rel=0.1)


def test_twice_the_batch_computes_and_holds_twice_as_much(subject):
    tiny = subject(packs=False)
    one, two = (trace(tiny, world=1, per_rank=count, parts=1) for count in (512, 1024))
    assert two.peak["image"] == pytest.approx(2 * one.peak["image"], rel=0.01)
    assert two.flops == pytest.approx(2 * one.flops, rel=0.1)


def test_micro_batches_hold_less_and_embed_once_more(subject):
    tiny = subject()
    whole = trace(tiny, world=1, per_rank=512, parts=1)
    parts = trace(tiny, world=1, per_rank=512, parts=4)
    assert parts.peak["image"] < 0.4 * whole.peak["image"]
    assert parts.flops == pytest.approx(4 / 3 * whole.flops, rel=0.1)


def test_texts_as_long_as_the_longest_take_more_than_packed_ones(subject):
    packed, padded = (trace(subject(packs=packs), world=1, per_rank=512, parts=1) for packs in (True, False))
    assert padded.flops > packed.flops
    assert padded.longest == packed.longest


def test_bf16_holds_less(subject):
    fp32, bf16 = (trace(subject(f"train.precision={p}"), world=1, per_rank=256, parts=1) for p in ("fp32", "bf16"))
    assert bf16.peak["image"] < 0.9 * fp32.peak["image"]


def test_a_frozen_tower_keeps_next_to_nothing(subject):
    frozen = trace(subject("model.image.freeze=all"), world=1, per_rank=256, parts=1)
    trained = trace(subject(), world=1, per_rank=256, parts=1)
    assert frozen.peak.get("image", 0) < 0.5 * trained.peak["image"]
    assert frozen.flops < trained.flops


def test_ranks_send_the_gathered_side_and_its_gradient(subject):
    world, count, width = 8, 64, 32
    traced = trace(subject(), world=world, per_rank=count, parts=1)
    both = 2 * 4 * world * count * width * (world - 1) / world
    assert both <= traced.sent <= 1.3 * both
    assert trace(subject(), world=1, per_rank=count, parts=1).sent == 0


def test_a_bigger_world_means_more_keys_to_hold(subject):
    few, many = (trace(subject(), world=world, per_rank=64, parts=1) for world in (2, 1024))
    assert many.peak.get("objectives", 0) > few.peak.get("objectives", 0)
    assert many.peak["image"] == pytest.approx(few.peak["image"], rel=0.01)


def test_evaluation_counts_only_where_something_is_evaluated(subject):
    evaluated = subject("evaluate.with=[{use: zero-shot, data: {use: digits}, prompts: digits}]")
    assert trace(evaluated, world=1, per_rank=32, parts=1).evaluation > 0
    assert trace(subject(), world=1, per_rank=32, parts=1).evaluation == 0


def test_the_generators_are_left_as_they_were(subject):
    tiny = subject("model.text.dropout=0.1")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trace(tiny, world=1, per_rank=32, parts=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.compiler.is_compiling()


def test_an_objective_that_reads_its_values_cannot_be_traced(subject, monkeypatch):
    from vlc_plugin_clip.objectives import Clip

    monkeypatch.setattr(Clip, "forward", lambda self, step: step.image.embed.sum() * step.text.embed.sum().item())
    with pytest.raises(Untraceable, match="without content"):
        trace(subject(), world=1, per_rank=32, parts=1)


def test_an_objective_that_refuses_non_finite_values_can(subject, monkeypatch):
    from vlc_plugin_clip.objectives import Clip

    def careful(self, step):
        if torch.isnan(step.image.embed).any():
            raise ArithmeticError("not a number")
        return (step.image.embed * step.text.embed).sum()

    monkeypatch.setattr(Clip, "forward", careful)
    assert trace(subject(), world=1, per_rank=32, parts=1).flops > 0


def test_an_encoder_that_reads_its_weights_is_built_with_them(subject, monkeypatch):
    built = []
    full = tracing.shell.build_full

    def refuse(*_):
        raise NotImplementedError("no kernel for meta")

    monkeypatch.setattr(tracing.shell, "build_empty", refuse)
    monkeypatch.setattr(tracing.shell, "build_full", lambda *args: built.append(1) or full(*args))
    traced = trace(subject(), world=1, per_rank=32, parts=1)
    assert built
    monkeypatch.undo()
    assert traced == trace(subject(), world=1, per_rank=32, parts=1)
