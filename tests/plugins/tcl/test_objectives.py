"""What each objective makes of a step: the published functions, hard negatives, queues with old copies, the ramp."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vlc_core.errors import RecipeError
from vlc_core.model.towers import Features
from vlc_core.step import Step
from vlc_plugin_tcl.functional import cma_loss, imc_loss, itm_negative_weights, lmi_loss, mlm_loss
from vlc_plugin_tcl.objectives.distillation import ramped
from vlc_plugin_tcl.objectives.itm import MATCH, Pool
from vlc_plugin_tcl.objectives.lmi import pooled

DRAWS = 3000


def terms(made, name: str, step: Step) -> dict[str, float]:
    """The mean of each term of an objective."""
    return {key: (term.sum / term.count).item() for key, term in made.objectives[name](step).items()}


@pytest.mark.parametrize("queue", [0, 24])
def test_cma_and_imc_are_half_the_published_terms(tiny_tcl: ModuleType, queue: int):
    keep = {"false_negatives": "keep"}
    made = tiny_tcl.model(["cma", "imc"], queue=queue, cma={**keep, "alpha": 0.3}, imc=keep)
    step = tiny_tcl.step_of(made)
    given = (
        step.image.embed,
        step.text.embed,
        step.momentum.image.embed,
        step.momentum.text.embed,
        step.queue.image.features,
        step.queue.text.features,
        1 / step.scale,
    )
    cma, imc = cma_loss(*given, 0.3), imc_loss(*given)
    assert terms(made, "cma", step) == pytest.approx({"i2t": cma[0].item() / 2, "t2i": cma[1].item() / 2})
    assert terms(made, "imc", step) == pytest.approx({"i2i": imc[0].item() / 2, "t2t": imc[1].item() / 2})
    assert len(step.queue.text) == min(queue, tiny_tcl.QUEUED)


def test_alpha_grows_with_the_epoch(tiny_tcl: ModuleType):
    assert [ramped(0.4, epoch, 2.0) for epoch in (0.0, 0.5, 1.0, 2.0, 7.0)] == pytest.approx([0, 0.1, 0.2, 0.4, 0.4])
    assert ramped(0.4, 0.0, 0.0) == 0.4
    made = tiny_tcl.model(["cma", "mlm"])
    for name in ("cma", "mlm"):
        start, middle, end, later = (
            sum(terms(made, name, tiny_tcl.step_of(made, epoch=epoch)).values()) for epoch in (0.0, 0.5, 1.0, 5.0)
        )
        assert middle == pytest.approx((start + end) / 2, rel=1e-9)
        assert later == pytest.approx(end, rel=1e-12)
        assert start != pytest.approx(end, rel=1e-4)


def excluded(anchors: Tensor, keys: Tensor, own_group: Tensor, key_group: Tensor, scale: float) -> Tensor:
    """Cross entropy of each anchor with the key of its number, keys of its image but that one left out; by loops."""
    losses = []
    for i, anchor in enumerate(anchors):
        kept = [j for j in range(len(keys)) if j == i or key_group[j] != own_group[i]]
        logits = torch.stack([anchor @ keys[j] * scale for j in kept])
        losses.append(logits.logsumexp(0) - anchor @ keys[i] * scale)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("convention", ["exclude", "keep"])
def test_old_copies_of_an_image_are_no_negatives_unless_kept(tiny_tcl: ModuleType, convention: str):
    made = tiny_tcl.model(["imc", "cma"], imc={"false_negatives": convention}, cma={"false_negatives": convention})
    step = tiny_tcl.step_of(made, epoch=0.0)
    scale, queue, twin = step.scale.item(), step.queue, step.momentum
    keys = torch.cat([step.groups, queue.image.groups])
    own = step.groups if convention == "exclude" else torch.full_like(step.groups, -7)  # no key has that group
    seen = {"image": (step.image.embed, twin.image.embed), "text": (step.text.embed, twin.text.embed)}
    for name, key, anchor, other in (
        ("imc", "i2i", "image", "image"),
        ("imc", "t2t", "text", "text"),
        ("cma", "i2t", "image", "text"),
        ("cma", "t2i", "text", "image"),
    ):
        pool = torch.cat([seen[other][1], getattr(queue, other).features])
        expected = excluded(seen[anchor][0], pool, own, keys, scale).item() / 2
        assert terms(made, name, step)[key] == pytest.approx(expected, rel=1e-7)


def test_what_a_twin_attends_to_leaves_old_copies_out_too(tiny_tcl: ModuleType):
    made = tiny_tcl.model(["cma"], cma={"alpha": 1.0})
    step = tiny_tcl.step_of(made)
    scale, queue, twin = step.scale.item(), step.queue.text, step.momentum
    keys, groups = torch.cat([twin.text.embed, queue.features]), torch.cat([step.groups, queue.groups])
    total = 0.0
    for i, group in enumerate(step.groups):
        kept = torch.tensor([j for j in range(len(keys)) if j == i or groups[j] != group])
        target = (keys[kept] @ twin.image.embed[i] * scale).softmax(0)
        total -= (target * (keys[kept] @ step.image.embed[i] * scale).log_softmax(0)).sum().item()
    assert terms(made, "cma", step)["i2t"] == pytest.approx(total / len(step) / 2, rel=1e-7)


def test_lmi_is_half_the_published_terms(tiny_tcl: ModuleType):
    made = tiny_tcl.model(["lmi"], lmi={"pool": 2})
    step = tiny_tcl.step_of(made)
    image, text, temperature = step.momentum.image, step.momentum.text, 1 / step.scale
    patches = image.local.reshape(12, 2, 2, 2, 2, tiny_tcl.DIM).mean(dim=(2, 4)).reshape(12, 4, tiny_tcl.DIM)
    assert image.local.shape == (12, 16, tiny_tcl.DIM)  # 4 × 4 patches, the summary token is none of them
    assert text.local_mask.sum(dim=1).equal(tiny_tcl.batch().mask.sum(dim=1) - 1)  # the start is no word, the end is
    expected = {
        "image": lmi_loss(step.image.embed, patches, torch.ones(12, 4, dtype=torch.bool), temperature).item() / 2,
        "text": lmi_loss(step.text.embed, text.local, text.local_mask, temperature).item() / 2,
    }
    assert terms(made, "lmi", step) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("grid", "side"), [(14, 4), (24, 4), (7, 4), (4, 4), (6, 3)])
def test_any_square_grid_is_pooled(grid: int, side: int):
    locals_ = torch.randn(2, grid * grid, 3, dtype=torch.float64)
    found = pooled(locals_, side)
    assert found.shape == (2, side * side, 3)
    if grid % side == 0:
        step = grid // side
        first = locals_.reshape(2, grid, grid, 3)[:, :step, :step].mean(dim=(1, 2))
        torch.testing.assert_close(found[:, 0], first)
    assert pooled(locals_, 0) is locals_


@pytest.mark.parametrize("patches", [9, 15])
def test_a_grid_that_cannot_be_pooled_is_refused(patches: int):
    with pytest.raises(RecipeError, match=f"4 × 4 regions, and the image encoder gives {patches} patches"):
        pooled(torch.zeros(2, patches, 3), 4)


def drawing(tiny_tcl: ModuleType, *, labels: list[int], groups: list[int], scale: float = 5.0) -> Step:
    """A step of samples with known embeddings."""
    made = tiny_tcl.model(["itm"])
    count = len(labels)
    given = tiny_tcl.batch().split(count)[0]
    image, text = tiny_tcl.unit(count, 6, seed=1), tiny_tcl.unit(count, 6, seed=2)
    at = torch.full((1,), scale, dtype=torch.float64)
    step = Step(made._setting, given, known=tiny_tcl.embedded(image, text), scale=at)
    step.labels, step.groups = torch.tensor(labels), torch.tensor(groups)
    return step


@pytest.mark.parametrize("side", [0, 1])
def test_hard_negatives_are_drawn_by_their_weights(tiny_tcl: ModuleType, side: int):
    step = drawing(tiny_tcl, labels=[-1, 3, -1, 3, -1, -1], groups=[0, 1, 2, 3, 4, 2])
    anchors, others = (step.image.embed, step.text.embed)[:: -1 if side else 1]
    allowed = torch.ones(6, 6, dtype=torch.bool).fill_diagonal_(False)
    allowed[1, 3] = allowed[3, 1] = allowed[2, 5] = allowed[5, 2] = False  # one label; one image
    weights = itm_negative_weights(anchors @ others.T * step.scale) * allowed
    expected = weights / weights.sum(dim=1, keepdim=True)
    counts, numbers = torch.zeros(6, 6, dtype=torch.float64), step.numbers
    for draw in range(DRAWS):
        step.numbers = numbers + 6 * draw
        drawn, found = Pool.of(step, everywhere=False).drawn(step, anchors, others, side=side)
        assert found.all()
        counts[torch.arange(6), drawn] += 1
    assert (counts[~allowed] == 0).all()
    spread = (expected * (1 - expected) / DRAWS).sqrt()
    assert ((counts / DRAWS - expected).abs() <= 5 * spread + 1e-12).all()
    assert expected.max() > 2 * expected[allowed].min()  # or an even draw would pass as well


def test_draws_repeat_themselves_and_differ_between_sides_and_seeds(tiny_tcl: ModuleType):
    step = drawing(tiny_tcl, labels=[-1] * 12, groups=list(range(12)), scale=1.0)

    def drawn(side: int) -> Tensor:
        return Pool.of(step, everywhere=False).drawn(step, step.image.embed, step.image.embed, side=side)[0]

    assert drawn(0).equal(drawn(0))
    assert not drawn(0).equal(drawn(1))
    before = drawn(0)
    step.seed += 1
    assert not drawn(0).equal(before)


def test_certain_similarities_still_find_a_negative(tiny_tcl: ModuleType):
    # At scale 1000 the weights of all but the best are zero in any precision.
    step = drawing(tiny_tcl, labels=[-1, -1, -1], groups=[0, 1, 2], scale=1000.0)
    similar = step.image.embed @ step.text.embed.T
    drawn, found = Pool.of(step, everywhere=False).drawn(step, step.image.embed, step.text.embed, side=0)
    assert found.all()
    assert drawn.equal(similar.fill_diagonal_(-2).argmax(dim=1))


def matching(tiny_tcl: ModuleType, labels: list[int]) -> tuple[Tensor, float, Tensor]:
    """The loss's sum and count over a batch with these labels, and the logits of the samples' own pairs."""
    made = tiny_tcl.model(["itm"])
    step = tiny_tcl.step_of(made, tiny_tcl.batch().split(4)[0])
    step.labels = torch.tensor(labels)
    total, count = made.objectives["itm"](step)["itm"]
    return total, float(count), made.objectives["itm"].judge(step.fuse(step.text, step.image))


def test_a_batch_without_any_negative_trains_on_its_own_pairs(tiny_tcl: ModuleType):
    total, count, logits = matching(tiny_tcl, [2, 2, 2, 2])
    assert count == 4
    torch.testing.assert_close(total, -logits.log_softmax(dim=1)[:, MATCH].sum())
    assert torch.isfinite(total)


def test_each_sample_has_a_negative_text_and_a_negative_image(tiny_tcl: ModuleType):
    assert matching(tiny_tcl, [-1, -1, -1, -1])[1] == 12
    assert matching(tiny_tcl, [2, 2, 2, -1])[1] == 12
    made = tiny_tcl.model(["itm"])
    step = tiny_tcl.step_of(made)
    fused: list[tuple[Features, Features]] = []
    whole = step.fuse
    step.fuse = lambda text, image: fused.append((text, image)) or whole(text, image)  # type: ignore[func-returns-value]
    total, _ = made.objectives["itm"](step)["itm"]
    (text, image), *more = fused
    assert not more  # all pairs in one call
    pairs = [
        (
            int((step.text.embed == t).all(dim=1).nonzero()[0, 0]),
            int((step.image.embed == i).all(dim=1).nonzero()[0, 0]),
        )
        for t, i in zip(text.embed, image.embed, strict=True)
    ]
    assert pairs[:12] == [(i, i) for i in range(12)]
    assert [i for _, i in pairs[12:24]] == [t for t, _ in pairs[24:]] == list(range(12))
    assert all(t != i for t, i in pairs[12:])
    logits = made.objectives["itm"].judge(whole(text, image))
    expected = F.cross_entropy(logits, torch.tensor([MATCH] * 12 + [0] * 24), reduction="sum")
    torch.testing.assert_close(total, expected)


def test_mlm_is_the_published_function_at_the_hidden_places(tiny_tcl: ModuleType):
    made = tiny_tcl.model(["mlm"], mlm={"probability": 0.4, "alpha": 0.4})
    step, mlm = tiny_tcl.step_of(made), made.objectives["mlm"]
    total, count = mlm(step)["mlm"]
    everywhere = mlm.head(step.fuse(step.masked_text, step.image).tokens)
    slow = mlm.twin(step.momentum.fuse(step.momentum.masked_text, step.momentum.image).tokens)
    expected = mlm_loss(everywhere, step.masked.labels, slow, 0.4)
    assert count == (step.masked.labels != -100).sum() > 5
    torch.testing.assert_close(total / count, expected)


def test_a_batch_in_which_nothing_is_hidden_counts_for_nothing(tiny_tcl: ModuleType):
    made = tiny_tcl.model(["mlm"], mlm={"probability": 1e-9})
    step = tiny_tcl.step_of(made)
    total, count = made.objectives["mlm"](step)["mlm"]
    total.backward()
    assert (total.item(), count) == (0.0, 0)
    gradients = [p.grad for p in made.towers.parameters() if p.grad is not None]
    assert gradients
    assert all(g.isfinite().all() and g.abs().max() == 0 for g in gradients)


def test_without_alpha_mlm_needs_no_twins(tiny_tcl: ModuleType):
    mlm = tiny_tcl.OBJECTIVES["mlm"]
    assert mlm.requires({}).momentum
    assert not mlm.requires({"alpha": 0}).momentum
    assert tiny_tcl.taken(["mlm"], None, mlm={"alpha": 0.0})[0]["loss"] > 0
