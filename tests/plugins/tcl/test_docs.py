"""What docs/tcl.md says of options is so."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from vlc_core.options import describe
from vlc_core.plugins import plugins

PAGE = (Path(__file__).parents[3] / "docs" / "tcl.md").read_text(encoding="utf-8")


def test_every_objective_has_its_row_with_every_option():
    rows = {
        cells[1].strip(" `"): cells
        for cells in (line.split("|") for line in PAGE.splitlines() if line.startswith("| `"))
    }
    registry = plugins().registry
    for entry in registry.entries("objective"):
        if entry.name in ("cma", "imc", "lmi", "itm", "mlm"):
            said = rows[entry.name][4]
            for option in describe(entry.load()):
                assert option.name in said, (entry.name, option.name)


def test_every_preset_is_named():
    for entry in plugins().registry.entries("recipe"):
        assert entry.plugin != "tcl" or f"`{entry.long_name}`" in PAGE


def test_encoders_of_the_page_take_the_options_that_it_gives():
    registry = plugins().registry
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert len(blocks) == 2
    for block in blocks:
        for side, kind in (("text", "text_encoder"), ("fusion", "fusion_encoder")):
            given = block["model"][side]
            options = {option.name for option in describe(registry.find(kind, given["use"]).load())}
            assert given.keys() - {"use"} <= options
