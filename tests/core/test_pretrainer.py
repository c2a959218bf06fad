"""A step in micro-batches is the step in one piece: the same losses, the same gradients, on any number of ranks."""

from __future__ import annotations

import itertools
from types import ModuleType

import pytest
import torch
from torch import nn

from vlc_core import accounting
from vlc_core.errors import RankLost, VlcError
from vlc_core.interfaces.objective import Needs, Term
from vlc_core.model.depth import freeze
from vlc_core.model.towers import Features
from vlc_core.phases import Phase
from vlc_core.pretrainer import Pretrainer
from vlc_core.step import Setting, Step
from vlc_core.testing.modules import module_at
from vlc_core.testing.ranks import run_on_ranks

MIXES = {
    "clip": ["clip"],
    "parameters of its own": ["sigmoid"],
    "tokens": ["late", "clip"],
    "two views": ["views"],
    "uneven counts": ["clip", "labelled"],
    "micro scope alone": ["labelled", "words", "mean"],
    "momentum": ["twinned", "clip"],
    "fusion": ["fused", "clip"],
    "masked": ["hidden"],
    "twins throughout": ["twinned", "hidden", "fused", "views"],
    "all": ["clip", "sigmoid", "late", "views", "labelled", "words", "mean"],
}
DROPPING = [*MIXES.values(), ["clip", "noisy", "hazy", "labelled"], ["hidden", "twinned"]]
SIZES = [1, 2, 3, 4, 6, 12]
# A bare scalar of batch scope is the mean over a rank's samples, here against its own texts alone.
ACROSS_RANKS = ["clip", "sigmoid", "views", "labelled", "words", "mean", "twinned", "fused", "hidden"]
TOLERANCE = {"float64": 1e-10, "float32": 2e-5}


