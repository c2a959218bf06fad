"""Vectors in place of pictures: taken as they are, and refused by what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vlc_core.errors import DataError, RecipeError
from vlc_core.interfaces.dataset import Dataset
from vlc_core.loading.vectors import as_picture, as_vector, check_width


def test_a_vector_becomes_float32() -> None:
    found = as_vector(np.array([1.0, 2.0], np.float64), 2)
    assert (found.dtype, found.tolist()) == (np.float32, [1.0, 2.0])


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image.new("RGB", (2, 2)), "it is a picture"),
        (b"\xff\xd8", "it is a picture"),
        (np.zeros(3, np.float32), "its vector has 3 numbers, and the image encoder takes 2"),
        (np.zeros((2, 2), np.float32), "its vector has 2×2 numbers"),
        (np.array([1, np.nan], np.float32), "a number that is not finite"),
        (np.array([1, np.inf], np.float32), "a number that is not finite"),
    ],
)
def test_what_is_no_vector(image: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        as_vector(image, 2)


def test_a_vector_is_no_picture() -> None:
    assert as_picture(b"file") == b"file"
    with pytest.raises(DataError, match="it is a vector"):
        as_picture(np.zeros(2, np.float32))


class Some(Dataset):
    def __init__(self, width: int | None) -> None:
        self.vector_width = width

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("given", "taken", "said"),
    [(None, 4, "gives pictures"), (4, None, "gives vectors and no pictures"), (3, 4, "vectors of 3 numbers.* takes 4")],
)
def test_data_and_encoder_that_do_not_fit(given: int | None, taken: int | None, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        check_width(Some(given), taken, data="data", encoder="the encoder")
    check_width(Some(given), given, data="data", encoder="the encoder")
