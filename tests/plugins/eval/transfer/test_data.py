"""What a task is learnt from and measured on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vlc_core.errors import DataError
from vlc_core.plugins import plugins
from vlc_plugin_eval.transfer.asked import Asked, asked
from vlc_plugin_eval.transfer.draw import Draw, draw, remarks
from vlc_plugin_eval.transfer.task import Task, check_names, labels_of, open_task


def drawn(task: Task, examples: int = 20, validation: int = 4, seed: int = 0, number: int = 0) -> Draw:
    return draw(task, examples=examples, validation=validation, seed=seed, number=number, size=8, width=None)


class Given:
    """Stands in for a source: opens what it is given."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def open(self, registry: object) -> Any:
        return self.dataset


def opened(train: Any, test: Any = None, **options: Any) -> Task:
    spec: Any = Asked("colours", Given(train), None if test is None else Given(test), None)  # type: ignore[arg-type]
    return open_task(spec, plugins().registry, score="top1", **({"holdout": 0.25} | options))


def test_a_part_of_each_class_is_held_out_where_nothing_else_is_for_testing(small: SimpleNamespace) -> None:
    task = opened(small.Coloured([0] * 8 + [1] * 16 + [-1] * 3))
    assert task.held_out
    train, test = task.train.rows.tolist(), task.test.rows.tolist()
    assert sorted(train + test) == list(range(24))
    assert np.bincount([task.test[n].label for n in range(len(test))]).tolist() == [2, 4]
    assert [task.train[n].label for n in range(len(train))] == task.labels.tolist()


def test_samples_without_a_label_are_left_out_of_both(small: SimpleNamespace) -> None:
    task = opened(small.Coloured([0, -1, 1, 2]), small.Coloured([-1, 2, 0]))
    assert (task.train.rows.tolist(), task.test.rows.tolist()) == ([0, 2, 3], [1, 2])
    assert not task.held_out


def test_labels_are_read_from_samples_where_the_dataset_does_not_know_them(small: SimpleNamespace) -> None:
    source = small.Coloured([2, 0, 1], classes=None, broken=[1])
    assert labels_of(source, "it").tolist() == [2, -1, 1]
    task = opened(source, small.Coloured([3], classes=None))
    assert (task.classes, task.named) == (["0", "1", "2", "3"], False)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (["cat", "dog"], ["cat", "dog", "fox"], "test has the class 'fox' and train has not"),
        (["cat", "dog", "fox"], ["cat", "dog"], "train has the class 'fox' and test has not"),
        (["cat", "dog"], ["Cat", "dog"], "train has the class 'cat' and test has not, and 1 more"),
        (["cat", "dog"], ["dog", "cat"], "label 0 is 'cat' in train and 'dog' in test"),
    ],
)
def test_classes_of_other_names_are_refused(train: list[str], test: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_names(train, test, "pets")


@pytest.mark.parametrize(
    ("labels", "message"),
    [([-1, -1], "none of its 2 samples has a label"), ([1, 1, 1, 1], "two classes"), ([0, 3], "label 3")],
)
def test_what_cannot_be_a_task_is_refused(small: SimpleNamespace, labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(small.Coloured(labels))


def test_a_draw_is_uniform_and_follows_from_seed_and_number(digits: Task) -> None:
    one = drawn(digits, 1000, 200)
    assert (len(one.y), one.training, len(one.examples)) == (1000, 800, 1000)
    assert one.pixels.shape == (1000, 3, 8, 8)
    assert [sample.label for sample in one.examples.samples] == one.y.tolist()
    keys = {sample.key for sample in one.examples.samples}
    assert len(keys) == 1000
    again, other, third = drawn(digits, 1000, 200), drawn(digits, 1000, 200, number=1), drawn(digits, 1000, 200, seed=1)
    assert [s.key for s in again.examples.samples] == [s.key for s in one.examples.samples]
    for different in (other, third):
        assert [s.key for s in different.examples.samples] != [s.key for s in one.examples.samples]
    assert remarks(digits, one, examples=1000, number=0) == []


def test_too_few_examples_a_missing_class_and_broken_ones_are_told(small: SimpleNamespace) -> None:
    train = small.Coloured([0, 1] * 6, classes=["red", "green", "blue"])
    task = small.task(train, train)
    train.broken = {0, 1}
    made = drawn(task)
    assert (len(made.y), made.training, made.skipped, made.missing) == (10, 8, 2, ["blue"])
    few, missing, broken = remarks(task, made, examples=20, number=0)
    assert "10 examples" in few
    assert "8 to train and 2 to validate" in few
    assert "1 of 3 classes (blue)" in missing
    assert "2 samples could not be read" in broken


@pytest.mark.parametrize(("labels", "examples"), [([0, 1, 0], 20), ([0] * 40 + [1], 5)])
def test_too_little_to_learn_from_is_refused(small: SimpleNamespace, labels: list[int], examples: int) -> None:
    source = small.Coloured(labels)
    with pytest.raises(DataError, match=r"too few|of one class"):
        drawn(small.task(source, source), examples, 1)


def test_a_draw_of_a_source_that_is_named_on_the_command_line() -> None:
    (spec,) = asked(["{train: {use: digits, split: train}, test: {use: digits, split: test}}"], plugins().registry)
    task = open_task(spec, plugins().registry, score="mean_per_class", holdout=0.2)
    assert (len(task.train), len(task.test), task.score, task.classes[7]) == (1442, 355, "mean_per_class", "seven")
