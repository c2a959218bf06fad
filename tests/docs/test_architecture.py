"""The map of the code names what there is, all of it, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def column(heading: str, number: int) -> set[str]:
    """The names in a column of the table below a heading."""
    rows = [row for row in PAGE.partition(f"## {heading}")[2].partition("\n## ")[0].splitlines() if row[:1] == "|"]
    return {name for row in rows[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[number])}


def test_the_table_of_core_is_what_core_holds():
    core = ROOT / "core" / "vlc_core"
    files = {path.stem for path in core.glob("*.py")} - {"__init__"}
    folders = {f"{path.parent.name}/" for path in core.glob("*/__init__.py")}
    assert column("`core/vlc_core`", 2) == files | folders


def test_the_table_of_plugins_is_what_there_is():
    assert {f"vlc-plugin-{name}" for name in column("The plugins", 1)} == {p.name for p in (ROOT / "plugins").iterdir()}


def test_what_to_read_first_is_there():
    listed = re.search(r"Ten minutes.*?;", PAGE, re.S)
    assert listed is not None
    for name in re.findall(r"`([^`]+)`", listed[0]):
        assert (ROOT / "core" / "vlc_core" / f"{name}.py").is_file(), name
