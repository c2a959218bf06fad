"""Every recipe block of docs/datasets.md is a recipe but for the model: keys, components and options are checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from vlc_core.plugins import plugins
from vlc_core.recipe import load_recipe
from vlc_core.registry.catalogue import CATALOGUE

PAGE = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
MODEL = {
    "image": {"use": "vit", "size": 32, "patch": 16, "width": 32, "depth": 1},
    "text": {"use": "text-transformer", "width": 32, "depth": 1, "context": 8},
    "tokenizer": {"use": "word"},
    "embed_dim": 16,
}


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_block_is_taken(block: str, tmp_path: Path) -> None:
    found = yaml.safe_load(block)
    assert found.keys() <= {"data", "evaluate"}
    recipe = {"model": MODEL, "objectives": [{"use": "clip"}], "train": {"steps": 1, "batch_size": 2}} | found
    recipe.setdefault("data", {"train": [{"use": "digits"}]})
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    loaded = load_recipe(path, registry=plugins().registry).recipe
    assert len(loaded.data.train) == len(recipe["data"]["train"])
    assert len(loaded.evaluate.with_) == len(recipe.get("evaluate", {}).get("with", []))


def test_a_wrong_option_would_be_noticed(tmp_path: Path) -> None:
    block = next(block for block in BLOCKS if "max_bad" in block).replace("max_bad", "max_badd")
    with pytest.raises(Exception, match="max_badd"):
        test_every_block_is_taken(block, tmp_path)


def test_every_kind_of_file_is_on_the_page() -> None:
    for name in CATALOGUE["data"]["dataset"]:
        assert name in ("digits", "shapes") or f"| `{name}` |" in PAGE
        assert name in ("digits", "shapes") or any(f"use: {name}," in block for block in BLOCKS) or shown(name)


def shown(name: str) -> bool:
    """Whether the page on downstream tasks, whose blocks have a test of their own, shows the dataset in use."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "downstream.md").read_text(encoding="utf-8")
    return re.search(rf"use: {re.escape(name)}[,}}\n]", page) is not None


def test_rows_of_tables_have_the_cells_of_their_heads() -> None:
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
