"""Transforms: their boxes, their randomness, their pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vlc_core.loading.picture import Picture, fit
from vlc_plugin_data.transforms.clip import RandomCrop
from vlc_plugin_data.transforms.crop import random_box
from vlc_plugin_data.transforms.fit import CentreCrop

RATIO = (3 / 4, 4 / 3)


def noise(width: int, height: int) -> Picture:
    return Picture(Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def test_the_centre_crop_is_what_evaluation_sees() -> None:
    image = noise(50, 30)
    assert np.array_equal(CentreCrop()(image, 16, generator()), fit(image, 16))


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(lambda pair: (min(pair), max(pair))),
    st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(lambda pair: (min(pair), max(pair))),
    st.integers(0, 1000),
)
def test_a_crop_lies_inside_the_picture(
    full: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float], seed: int
) -> None:
    left, top, width, height = random_box(full, generator(seed), scale=scale, ratio=ratio)
    assert left >= 0
    assert top >= 0
    assert width >= 1
    assert height >= 1
    assert left + width <= full[0]
    assert top + height <= full[1]


def test_area_and_shape_stay_within_their_bounds_and_fill_them() -> None:
    rng = generator()
    boxes = np.array([random_box((1000, 1000), rng, scale=(0.2, 0.6), ratio=(0.5, 2.0)) for _ in range(2000)])
    areas = boxes[:, 2] * boxes[:, 3] / 1e6
    shapes = np.log2(boxes[:, 2] / boxes[:, 3])
    assert (0.199 < areas.min() < 0.21, 0.59 < areas.max() < 0.601) == (True, True)
    assert (-1.01 < shapes.min() < -0.97, 0.97 < shapes.max() < 1.01) == (True, True)
    assert abs(shapes.mean()) < 0.05
    assert boxes[:, 0].min() < 20
    assert (boxes[:, 0] + boxes[:, 2]).max() > 980


def test_where_no_crop_fits_the_largest_central_one_is_taken() -> None:
    assert random_box((300, 100), generator(), scale=(1.0, 1.0), ratio=RATIO) == (83, 0, 133, 100)
    assert random_box((100, 300), generator(), scale=(1.0, 1.0), ratio=RATIO) == (0, 83, 100, 133)


def test_a_view_is_its_crop_resized() -> None:
    """Torch's fixed-point arithmetic may differ from Pillow's by a level, rarely two."""
    picture = noise(300, 200)
    left, top, width, height = random_box(picture.size, generator(3), scale=(0.3, 0.5), ratio=RATIO)
    part = picture.pil().crop((left, top, left + width, top + height))
    expected = np.asarray(part.resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    difference = np.abs(RandomCrop(scale=(0.3, 0.5))(picture, 64, generator(3)) - expected)
    assert difference.max() <= 2
    assert difference.mean() <= 0.1


def test_views_are_pure() -> None:
    image, crop = noise(60, 40), RandomCrop(scale=(0.1, 1.0), flip=0.5)
    assert np.array_equal(crop(image, 16, generator(5)), crop(image, 16, generator(5)))
    assert not np.array_equal(crop(image, 16, generator(5)), crop(image, 16, generator(6)))


@pytest.mark.parametrize(("flip", "low", "high"), [(0.0, 0, 0), (0.25, 60, 140), (1.0, 400, 400)])
def test_views_are_mirrored_as_often_as_asked(flip: float, low: int, high: int) -> None:
    image = noise(8, 8)
    crop = RandomCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=flip)
    views = [crop(image, 8, generator(seed)) for seed in range(400)]
    mirrored = [np.array_equal(view, image.pixels[:, ::-1]) for view in views]
    assert low <= sum(mirrored) <= high
    assert all(m or np.array_equal(view, image.pixels) for m, view in zip(mirrored, views, strict=True))


def test_options_may_be_given_in_either_order() -> None:
    assert RandomCrop(scale=(1.0, 0.5)).scale == (0.5, 1.0)
