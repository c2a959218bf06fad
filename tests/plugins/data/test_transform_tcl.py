"""The strong views of `tcl`: what they are made of, how often, and from which randomness."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vlc_core.errors import RecipeError
from vlc_core.loading.order import Purpose, rng
from vlc_core.loading.picture import Picture
from vlc_core.options import build
from vlc_core.plugins import plugins
from vlc_core.recipe.schema import Use
from vlc_plugin_data.transforms import colour, space
from vlc_plugin_data.transforms import rand_augment as module
from vlc_plugin_data.transforms.clip import RandomCrop
from vlc_plugin_data.transforms.rand_augment import OPERATIONS, rand_augment
from vlc_plugin_data.transforms.tcl import StrongViews

OFF: dict[str, Any] = {"jitter": 0.0, "grayscale": 0.0, "blur": 0.0, "flip": 0.0, "operations": 0}
WHOLE: dict[str, Any] = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)}
COUNT = 400


@pytest.fixture(scope="module")
def picture() -> Picture:
    coarse = np.random.default_rng(0).integers(30, 220, (6, 6, 3), dtype=np.uint8)
    return Picture(Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC))


def view(transform: StrongViews, picture: Picture, number: int = 0, index: int = 0) -> NDArray[np.uint8]:
    return transform(picture, 32, rng(0, number, Purpose.VIEW, index))


def test_a_view_is_a_function_of_seed_number_and_view(picture: Picture) -> None:
    transform = StrongViews()
    first = [view(transform, picture, number, index) for number in range(5) for index in range(2)]
    again = [view(StrongViews(), picture, number, index) for number in reversed(range(5)) for index in (1, 0)][::-1]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({one.tobytes() for one in first}) == 10


def test_views_are_rgb_bytes_of_the_size_asked_for(picture: Picture) -> None:
    drawn = StrongViews()(picture, 20, rng(0, 0, Purpose.VIEW))
    assert drawn.shape == (20, 20, 3)
    assert drawn.dtype == np.uint8


def test_the_picture_stays_as_it_is(picture: Picture) -> None:
    before = picture.pixels.copy()
    for number in range(20):
        view(StrongViews(**WHOLE), picture, number)
    assert np.array_equal(picture.pixels, before)


def test_with_everything_off_it_is_the_crop_alone(picture: Picture) -> None:
    for number in range(10):
        plain = RandomCrop(scale=(0.2, 1.0))(picture, 32, rng(0, number, Purpose.VIEW))
        assert np.array_equal(view(StrongViews(**OFF), picture, number), plain)


@pytest.mark.parametrize("often", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("part", ["jitter", "grayscale", "blur", "flip"])
def test_each_part_comes_as_often_as_asked(part: str, often: float, picture: Picture) -> None:
    transform = StrongViews(**{**OFF, **WHOLE, part: often, "sigma": (1.0, 2.0)})
    changed = sum(not np.array_equal(view(transform, picture, i), picture.pixels) for i in range(COUNT))
    assert abs(changed - often * COUNT) <= (0 if often in (0, 1) else 4 * (COUNT * often * (1 - often)) ** 0.5)


def test_parts_come_in_the_published_order(picture: Picture) -> None:
    options: dict[str, Any] = {"jitter": 0.0, "grayscale": 1.0, "blur": 1.0, "flip": 1.0, "operations": 0}
    drawn = view(StrongViews(**{**WHOLE, **options, "sigma": (1.5, 1.5)}), picture, 3)
    expected = space.flip(space.blur(colour.grayscale(picture.pil()), 1.5))
    assert np.array_equal(drawn, np.asarray(expected))


def test_rand_augment_draws_its_operations_evenly_and_applies_half(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[tuple[str, float, int]] = Counter()

    def recorder(name: str) -> module.Operation:
        def record(image: Image.Image, magnitude: float, sign: int) -> Image.Image:
            seen[name, magnitude, sign] += 1
            return image

        return record

    monkeypatch.setattr(module, "_IN_ORDER", tuple(map(recorder, OPERATIONS)))
    for number in range(2000):
        rand_augment(picture.pil(), rng(0, number, Purpose.VIEW), count=2, magnitude=0.7)
    assert {magnitude for _, magnitude, _ in seen} == {0.7}
    assert {(name, sign) for name, _, sign in seen} == {(name, sign) for name in OPERATIONS for sign in (-1, 1)}
    assert min(seen.values()) > 60  # 100 expected, ten standard deviations of ten
    assert abs(seen.total() - 2000) < 130


STRENGTHS: list[tuple[str, Any]] = [
    ("identity", lambda image: image),
    ("autocontrast", colour.autocontrast),
    ("equalize", colour.equalize),
    ("brightness", lambda image: colour.brightness(image, 1.36)),
    ("sharpness", lambda image: space.sharpness(image, 1.36)),
    ("shear_x", lambda image: space.shear_x(image, -0.21)),
    ("shear_y", lambda image: space.shear_y(image, -0.21)),
    ("translate_x", lambda image: space.translate_x(image, -7 * 32 / 256)),
    ("translate_y", lambda image: space.translate_y(image, -7 * 32 / 256)),
    ("rotate", lambda image: space.rotate(image, -21.0)),
]


@pytest.mark.parametrize(("name", "expected"), STRENGTHS)
def test_magnitude_seven_is_as_published(name: str, expected: Any, picture: Picture) -> None:
    drawn = OPERATIONS[name](picture.pil(), 0.7, -1)
    assert np.abs(np.asarray(drawn).astype(int) - np.asarray(expected(picture.pil()))).max() <= 1


def test_every_operation_is_tested() -> None:
    assert [name for name, _ in STRENGTHS] == list(OPERATIONS)


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("clip", {"scale": [0.0, 1.0]}, "scale"),
        ("clip", {"scale": [0.5, 1.5]}, "scale"),
        ("clip", {"scale": [0.5]}, "scale"),
        ("clip", {"ratio": [0, 1]}, "ratio"),
        ("clip", {"flip": 1.01}, "flip"),
        ("clip", {"jitter": 0.5}, "jitter"),
        ("fit", {"scale": [0.5, 1.0]}, "scale"),
        ("tcl", {"scale": [-0.2, 1.0]}, "scale"),
        ("tcl", {"jitter": -0.1}, "jitter"),
        ("tcl", {"hue": 0.6}, "hue"),
        ("tcl", {"brightness": 1.1}, "brightness"),
        ("tcl", {"sigma": [0, 2]}, "sigma"),
        ("tcl", {"blur": 2}, "blur"),
        ("tcl", {"operations": -1}, "operations"),
        ("tcl", {"operations": 1.5}, "operations"),
        ("tcl", {"magnitude": 11}, "magnitude"),
    ],
)
def test_options_outside_their_range_are_refused(name: str, options: dict[str, Any], key: str) -> None:
    with pytest.raises(RecipeError, match=key):
        build(plugins().registry, "transform", Use(use=name, **options), where="data.transform")
