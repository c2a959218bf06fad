"""What decays, and whose rate is set."""

from __future__ import annotations

from types import ModuleType

import torch

from vlc_core.engine.optimizer import adamw, parameter_groups, set_rate


def names(made: torch.nn.Module, group) -> set[str]:
    called = {id(p): name for name, p in made.named_parameters()}
    return {called[id(p)] for p in group["params"]}


def test_matrices_decay_and_nothing_else_does(small: ModuleType):
    made = small.model(["sigmoid", "labelled"], norm=True)
    groups = parameter_groups(made, 0.3)
    decayed = set().union(*(names(made, group) for group in groups if group["weight_decay"] == 0.3))
    spared = set().union(*(names(made, group) for group in groups if group["weight_decay"] == 0.0))
    assert decayed | spared == {name for name, _ in made.named_parameters()}
    assert decayed == {name for name, p in made.named_parameters() if p.dim() >= 2}
    assert {
        "towers.temperature.value",
        "objectives.sigmoid.bias",
        "towers.image.encoder.norm.weight",
        "towers.image.encoder.out.bias",
    } <= spared


def test_what_is_frozen_is_in_no_group(small: ModuleType):
    made = small.model(["clip"]).requires_grad_(False)
    assert parameter_groups(made, 0.3) == []
    made.towers.text.head.weight.requires_grad_()
    (group,) = parameter_groups(made, 0.3)
    assert names(made, group) == {"towers.text.head.weight"}


def test_a_rate_is_set_for_every_group(small: ModuleType):
    groups = parameter_groups(small.model(["clip"]), 0.1)
    optimizer = adamw(groups, lr=1.0, betas=(0.9, 0.98), eps=1e-6)
    set_rate(optimizer, 0.25)
    assert {group["lr"] for group in optimizer.param_groups} == {0.25}
    assert len(optimizer.param_groups) == 2
