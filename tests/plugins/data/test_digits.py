"""The digits: their split, their labels, their pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from vlc_plugin_data.digits import Digits


def test_the_parts_are_disjoint_stratified_and_whole() -> None:
    parts = {split: Digits(split=split) for split in ("train", "test", "all")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 1442, "test": 355, "all": 1797}
    keys = {split: {part[i].key for i in range(len(part))} for split, part in parts.items()}
    assert not keys["train"] & keys["test"]
    assert keys["train"] | keys["test"] == keys["all"]
    shares = [np.bincount([part[i].label for i in range(len(part))]) for part in (parts["test"], parts["all"])]
    assert np.abs(shares[0] / shares[1] - 0.2).max() < 0.006


def test_the_split_never_changes() -> None:
    assert [Digits(split="test")[i].key for i in range(3)] == ["digit-0033", "digit-0036", "digit-0037"]


@pytest.mark.parametrize("index", [0, 17, 1796])
def test_a_sample_is_the_scan_with_its_name(index: int) -> None:
    digits, file = Digits(split="all"), load_digits()
    sample = digits[index]
    assert isinstance(sample.image, Image.Image)
    assert np.abs(np.asarray(sample.image) / 255 - file.images[index] / 16).max() < 0.003
    assert digits.classes == ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert sample.label == file.target[index]
    assert (sample.texts, digits.texts(index)) == ((), ())
