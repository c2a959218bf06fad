"""One label space over several sources: apart by default, merged by name on request."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlc_core import DataError, Dataset, Sample
from vlc_core.loading.class_names import require_names
from vlc_core.loading.sources import TrainingSource, share_label_space

Kit = Any  # of conftest.py


@final
class Labelled(Dataset):
    """A sample of each class, or pairs without classes."""

    def __init__(self, *classes: str, numbered: bool = False) -> None:
        self.classes = list(classes) or None
        self.numbered = numbered

    def __len__(self) -> int:
        return len(self.classes or "x")

    def __getitem__(self, index: int) -> Sample:
        image = Image.new("RGB", (4, 4))
        if self.classes is None:
            return Sample(image, ("picture",), key="pair")
        return Sample(image, label=index, key=self.classes[index])


def spaces(*datasets: Labelled, merge: bool) -> tuple[list[tuple[int, ...]], tuple[str, ...]]:
    sources = [TrainingSource(str(i), data) for i, data in enumerate(datasets)]
    placed, names = share_label_space(sources, merge=merge)
    return [source.label_map for source in placed], names


def test_equal_names_stay_apart_unless_asked_otherwise() -> None:
    maps, names = spaces(Labelled("ant", "bee"), Labelled(), Labelled("bee", "cat"), merge=False)
    assert maps == [(0, 1), (), (2, 3)]
    assert names == ("ant", "bee", "bee", "cat")


def test_equal_names_merge_on_request_whatever_their_case_and_blanks() -> None:
    maps, names = spaces(Labelled("Polar  bear", "bee"), Labelled(), Labelled("Bee", "cat", "polar bear"), merge=True)
    assert maps == [(0, 1), (), (1, 2, 0)]
    assert names == ("Polar  bear", "bee", "cat")


def test_a_name_of_two_classes_of_one_source_merges_with_nothing() -> None:
    """ImageNet has two cranes: the bird and the machine."""
    maps, names = spaces(Labelled("crane", "bee", "Crane"), Labelled("crane", "bee"), merge=True)
    assert maps == [(0, 1, 2), (3, 1)]
    assert names == ("crane", "bee", "Crane", "crane")
    assert spaces(Labelled("crane", "bee"), Labelled("crane", "bee", "Crane"), merge=True)[0] == [(0, 1), (2, 1, 3)]


def test_numbers_are_no_names_to_merge_by() -> None:
    named, numbered = Labelled("ant", "bee"), Labelled("0", "1", numbered=True)
    assert spaces(named, numbered, merge=True)[0] == [(0, 1), (2, 3)]
    assert spaces(numbered, numbered, merge=False)[0] == [(0, 1), (2, 3)]
    with pytest.raises(DataError, match="label 0 of '2' may be another class: name the classes by `classes`"):
        spaces(named, numbered, Labelled("0", "1", "2"), merge=True)
    assert spaces(Labelled("0", "1"), Labelled("1", "0"), merge=True)[0] == [(0, 1), (1, 0)], "names that are digits"


def test_prompts_need_class_names() -> None:
    require_names(Labelled("ant", "bee"), source="it")
    require_names(Labelled(), source="it")
    with pytest.raises(DataError, match=r"^it has labels without class names, and prompts need them"):
        require_names(Labelled("0", "1", numbered=True), source="it")
    source = TrainingSource("it", Labelled())
    with pytest.raises(DataError, match="it has the label 3 without a class name, and no caption"):
        source.captions(Sample(Image.new("RGB", (4, 4)), label=3))


@given(st.lists(st.lists(st.sampled_from("abcdeABCDE"), max_size=6), min_size=1, max_size=4), st.booleans())
def test_every_label_finds_its_own_name(classes: list[list[str]], merge: bool) -> None:
    maps, names = spaces(*(Labelled(*given) for given in classes), merge=merge)
    for own, label_map in zip(classes, maps, strict=True):
        assert [names[label].casefold() for label in label_map] == [name.casefold() for name in own]
        assert len(set(label_map)) == len(own), "two classes of one source became one"
    assert sorted({label for label_map in maps for label in label_map}) == list(range(len(names)))
    assert merge or len(names) == sum(map(len, classes))


def test_a_batch_mixes_labelled_images_with_pairs(kit: Kit) -> None:
    datasets = (Labelled("ant", "bee"), Labelled(), Labelled("cat", "ant"))
    named = [TrainingSource(name, data) for name, data in zip("abc", datasets, strict=True)]
    placed, _ = share_label_space(named, merge=True)
    batch = kit.maker(*datasets, sources=placed)(np.arange(5))
    drawn = sorted(zip(batch.keys, batch.labels.tolist(), strict=True))
    assert drawn == [("ant", 0), ("ant", 0), ("bee", 1), ("cat", 2), ("pair", -1)]


def test_a_source_on_its_own_keeps_its_labels() -> None:
    source = TrainingSource("a", Labelled("ant", "bee"))
    assert [source.label(Sample(b"", label=label)) for label in (-1, 0, 1)] == [-1, 0, 1]
    with pytest.raises(DataError, match="its label 2 is none of 2 classes"):
        source.label(Sample(b"", label=2))