def agree(one, other, precision="float64"):
    for (metrics, gradients), (expected_metrics, expected) in [(one, other)]:
        # Embeddings are float64 here too, but products of features and their gradients are summed in float32.
        assert metrics == pytest.approx(expected_metrics, rel=TOLERANCE[precision])
        assert gradients.keys() == expected.keys()
        for name, gradient in gradients.items():
            close = TOLERANCE[precision] * max(1.0, expected[name].abs().max().item())
            torch.testing.assert_close(gradient, expected[name], rtol=0, atol=close, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("size", SIZES)
def test_micro_batches_change_neither_losses_nor_gradients(small: ModuleType, mix: str, size: int):
    agree(small.taken(MIXES[mix], size), small.taken(MIXES[mix], None))


@pytest.mark.parametrize("mix", MIXES)
def test_they_agree_in_single_precision_too(small: ModuleType, mix: str):
    agree(
        small.taken(MIXES[mix], 3, precision="float32"), small.taken(MIXES[mix], None, precision="float32"), "float32"
    )


def test_every_parameter_has_a_gradient_to_compare(small: ModuleType):
    for name, gradient in small.taken(MIXES["all"], None)[1].items():
        assert gradient.abs().max() > 1e-4, name


def test_two_ranks_take_the_step_of_one(small: ModuleType):
    mixes = [["clip"], ["sigmoid"], ["labelled", "words", "mean"], ACROSS_RANKS]
    cases = [[mix, size, {}] for mix, size in itertools.product(mixes, (None, 1, 2, 3, 6))]
    first, second = run_on_ranks(small.on_rank, 2, cases)
    for (mix, _, _), mine, theirs in zip(cases, first, second, strict=True):
        alone = small.taken(mix, None)
        agree(mine, alone)
        agree(theirs, alone)


def one_graph(small: ModuleType, made: Pretrainer, size: int) -> float:
    """The loss of micro-batches whose activations are all kept: what replaying them must give the gradient of."""
    given = small.batch()
    features, totals = [], {}

    def count(name, step, when, number):
        torch.manual_seed(when.draw + 1 + number)
        for key, term in accounting.named_terms(name, made.objectives[name](step), len(step)).items():
            before = totals.get(key, (0.0, 0.0))
            totals[key] = (before[0] + term.sum, before[1] + term.count)

    order = list(made.objectives)
    for number, part in enumerate(given.split(size)):
        when = small.moment(1 + number)
        torch.manual_seed(when.draw)
        step = Step(made._setting, part)
        features.append(step.encode([*made._setting.student(), *made._setting.momentum()]))
        for name in made.micro_scope:
            count(name, step, when, order.index(name))
    known = {
        key: Features(*(None if x is None else nn.utils.rnn.pad_sequence([*itertools.chain(x, *f)], batch_first=True)
                       for x, *f in zip(*(one[key] for one in features), strict=True)))
        for key in features[0]
    }  # fmt: skip
    step = Step(made._setting, given, known=known)
    for name in made.batch_scope:
        count(name, step, small.moment(0), order.index(name))
    loss = sum(made.weights[key.objective] * total / max(1, count) for key, (total, count) in totals.items())
    loss.backward()
    return float(loss.detach())


@pytest.mark.parametrize("mix", DROPPING, ids=lambda m: "+".join(m))
@pytest.mark.parametrize("size", [2, 3])
def test_dropout_is_replayed_as_it_was_drawn(small: ModuleType, mix: list[str], size: int):
    reference = small.model(mix, dropout=0.4)
    loss = one_graph(small, reference, size)
    metrics, gradients = small.taken(mix, size, dropout=0.4)
    assert metrics["loss"] == pytest.approx(loss, rel=1e-10)
    for name, gradient in small.gradients(reference).items():
        torch.testing.assert_close(gradients[name], gradient, rtol=0, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def test_dropout_differs_between_micro_batches_and_steps(small: ModuleType):
    made, part = small.model(["clip"], dropout=0.4), small.batch().split(4)[0]
    one, same, other = (made(Phase.EMBED, part, small.moment(n)).features["text"].embed for n in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_running_statistics_count_every_sample_once(small: ModuleType):
    whole, parts = (small.model(["clip", "hazy"], norm=True) for _ in range(2))
    small.whole_step(whole, small.batch())
    small.step_in_parts(parts, small.batch(), 12)
    for name, buffer in whole.named_buffers():
        torch.testing.assert_close(dict(parts.named_buffers())[name], buffer, msg=name)
    small.step_in_parts(parts, small.batch(), 4)
    assert parts.towers.image.encoder.norm.num_batches_tracked == 1 + 3


def test_frozen_parts_stay_out_of_it(small: ModuleType):
    def grown(size):
        made = small.model(["clip", "sigmoid"], learn=False)
        made.towers.image.encoder.requires_grad_(False)
        run = small.whole_step if size is None else small.step_in_parts
        run(made, small.batch(), *([] if size is None else [size]))
        return {name: p.grad for name, p in made.named_parameters()}

    whole, parts = grown(None), grown(4)
    assert whole["towers.temperature.value"] is None
    assert parts["towers.temperature.value"] is None
    for name, gradient in whole.items():
        if gradient is None:
            assert parts[name] is None, name
        else:
            torch.testing.assert_close(parts[name], gradient, msg=name)


@pytest.mark.parametrize(("what", "passes"), [(0, 6), ("encoder", 6), ("all", 3)])
def test_a_locked_tower_is_encoded_once(small: ModuleType, what, passes: int):
    made = small.model(["clip", "sigmoid"])
    freeze(made.towers.image, what)
    made.train()
    shown: list[int] = []
    made.towers.image.encoder.register_forward_hook(lambda *_: shown.append(1))
    small.step_in_parts(made, small.batch(), 4)
    assert len(shown) == passes


def odd(small: ModuleType, terms, scope="batch") -> Pretrainer:
    """A pretrainer whose one objective returns what ``terms(step)`` says."""

    class Odd(small.Clip):
        def forward(self, step):
            return terms(step)

    made = small.model(["clip"])
    objective = Odd(made.objectives["clip"].model)
    return Pretrainer(Setting(made.towers), {"odd": objective}, {"odd": 1.0}, {"odd": Needs(scope=scope)})


@pytest.mark.parametrize("scope", ["batch", "micro"])
@pytest.mark.parametrize("size", [None, 4])
def test_terms_that_change_their_names_are_refused(small: ModuleType, scope: str, size: int | None):
    names = iter("aaaaaabbbbbb" if scope == "micro" and size else "ab")
    made = odd(small, lambda step: {next(names): Term(step.image.embed.sum(), 1)}, scope)

    def step():
        return small.step_in_parts(made, small.batch(), size) if size else small.whole_step(made, small.batch())

    step()
    with pytest.raises(VlcError, match="the terms of odd changed from odd/a to odd/b"):
        step()


def other_names_elsewhere(rank: int, world: int, path: str, empty: bool) -> None:
    small = module_at(path)
    name = "ab"[rank]
    made = odd(small, lambda step: {} if empty and rank else {name: Term(step.image.embed.sum(), 1)})
    small.whole_step(made, small.batch())


@pytest.mark.parametrize("empty", [False, True])
def test_terms_that_differ_between_ranks_are_refused_in_the_first_step(small: ModuleType, empty: bool):
    with pytest.raises(RankLost, match="the terms of odd changed from"):
        run_on_ranks(other_names_elsewhere, 2, small.__file__, empty, timeout=20)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda step: step.image.embed, r"a tensor of shape \(12, 5\)"),
        (lambda step: {"a": step.image.embed.sum()}, "Tensor as its term 'a'"),
        (lambda step: {"a": Term(1.0, 2)}, "Term as its term 'a'"),
    ],
)
def test_what_is_no_term_is_refused(small: ModuleType, result, words: str):
    with pytest.raises(VlcError, match=f"'odd' returned {words}: return"):
        small.whole_step(odd(small, result), small.batch())


def test_the_loss_of_a_step_without_anything_to_count_is_zero(small: ModuleType):
    made = odd(small, lambda step: {"none": Term(step.image.embed.sum() * 0, 0)})
    assert small.whole_step(made, small.batch())["loss"] == 0.0
    assert all(g.abs().max() == 0 for g in small.gradients(made).values())


def test_phases_of_use_give_what_the_towers_give(small: ModuleType):
    made, given = small.model(["clip"]).eval(), small.batch()
    assert torch.equal(made(Phase.IMAGE, given.pixels[0]).embed, made.towers.image(given.pixels[0]).embed)
    assert torch.equal(
        made(Phase.TEXT, given.tokens, given.mask).embed, made.towers.text(given.tokens, given.mask).embed
    )
    assert made(Phase.SCALE).item() == pytest.approx(5.0)
