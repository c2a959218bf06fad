"""``vlc init``: a recipe that passes ``vlc check`` as it is."""

from __future__ import annotations

import pytest

from vlc_cli.main import run


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_written_recipe_is_sound(tmp_path, capsys):
    assert run(["init", "clip", "-o", "mine.yaml"]) == 0
    assert "vlc check mine.yaml" in capsys.readouterr().out
    # Fewer drawn scenes, for the tokenizer to be made in a moment.
    assert run(["check", "mine.yaml", "--set", "data.train.shapes.length=100"]) == 0
    told = capsys.readouterr().out
    assert "mine is complete and sound" in told
    assert "memory at most" in told
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_without_a_name_the_file_is_called_after_the_method(tmp_path):
    assert run(["init", "clip/gpu"]) == 0
    assert "precision: bf16" in (tmp_path / "clip-gpu.yaml").read_text()


def test_a_dash_prints_it(tmp_path, capsys):
    assert run(["init", "clip", "-o", "-"]) == 0
    assert "objectives:" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("precious")
    assert run(["init", "clip", "-o", "mine.yaml"]) == 5
    assert capsys.readouterr().err == "error: mine.yaml is there already: choose another file with -o, or remove it\n"
    assert (tmp_path / "mine.yaml").read_text() == "precious"


def test_a_folder_that_is_not_there_is_a_sentence(capsys):
    assert run(["init", "clip", "-o", "no/mine.yaml"]) == 5
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_method_is_told_the_known_ones(tmp_path, capsys):
    assert run(["init", "clop"]) == 2
    assert "did you mean 'clip'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
