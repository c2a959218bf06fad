"""The recipe blocks of the page on evaluation: what stands there works as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from vlc_core.options import check
from vlc_core.plugins import plugins

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")
BLOCKS = [spec for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S) for spec in yaml.safe_load(block)]


@pytest.mark.parametrize("spec", BLOCKS, ids=[spec["use"] for spec in BLOCKS])
def test_a_block_has_the_options_of_its_evaluator(spec: dict[str, Any]) -> None:
    options = {key: value for key, value in spec.items() if key != "use"}
    assert check(plugins().registry, "evaluator", spec["use"], options).problems == []


def test_every_evaluator_has_a_section_with_a_block() -> None:
    offered = {entry.name for entry in plugins().registry.entries("evaluator") if entry.plugin == "eval"}
    assert {spec["use"] for spec in BLOCKS} == offered
    assert set(re.findall(r"^## ([a-z-]+)$", PAGE, re.M)) == offered
