"""``vlc schema``: printed, written, of one component."""

from __future__ import annotations

import json

from jsonschema import Draft7Validator

from vlc_cli.main import run


def test_the_schema_of_recipes_is_printed(capsys):
    assert run(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft7Validator.check_schema(schema)
    assert {"model", "objectives", "data", "train"} <= set(schema["properties"])


def test_the_schema_of_a_component_is_printed(capsys):
    assert run(["schema", "--component", "vit"]) == 0
    assert "patch" in json.loads(capsys.readouterr().out)["properties"]


def test_a_written_schema_is_the_printed_one(tmp_path, capsys):
    assert run(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    path = tmp_path / "recipe.schema.json"
    assert run(["schema", "-o", str(path)]) == 0
    assert json.loads(path.read_text()) == printed
    assert f"# yaml-language-server: $schema={path}" in capsys.readouterr().out


def test_what_cannot_be_done_is_a_sentence(tmp_path, capsys):
    assert run(["schema", "--component", "vitt"]) == 2
    assert "did you mean 'vit'" in capsys.readouterr().err
    assert run(["schema", "-o", str(tmp_path / "no" / "s.json")]) == 5
    assert capsys.readouterr().err.count("\n") == 1
