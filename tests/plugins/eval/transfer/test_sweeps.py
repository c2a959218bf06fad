"""Both ways of transfer: what is chosen, by what, and that nothing is done twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vlc_core.batch import Sample
from vlc_core.errors import Diverged
from vlc_core.inference import DualEncoder
from vlc_core.interfaces.dataset import Dataset
from vlc_plugin_data.digits import Digits
from vlc_plugin_eval.transfer import tuned as tuned_module
from vlc_plugin_eval.transfer.bench import Bench, Drawn
from vlc_plugin_eval.transfer.draw import Held, draw
from vlc_plugin_eval.transfer.frozen import sweep_frozen
from vlc_plugin_eval.transfer.measure import Measured
from vlc_plugin_eval.transfer.results import as_evaluation
from vlc_plugin_eval.transfer.scores import scores
from vlc_plugin_eval.transfer.swept import Swept
from vlc_plugin_eval.transfer.task import Task
from vlc_plugin_eval.transfer.tuned import sweep_tuned
from vlc_plugin_eval.transfer.tuning import fine_tune

SMALL = {"examples": 120, "validation": 40, "batch_size": 8, "iterations": 100}


def prepared(bench: Bench, task: Task, number: int = 0, tested: str = "test") -> Drawn:
    protocol = bench.protocol
    made = draw(
        task, examples=protocol.examples, validation=protocol.validation, seed=0, number=number, size=8, width=None
    )
    return Drawn(task, number, made, f"learnt {number}", tested)


class Poisoned(Dataset):
    """The digits to be tested on, all of them said to be threes."""

    def __init__(self) -> None:
        self.digits = Digits(split="test")
        self.classes = self.digits.classes

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> Sample:
        sample = self.digits[index]
        return Sample(sample.image, (), 3, sample.key)


def test_scores_against_a_count_by_hand() -> None:
    found = scores(np.array([0, 0, 1, 2, 2]), np.array([0, 0, 0, 2, 1]))
    assert found["top1"] == pytest.approx(3 / 5)
    assert found["mean_per_class"] == pytest.approx((2 / 3 + 0 + 1) / 3)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_frozen_is_scikit_learns_classifier_on_the_same_features(
    small: SimpleNamespace, model: DualEncoder, digits: Task, tmp_path: Path
) -> None:
    bench = small.bench(model, **SMALL)
    drawn = prepared(bench, digits)
    swept = sweep_frozen(bench, drawn, bench.journal(tmp_path / "j"))

    def x(samples: Sequence[Sample]) -> np.ndarray:
        held = Held(samples=samples, classes=None, vector_width=None)
        return np.asarray(bench.inference.encode_images(held).summary)

    learnt, y = x(drawn.draw.examples.samples), drawn.draw.y
    validated = {}
    for setting in swept.sweep:
        fitted = LogisticRegression(C=10 ** -float(setting.removeprefix("strength 10^")), max_iter=100)
        validated[setting] = float((fitted.fit(learnt[:80], y[:80]).predict(learnt[80:]) == y[80:]).mean())
    assert validated == pytest.approx(swept.sweep)
    best = max(validated, key=lambda one: (validated[one], float(one.removeprefix("strength 10^"))))
    assert best == swept.chosen
    final = LogisticRegression(C=10 ** -float(best.removeprefix("strength 10^")), max_iter=100).fit(learnt, y)
    tests = [digits.test[n] for n in range(len(digits.test))]
    right = final.predict(x(tests)) == [sample.label for sample in tests]
    assert swept.test["top1"] == pytest.approx(right.mean())
    assert (swept.test["samples"], swept.test["skipped"]) == (355, 0)


@pytest.fixture(scope="module")
def network(small: SimpleNamespace) -> DualEncoder:
    """A residual network: it learns from few steps."""
    image = {"use": "resnet", "size": 8, "depth": 18, "width": 4, "stem": "small"}
    section = {
        "image": image,
        "text": {"use": "text-transformer", "width": 16, "depth": 1, "heads": 2, "context": 8},
        "tokenizer": {"use": "word"},
        "embed_dim": 12,
    }
    found: DualEncoder = small.built(section)
    return found


def test_fine_tuning_beats_frozen_random_weights_on_digits(
    small: SimpleNamespace, network: DualEncoder, digits: Task, tmp_path: Path
) -> None:
    bench = small.bench(network, examples=400, validation=100, rates=(0.1, 1e-4), steps=(50,), batch_size=32)
    drawn = prepared(bench, digits)
    journal = bench.journal(tmp_path / "j")
    frozen, tuned = sweep_frozen(bench, drawn, journal), sweep_tuned(bench, drawn, journal)
    assert tuned.chosen == "lr 0.1, 50 steps"
    assert tuned.sweep["lr 0.1, 50 steps"] > tuned.sweep["lr 0.0001, 50 steps"]
    assert tuned.test["top1"] > frozen.test["top1"] + 0.1
    assert tuned.test["samples"] == 355


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return SMALL | {"rates": (0.1, 0.01), "steps": (2, 5)}


def test_the_test_set_is_never_looked_at_to_choose(
    small: SimpleNamespace, model: DualEncoder, digits: Task, settings: dict[str, Any], tmp_path: Path
) -> None:
    bench = small.bench(model, **settings)
    poisoned = small.task(Digits(split="train"), Poisoned(), name="digits")
    for number, sweep in enumerate((sweep_frozen, sweep_tuned)):
        clean = sweep(bench, prepared(bench, digits), bench.journal(tmp_path / f"clean {number}"))
        other = sweep(bench, prepared(bench, poisoned, tested="other"), bench.journal(tmp_path / f"other {number}"))
        assert clean.sweep == other.sweep
        assert clean.chosen == other.chosen
        assert clean.test["top1"] != other.test["top1"]
        assert clean.sweep[clean.chosen] == max(clean.sweep.values())


def test_after_a_kill_only_what_is_not_done_is_done_and_comes_out_the_same(
    small: SimpleNamespace,
    model: DualEncoder,
    digits: Task,
    settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = small.bench(model, **settings)
    real, calls = fine_tune, []
    left = [99]

    def counted(*args: Any, **named: Any) -> float:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        calls.append(args[3])
        return real(*args, **named)

    monkeypatch.setattr(tuned_module, "fine_tune", counted)
    drawn = prepared(bench, digits)
    whole = sweep_tuned(bench, drawn, bench.journal(tmp_path / "whole"))
    assert len(calls) == 5
    calls.clear()
    left[0] = 3
    with pytest.raises(KeyboardInterrupt):
        sweep_tuned(bench, drawn, bench.journal(tmp_path / "killed"))
    left[0] = 99
    resumed = sweep_tuned(bench, drawn, bench.journal(tmp_path / "killed"))
    assert resumed == whole
    assert len(calls) == 5
    again = sweep_tuned(bench, drawn, bench.journal(tmp_path / "killed"))
    assert (again, len(calls)) == (whole, 5)


@pytest.mark.parametrize("changed", [{"batch_size": 9}, {"optimizer": "adamw"}, {"seed": 1}, {"features": "embed"}])
def test_other_options_are_other_settings(
    small: SimpleNamespace, model: DualEncoder, digits: Task, tmp_path: Path, changed: dict[str, Any]
) -> None:
    options = SMALL | {"rates": (0.1,), "steps": (1,)}
    for each in (options, options | changed):
        bench = small.bench(model, **each)
        sweep_tuned(bench, prepared(bench, digits), bench.journal(tmp_path / "j"))
    assert len((tmp_path / "j").read_text().splitlines()) == 4


def test_of_equal_settings_the_shorter_then_the_slower_is_chosen(
    small: SimpleNamespace, model: DualEncoder, digits: Task, tmp_path: Path
) -> None:
    bench = small.bench(model, **SMALL, rates=(1e-200, 1e-300), steps=(2, 1))  # nothing moves in float32
    swept = sweep_tuned(bench, prepared(bench, digits), bench.journal(tmp_path / "j"))
    assert len(set(swept.sweep.values())) == 1
    assert swept.chosen == "lr 1e-300, 1 steps"


def test_a_setting_that_diverges_is_never_chosen(
    small: SimpleNamespace, model: DualEncoder, digits: Task, tmp_path: Path
) -> None:
    bench = small.bench(model, **SMALL, rates=(1e30, 0.01), steps=(6,))
    swept = sweep_tuned(bench, prepared(bench, digits), bench.journal(tmp_path / "j"))
    assert swept.sweep["lr 1e+30, 6 steps"] == 0
    assert swept.chosen == "lr 0.01, 6 steps"
    bench = small.bench(model, **SMALL, rates=(1e30,), steps=(6,))
    with pytest.raises(Diverged, match="give lower learning rates"):
        sweep_tuned(bench, prepared(bench, digits), bench.journal(tmp_path / "j"))


def test_samples_that_cannot_be_read_are_left_out_of_the_test_both_ways(
    small: SimpleNamespace, model: DualEncoder, tmp_path: Path
) -> None:
    train, test = small.Coloured([0, 1, 2] * 12), small.Coloured([0, 1, 2] * 4, broken=[2, 7])
    task = small.task(train, test)
    bench = small.bench(model, examples=30, validation=9, rates=(0.01,), steps=(3,), batch_size=8)
    drawn = prepared(bench, task)
    for sweep in (sweep_frozen, sweep_tuned):
        found = sweep(bench, drawn, bench.journal(tmp_path / "j")).test
        assert (found["samples"], found["skipped"]) == (10, 2)


def test_an_encoder_of_vectors_transfers_too(small: SimpleNamespace, tmp_path: Path) -> None:
    class Vectors(Dataset):
        classes = ["even", "odd"]  # noqa: RUF012
        vector_width = 3

        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> Sample:
            generator = np.random.default_rng(index)
            return Sample(generator.normal(size=3).astype(np.float32) + index % 2, (), index % 2, str(index))

    section = {
        "image": {"use": "features", "width": 3},
        "text": {"use": "text-transformer", "width": 8, "depth": 1, "heads": 2, "context": 8},
        "tokenizer": {"use": "word"},
        "embed_dim": 4,
    }
    model = small.built(section)
    task = small.task(Vectors(), Vectors())
    bench = small.bench(model, examples=40, validation=10, rates=(0.1,), steps=(20,), batch_size=8)
    made = draw(task, examples=40, validation=10, seed=0, number=0, size=0, width=3)
    drawn = Drawn(task, 0, made, "a", "b")
    for sweep in (sweep_frozen, sweep_tuned):
        assert sweep(bench, drawn, bench.journal(tmp_path / "j")).test["top1"] > 0.6


def test_results_are_means_over_draws_and_of_tasks_by_the_score_of_each(small: SimpleNamespace, digits: Task) -> None:
    other = small.task(Digits(split="train"), Digits(split="test"), name="other", score="mean_per_class")

    def swept(draw: int, top1: float, mean: float) -> Swept:
        return Swept("frozen", draw, {f"strength 10^{draw}": 0.5, "strength 10^-1": 0.25}, "strength 10^-1",
                     {"top1": top1, "mean_per_class": mean, "samples": 9.0})  # fmt: skip

    measured = [
        Measured(digits, [swept(0, 0.5, 0.1), swept(1, 0.75, 0.2)], 1000),
        Measured(other, [swept(0, 0.5, 0.2), swept(1, 0.5, 0.4)], 90),
    ]
    protocol = small.bench(None, methods=("frozen",), draws=2).protocol
    found = as_evaluation(measured, protocol)
    assert found.metrics["frozen_mean"] == pytest.approx((0.625 + 0.3) / 2)
    assert found.metrics["digits_frozen_top1"] == pytest.approx(0.625)
    assert found.metrics["digits_frozen_deviation"] == pytest.approx(np.std([0.5, 0.75], ddof=1))
    assert found.metrics["other_frozen_deviation"] == pytest.approx(np.std([0.2, 0.4], ddof=1))
    table = found.tables["sweep"]
    assert table.columns == ("task", "how", "setting", "draw 0", "draw 1")
    assert table.rows[0] == ("digits", "frozen", "strength 10^-1", "0.250 *", "0.250 *")
    assert table.rows[2] == ("digits", "frozen", "strength 10^1", "", "0.500  ")
    assert found.tables["results"].columns[-2:] == ("frozen", "± frozen")
    assert found.tables["results"].rows[-1][0] == "mean"
    json.dumps(found.details)
