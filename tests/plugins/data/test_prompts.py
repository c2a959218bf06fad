"""Prompt sets: complete, each template with one place for the name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlc_plugin_data.prompts import CLIP7, CLIP80, DIGITS, SIMPLE


@pytest.mark.parametrize("templates", [CLIP80, CLIP7, DIGITS, SIMPLE])
def test_templates_are_distinct_and_have_one_place_for_the_name(templates: tuple[str, ...]) -> None:
    assert len(set(templates)) == len(templates)
    assert all(template.count("{}") == 1 for template in templates)


def test_the_sets_of_clip_are_whole(shared_data: Path) -> None:
    published = json.loads((shared_data / "prompts" / "imagenet_80_templates.json").read_text())
    assert list(CLIP80) == published
    assert len(CLIP7) == 7
    assert set(CLIP7) < set(CLIP80)
