"""Modules by their files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vlc_core.testing.modules import module_at


def test_a_file_is_executed_once(tmp_path: Path):
    (tmp_path / "shared.py").write_text("made = []\n")
    module = module_at(tmp_path / "shared.py")
    module.made.append(1)
    assert module_at(str(tmp_path / "shared.py")).made == [1]


def test_files_of_one_name_are_two_modules_and_a_name_makes_another(tmp_path: Path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shared.py").write_text(f"where = {folder!r}\n")
    one, two = (module_at(tmp_path / folder / "shared.py") for folder in ("one", "two"))
    assert (one.where, two.where) == ("one", "two")
    again = module_at(tmp_path / "one" / "shared.py", "vlc_test_named")
    assert again is sys.modules["vlc_test_named"]
    assert again is not one


def test_what_fails_is_tried_anew(tmp_path: Path):
    (tmp_path / "broken.py").write_text("raise RuntimeError('not yet')\n")
    with pytest.raises(RuntimeError, match="not yet"):
        module_at(tmp_path / "broken.py")
    (tmp_path / "broken.py").write_text("done = True\n")
    assert module_at(tmp_path / "broken.py").done
    with pytest.raises(ImportError, match=r"is it a \.py file"):
        module_at(tmp_path / "table.csv")
