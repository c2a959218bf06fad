"""Whatever somebody calls a source of texts gives the texts that a run would draw."""

from __future__ import annotations

import gzip
import json

import pytest

from vlc_core.captions import open_captions
from vlc_core.errors import DataError, RecipeError, VlcError
from vlc_core.plugins import plugins

TEXTS = ["A dog runs.", "Ein Köter läuft", "", "a cat"]


def texts(source, *sets):
    captions = open_captions(str(source), plugins().registry, sets=sets)
    found = list(captions.walk())
    if not captions.classes:
        assert captions.samples == len(found)
    return [text for sample in found for text in sample]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_text_file_has_a_text_on_each_line(tmp_path, ends, last, mark):
    content = (mark + ends.join(TEXTS) + (ends if last else "")).encode()
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(content))
    assert texts(tmp_path / "a.txt") == texts(tmp_path / "a.txt.gz") == TEXTS


def test_a_recipe_gives_what_its_run_would_read(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "model: {image: {use: vit, size: 16, patch: 4, width: 32, depth: 1, heads: 2},\n"
        "  tokenizer: {use: file, path: t},\n"
        "  text: {use: text-transformer, width: 32, depth: 1, heads: 2, context: 12}, embed_dim: 32}\n"
        "objectives: [{use: clip}]\ntrain: {steps: 1, batch_size: 8}\n"
        "data: {train: [{use: digits, prompts: ['a {}', 'the {}']}, {use: shapes, length: 3, size: 16}]}\n"
    )
    found = texts(recipe)
    assert found[:4] == ["a zero", "the zero", "a one", "the one"]
    shapes = texts("shapes", "length=3", "size=16")
    assert found[20:] == shapes
    assert texts(recipe, "data.train.shapes.length=1")[20:] == texts("shapes", "length=1", "size=16")


def test_a_dataset_is_named_or_written_out():
    assert texts("{use: shapes, length: 2, seed: 4}") == texts("data/shapes", "length=2", "seed=4")
    assert texts("{use: digits, prompts: 'a {}'}")[:2] == ["a zero", "a one"]


@pytest.mark.parametrize("column", ["caption", "text", "captions"])
def test_the_column_of_a_table_is_found(tmp_path, column):
    table = tmp_path / "t.csv"
    table.write_text(f"image,{column}\na.jpg,a dog\na.jpg,a hound\nb.jpg,a cat\n")
    captions = open_captions(str(table), plugins().registry)
    assert (captions.samples, list(captions.walk())) == (2, [("a dog", "a hound"), ("a cat",)])


def test_a_table_needs_no_images_and_a_column_may_be_named(tmp_path):
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"caption": text}) + "\n" for text in ("a dog", "a dog", "b")))
    assert texts(tmp_path / "t.jsonl") == ["a dog", "a dog", "b"]
    (tmp_path / "t.csv").write_text("img,words\na.jpg,a dog\n")
    assert texts(tmp_path / "t.csv", "text=words", "image=img") == ["a dog"]
    with pytest.raises(DataError, match=r"no column whose name tells .* --set text=COLUMN"):
        texts(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("gone.txt", DataError, "no file gone.txt"),
        ("gone.csv", DataError, "no manifest gone.csv"),
        ("gone.yaml", RecipeError, "gone.yaml"),
        ("gone/there", DataError, "there is no gone/there"),
        ("gone", RecipeError, "no path, no recipe and no dataset: .*shapes"),
        ("clip/nothing", RecipeError, "clip/nothing"),
        ("{length: 3}", RecipeError, "does not name a dataset"),
        ("{use: shapes", RecipeError, "use: shapes"),
        ("{use: shapes, lenght: 3}", RecipeError, "did you mean 'length'"),
        ("odd.bin", RecipeError, "does not tell by its name"),
        ("latin.txt", DataError, "line 2 is not UTF-8"),
        (".", DataError, "the folder . holds no"),
    ],
)
def test_what_is_no_source_is_said(tmp_path, monkeypatch, source, kind, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.bin").write_bytes(b"x")
    (tmp_path / "latin.txt").write_bytes(b"a\ncaf\xe9\n")
    with pytest.raises(VlcError, match=said) as caught:
        texts(source)
    assert type(caught.value) in (kind, *kind.__subclasses__())


def test_a_text_file_takes_no_options(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(RecipeError, match="no options"):
        texts(tmp_path / "a.txt", "text=b")
