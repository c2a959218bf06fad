"""Metrics come a step late, once each and in order; what is not finite is named."""

from __future__ import annotations

import time

import pytest
import torch

from vlc_core.accounting import TermName
from vlc_core.engine.metrics import LateReader, Taken

NAMES = (TermName("clip", "clip"), TermName("mlm", "mlm"))


def taken(step: int, *, sums=(4.0, 6.0), scale=10.0, norm=0.5, flags=(0, 0, 0)) -> Taken:
    numbers = [sums[0], 2.0, sums[1], 3.0, scale, norm, *flags]
    return Taken(step, 1e-3 * step, NAMES, torch.tensor(numbers, dtype=torch.float64))


def reader() -> LateReader:
    return LateReader(8, {"clip": 1.0, "mlm": 0.5})


def test_each_step_is_read_once_in_order_and_a_step_late():
    late = reader()
    arrived = [[read.step for read in late.push(taken(step))] for step in (1, 2, 3)]
    assert arrived == [[], [1], [2]]
    assert [read.step for read in late.flush()] == [3]
    assert list(late.flush()) == []


def test_what_is_read_is_what_was_measured():
    late = reader()
    list(late.push(taken(5, flags=(1, 2, 3))))
    (read,) = late.flush()
    rate = read.metrics.pop("samples_per_second")
    assert read.metrics == {
        "step": 5,
        "samples": 40,
        "loss": pytest.approx(2.0 + 0.5 * 2.0),
        "loss/clip": 2.0,
        "loss/mlm": 2.0,
        "logit_scale": 10.0,
        "lr": pytest.approx(5e-3),
        "grad_norm": 0.5,
    }
    assert rate > 0
    assert (read.flags.stop, read.flags.skipped, read.flags.truncated) == (1, 2, 3)


def test_the_rate_is_of_the_steps_and_not_of_what_is_between_them():
    late = reader()
    late.restart_clock()
    time.sleep(0.05)
    list(late.push(taken(1)))
    time.sleep(0.3)  # an evaluation
    (first,) = late.flush()
    late.restart_clock()
    time.sleep(0.1)
    list(late.push(taken(2)))
    (second,) = late.flush()
    assert 8 / 0.25 < first.metrics["samples_per_second"] <= 8 / 0.05
    assert 8 / 0.25 < second.metrics["samples_per_second"] <= 8 / 0.1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sums": (float("nan"), 1.0)}, ["loss", "loss/clip"]),
        ({"sums": (1.0, float("inf"))}, ["loss", "loss/mlm"]),
        ({"norm": float("inf")}, ["grad_norm"]),
        ({"scale": float("nan")}, ["logit_scale"]),
    ],
)
def test_what_is_not_finite_is_named(change, named):
    late = reader()
    list(late.push(taken(6, **change)))
    (read,) = late.flush()
    assert list(read.wrong) == named
