"""Each objective alone, beside `clip` and all together: the same at any number of ranks and micro-batches."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from vlc_core.testing.ranks import run_on_ranks

FIVE = ["cma", "imc", "lmi", "itm", "mlm"]
MIXES = [*[[name] for name in FIVE], *[[name, "clip"] for name in FIVE], [*FIVE, "clip"]]


def agree(one, other) -> None:
    (metrics, gradients), (expected_metrics, expected) = one, other
    assert metrics == pytest.approx(expected_metrics, rel=1e-9)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        close = 1e-9 * max(1.0, expected[name].abs().max().item())
        torch.testing.assert_close(gradient, expected[name], rtol=0, atol=close, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("mix", MIXES, ids="+".join)
def test_an_objective_trains_whatever_it_reads(tiny_tcl: ModuleType, mix: list[str]):
    metrics, gradients = tiny_tcl.taken(mix, None)
    assert 0 < metrics["loss"] < 100
    read = ["towers.image.encoder.", "towers.text.encoder."]
    if mix != ["mlm"]:  # which compares no embeddings
        read += ["towers.image.head"] if mix != ["itm"] else []
    if {"itm", "mlm"} & {*mix}:
        read.append("towers.fusion.")
    for prefix in read:
        sizes = [g.abs().max().item() for name, g in gradients.items() if name.startswith(prefix)]
        assert sizes, prefix
        assert max(sizes) > 1e-6, prefix
    assert all(g.abs().max() == 0 for name, g in gradients.items() if name.startswith("twins."))


@pytest.mark.parametrize("mix", MIXES, ids="+".join)
@pytest.mark.parametrize("size", [1, 4])
def test_micro_batches_change_neither_losses_nor_gradients(tiny_tcl: ModuleType, mix: list[str], size: int):
    agree(tiny_tcl.taken(mix, size), tiny_tcl.taken(mix, None))


def test_two_ranks_take_the_step_of_one(tiny_tcl: ModuleType):
    cases = [[mix, size, {}] for mix in [*MIXES[:5], MIXES[-1]] for size in (None, 2)]
    first, second = run_on_ranks(tiny_tcl.on_rank, 2, cases)
    for (mix, _, _), mine, theirs in zip(cases, first, second, strict=True):
        alone = tiny_tcl.taken(mix, None)
        agree(mine, alone)
        agree(theirs, alone)


@pytest.mark.parametrize("name", ["lmi", "itm"])
def test_negatives_of_a_rank_are_those_of_its_own_samples(tiny_tcl: ModuleType, name: str):
    rank = {name: {"negatives": "rank"}}
    both, _ = run_on_ranks(tiny_tcl.on_rank, 2, [[[name], None, rank]])
    halves = [tiny_tcl.taken([name], None, part=part, **rank)[0]["loss"] for part in (0, 1)]
    assert both[0][0]["loss"] == pytest.approx(sum(halves) / 2, rel=1e-9)
    assert both[0][0]["loss"] != pytest.approx(tiny_tcl.taken([name], None)[0]["loss"], rel=1e-3)


@pytest.mark.parametrize("image", ["vit", "resnet"])
def test_locals_are_patches_or_places_of_a_grid(tiny_tcl: ModuleType, image: str):
    metrics, gradients = tiny_tcl.taken(["lmi"], None, image=image)
    assert metrics["loss/lmi/image"] > 0
    assert metrics["loss/lmi/text"] > 0
    assert max(g.abs().max().item() for n, g in gradients.items() if n.startswith("towers.image.encoder.")) > 1e-6


@pytest.mark.parametrize("size", [None, 2, 3])
def test_the_gradient_under_dropout_is_that_of_the_loss_that_is_reported(tiny_tcl: ModuleType, size: int | None):
    # The step is repeated with a parameter moved by hand, one on which no draw of negatives depends.
    how, moved = tiny_tcl.steps(), "towers.fusion.blocks.0.mlp.up.bias"

    def taken(nudge: float) -> tuple[float, float]:
        made = tiny_tcl.model(FIVE, dropout=0.3)
        with torch.no_grad():
            made.get_parameter(moved)[0] += nudge
        given = tiny_tcl.batch()
        metrics = how.whole_step(made, given) if size is None else how.step_in_parts(made, given, size)
        return metrics["loss"], how.gradients(made)[moved][0].item()

    step = 1e-5
    slope = (taken(step)[0] - taken(-step)[0]) / (2 * step)
    assert abs(slope) > 1e-6
    assert slope == pytest.approx(taken(0.0)[1], rel=1e-4)
