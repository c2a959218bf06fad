"""What a user calls data, and which dataset is meant."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlc_core import DataError, RecipeError
from vlc_core.naming import SourceSpec, find_sources
from vlc_core.plugins import plugins

RECIPE = """
model: {image: {use: vit, size: 24, patch: 4, width: 64, depth: 1}, text: {use: text-transformer, width: 64, depth: 1}}
objectives: [clip]
data:
  train:
    - {use: digits, split: train, prompts: digits}
    - {use: manifest, name: pairs, path: pairs.csv, text: caption}
train: {steps: 1}
evaluate:
  with:
    - {use: zero-shot, data: {use: digits, split: test}, prompts: digits}
    - {use: retrieval, data: {use: digits, split: test}, prompts: digits}
"""


def sources(source: object, *sets: str, **more: object) -> list[SourceSpec]:
    return find_sources(str(source), plugins().registry, sets=sets, **more)  # type: ignore[arg-type]


def block(source: object, *sets: str) -> str:
    (found,) = sources(source, *sets)
    return found.block


def test_a_folder_is_class_folders(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    assert block(tmp_path) == f"{{use: folder, path: {tmp_path}}}"
    assert block(f"{tmp_path}/", "underscores=true") == f"{{use: folder, path: {tmp_path}, underscores: true}}"


def test_tables_beside_class_folders_are_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    assert sources(tmp_path)[0].note == ""
    (tmp_path / "captions.csv").touch()
    assert sources(tmp_path)[0].note.startswith("captions.csv beside the class folders")


def test_tars_by_name_range_or_folder(tmp_path: Path) -> None:
    for path in ("s3://bucket/cc3m-{00000..00331}.tar", "a/00000.tar", "a/*.tar"):
        assert sources(path)[0].use.model_dump() == {"use": "webdataset", "path": path}
    (tmp_path / "00000.tar").touch()
    assert sources(tmp_path)[0].use.options == {"path": f"{tmp_path}/*.tar"}


def test_annotations_in_the_formats_of_coco_and_karpathy(tmp_path: Path) -> None:
    coco = {"info": {}, "images": [{"file_name": "1.jpg", "id": 1}], "annotations": [{"image_id": 1, "caption": "x"}]}
    karpathy = {"images": [{"filename": "1.jpg", "split": "train", "sentences": [{"raw": "x"}]}], "dataset": "coco"}
    for name, content in {"coco": coco, "karpathy": karpathy}.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        assert block(path, "images=here") == f"{{use: {name}, path: {path}, images: here}}"
    path = tmp_path / "lines.json"
    path.write_text('{"image": "1.jpg", "caption": "x"}\n')
    assert block(path) == f"{{use: manifest, path: {path}, text: caption}}"


def test_a_folder_that_hugging_faces_library_saved(tmp_path: Path) -> None:
    (tmp_path / "state.json").touch()
    assert block(tmp_path, "text=caption") == f"{{use: huggingface, path: {tmp_path}, text: caption}}"


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("image,caption,label", "text: caption, label: label"),
        ("file,text,group", "image: file, text: text"),
        ("filepath,title", "image: filepath, text: title"),
        ("image,other", ""),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_the_columns_of_a_table_are_told_by_their_names(tmp_path: Path, kind: str, header: str, options: str) -> None:
    path = tmp_path / f"table.{kind}"
    names = header.split(",")
    if kind == "parquet":
        pq.write_table(pa.table({name: ["x"] for name in names}), path)
    elif kind == "jsonl":
        path.write_text(json.dumps(dict.fromkeys(names, "x")) + "\n")
    else:
        path.write_text(header.replace(",", "\t" if kind == "tsv" else ",") + "\n")
    more = f", {options}" if options else ""
    assert block(path) == f"{{use: manifest, path: {path}{more}}}"


def test_what_the_user_says_of_columns_stands(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,text,group\n")
    found = sources(tmp_path / "t.csv", "text=null", "label=group", "where.split=[train]")[0].use.options
    assert found["text"] is None
    assert (found["label"], found["where"], found["image"]) == ("group", {"split": ["train"]}, "file")


def test_a_table_that_is_not_there_is_told_by_its_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no manifest"):
        sources(tmp_path / "t.csv")[0].open(plugins().registry)


def test_a_dataset_by_name_or_as_in_a_recipe() -> None:
    assert block("digits") == "{use: digits}"
    assert block("{use: digits, split: test, prompts: digits}") == "{use: digits, split: test}"
    assert block("digits", "split=test") == "{use: digits, split: test}"


def test_a_recipe_means_what_it_trains_on_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    train = sources(path)
    assert [one.name for one in train] == ["digits", "pairs"]
    assert train[0].block == "{use: digits, split: train}"
    assert f"path: {tmp_path}/pairs.csv" in train[1].block
    assert [one.block for one in sources(path, split="evaluate")] == ["{use: digits, split: test}"]
    assert [one.name for one in sources(path, split="all")] == ["digits", "pairs", "zero-shot.data"]
    assert sources(path, "data.train.digits.split=test")[0].block == "{use: digits, split: test}"


def test_a_recipe_without_evaluation_has_no_such_data(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE.partition("evaluate:")[0])
    with pytest.raises(RecipeError, match="evaluates on no data"):
        sources(path, split="evaluate")


def test_what_is_nothing_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no nowhere/at/all"):
        sources("nowhere/at/all")
    with pytest.raises(RecipeError, match="'digit' is no path, no recipe and no dataset"):
        sources("digit")
    with pytest.raises(RecipeError, match="write it as in a recipe"):
        sources("{path: here}")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RecipeError, match="does not tell by its name"):
        sources(tmp_path / "notes.txt")
    with pytest.raises(RecipeError, match=r"key\.path=value"):
        sources("digits", "split")
