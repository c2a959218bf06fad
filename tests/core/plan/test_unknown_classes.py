"""Classes that are measured on and that training does not have."""

from __future__ import annotations

from typing import Annotated, final

from vlc_core import Dataset, Evaluation, Evaluator, Sample
from vlc_core.inference import Inference
from vlc_core.options import Component
from vlc_core.plan.unknown_classes import unknown_classes


@final
class Named(Dataset):
    def __init__(self, *classes: str) -> None:
        self.classes = list(classes)

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Sample:
        raise IndexError


@final
class Naming(Evaluator):
    def __init__(self, *, data: Annotated[Dataset, Component("dataset")], prompts: str = "{}") -> None:
        self.data, self.templates = data, (prompts,) if prompts else ()

    def evaluate(self, model: Inference) -> Evaluation:
        return Evaluation({})


@final
class Near(Evaluator):
    def __init__(self, *, data: Annotated[Dataset, Component("dataset")]) -> None:
        self.data = data

    def evaluate(self, model: Inference) -> Evaluation:
        return Evaluation({})


def test_unknown_classes_are_told() -> None:
    data = Named("Ant", "bee", "cat", "dog", "elk", "fox")
    found = list(unknown_classes({"zero-shot": Naming(data=data), "knn": Near(data=data)}, ["ant", " BEE"]))
    assert found == [
        "evaluate.with.zero-shot: 4 of its 6 classes are no label of the training data: cat, dog, elk, …; "
        "their names are met in captions or not at all"
    ]


def test_nothing_is_told_where_there_is_nothing_to_tell() -> None:
    evaluators = {"zero-shot": Naming(data=Named("ant", "bee"))}
    assert not list(unknown_classes(evaluators, ["bee", "ant", "cat"]))
    assert not list(unknown_classes(evaluators, [])), "pairs alone know no classes"
    assert not list(unknown_classes({"retrieval": Naming(data=Named("ant"), prompts="")}, ["bee"])), "captions"
