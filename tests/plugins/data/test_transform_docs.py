"""What docs/transforms.md says, done."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from vlc_core.loading.decode import MAX_PIXELS
from vlc_core.loading.order import Purpose, rng
from vlc_core.loading.picture import Picture, fit
from vlc_core.options import build
from vlc_core.plugins import plugins
from vlc_core.recipe.schema import Use
from vlc_core.tokenizer import MAX_CHARACTERS

PAGE = (Path(__file__).parents[3] / "docs" / "transforms.md").read_text(encoding="utf-8")


def test_a_transform_of_your_own() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    picture = Picture(Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)))
    view = names["Posterized"](bits=2)(picture, 30, rng(0, 0, Purpose.VIEW))
    assert np.array_equal(view, picture.pixels[:, 5:35] & 0xC0)


@pytest.mark.parametrize("spec", re.findall(r"\{use: [^`}]*\}", PAGE))
def test_every_recipe_line_is_taken(spec: str) -> None:
    transform = build(plugins().registry, "transform", Use(**yaml.safe_load(spec)))
    assert transform(Picture(Image.new("RGB", (9, 9))), 4, rng(0, 0, Purpose.VIEW)).shape == (4, 4, 3)


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{MAX_PIXELS:,} pixels" in PAGE
    assert f"{MAX_CHARACTERS:,} characters" in PAGE


def test_the_shares_of_views_are_the_defaults() -> None:
    strong = build(plugins().registry, "transform", Use(use="tcl"))
    row = f"colour jitter ({strong.jitter:.0%} of views), grayscale ({strong.grayscale:.0%}), blur ({strong.blur:.0%})"
    assert row.replace("%", " %") in PAGE
    assert f"mirroring ({strong.flip:.0%})".replace("%", " %") in PAGE


def test_fit_is_what_evaluation_sees() -> None:
    picture = Picture(Image.effect_noise((30, 20), 80).convert("RGB"))
    transform = build(plugins().registry, "transform", Use(use="fit"))
    assert np.array_equal(transform(picture, 8, rng(0, 0, Purpose.VIEW)), fit(picture, 8))
