"""Captions by language: every form they come in, what does not fit together, and the drawn world in six languages."""

from __future__ import annotations

import gzip
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlc_core import DataError, Dataset
from vlc_plugin_data.captioned.by_language import CaptionsByLanguage
from vlc_plugin_data.shapes.by_language import ShapesByLanguage
from vlc_plugin_data.shapes.dataset import Shapes
from vlc_plugin_data.shapes.translations import LANGUAGES

EXPECTED = {
    "a.jpg": {"en": ("a dog", "one dog"), "th": ("สุนัข",)},
    "b.jpg": {"en": ("a cat",), "th": ()},
}


def said(data: Dataset) -> dict[str, dict[str, tuple[str, ...]]]:
    """Everything by image and language, as the dataset tells it."""
    assert data.languages is not None
    return {data[i].key: {code: data.texts_in(code, i) for code in data.languages} for i in range(len(data))}


def put(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    if isinstance(content, list):
        content = "\n".join(json.dumps(row, ensure_ascii=False) for row in content)
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def coco(folder: Path, name: str, captions: list[tuple[int, str]]) -> str:
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    rows = [{"id": n, "image_id": image, "caption": text} for n, (image, text) in enumerate(captions)]
    return put(folder, name, json.dumps({"images": images, "annotations": rows}))


def karpathy(folder: Path, name: str, captions: list[tuple[str, list[str]]]) -> str:
    images = [{"filename": n, "split": "test", "sentences": [{"raw": t} for t in texts]} for n, texts in captions]
    return put(folder, name, json.dumps({"images": [*images, {"filename": "x.jpg", "split": "train"}]}))


def parquet(folder: Path) -> str:
    rows = {"image": ["a.jpg", "b.jpg"], "en": [["a dog", "one dog"], ["a cat"]], "th": [["สุนัข"], None]}
    pq.write_table(pa.table(rows), folder / "t.parquet")
    return str(folder / "t.parquet")


FORMS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "objects": lambda f: {"path": put(f, "t.jsonl", [
        {"image": "a.jpg", "captions": {"en": ["a dog", "one dog"], "th": "สุนัข"}},
        {"image": "b.jpg", "captions": {"en": "a cat", "th": None}},
    ])},
    "rows of one image": lambda f: {"path": put(f, "t.jsonl", [
        {"image": "a.jpg", "captions": {"en": " a\ndog "}},
        {"image": "b.jpg", "captions": {"en": ["a cat", ""]}},
        {"image": "a.jpg", "captions": {"th": "สุนัข", "en": "one dog"}},
    ])},
    "columns": lambda f: {"languages": ["en", "th"], "path": put(f, "t.jsonl", [
        {"image": "a.jpg", "en": ["a dog", "one dog"], "th": "สุนัข"}, {"image": "b.jpg", "en": "a cat"},
    ])},
    "crossmodal": lambda f: {"path": put(f, "captions.jsonl", [
        {"image/key": "a", "image/locale": "th", "en": {"caption": ["a dog", "one dog"], "caption/tokenized": ["a"]},
         "th": {"caption": ["สุนัข"]}},
        {"image/key": "b", "image/locale": "en", "en": {"caption": ["a cat"]}, "th": {"caption": []}},
    ])},
    "csv": lambda f: {"languages": ["en", "th"], "image": "file", "where": {"split": "test"}, "path": put(
        f, "t.csv", "file,split,en,th\na.jpg,test,a dog,สุนัข\na.jpg,test,one dog,\nb.jpg,test,a cat,\nc.jpg,train,x,y\n"
    )},
    "parquet": lambda f: {"languages": ["en", "th"], "path": parquet(f)},
    "text files": lambda f: {"images": str(f), "names": put(f, "images.txt", "a.jpg#0\nb.jpg#0\n"), "path": {
        "en": [put(f, "1.en.gz", "a dog\na cat\n"), put(f, "2.en", "one dog\r\n\r\n")],
        "th": put(f, "1.th", "สุนัข\n\n"),
    }},
    "coco files": lambda f: {"images": str(f), "path": {
        "en": coco(f, "en.json", [(1, "a dog"), (1, "one dog"), (2, "a cat")]), "th": coco(f, "th.json", [(1, "สุนัข")]),
    }},
    "karpathy beside coco": lambda f: {"images": str(f), "split": "test", "path": {
        "en": karpathy(f, "en.json", [("a.jpg", ["a dog", "one dog"]), ("b.jpg", ["a cat"])]),
        "th": coco(f, "th.json", [(1, "สุนัข")]),
    }},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same(form: str, folder: Path) -> None:
    data = CaptionsByLanguage(**FORMS[form](folder))
    assert said(data) == said(pickle.loads(pickle.dumps(data))) == EXPECTED
    assert data[0].image == b"a.jpg"
    assert data.texts(0) == data[0].texts == ("a dog", "one dog", "สุนัข")


def test_languages_are_chosen_and_ordered(folder: Path) -> None:
    data = CaptionsByLanguage(**FORMS["objects"](folder), languages=["th", "en"])
    assert data.languages == ["th", "en"]
    assert data.texts(0) == ("สุนัข", "a dog", "one dog")
    alone = CaptionsByLanguage(**FORMS["text files"](folder), languages=["th"])
    assert said(alone) == {"a.jpg": {"th": ("สุนัข",)}}, "an image without a caption is none"


WRONG: list[tuple[Any, str]] = [
    (lambda f: {"path": str(f / "no.jsonl")}, "no.jsonl"),
    (lambda f: {"path": put(f, "t.csv", "image,en\na.jpg,x\n")}, r"name them, as in `languages: \[en, de\]`"),
    (
        lambda f: {"path": put(f, "t.csv", "image,en\na.jpg,x\n"), "languages": ["ed"]},
        "'ed', which the option `languages` names",
    ),
    (lambda f: {"path": put(f, "t.csv", "image,en,de\na.jpg,x,\n"), "languages": ["en", "de"]}, "no row .* 'de'"),
    (lambda f: {"path": put(f, "t.jsonl", [{"image": "a.jpg", "text": "x"}])}, "tells captions by language"),
    (lambda f: {"path": put(f, "t.jsonl", [{"picture": "a.jpg", "captions": {"en": "x"}}])}, "line 1: 'image' is None"),
    (
        lambda f: {"path": put(f, "t.jsonl", [{"image": "a.jpg", "captions": {"en": 3}}])},
        "line 1: the captions in 'en'",
    ),
    (lambda f: {**FORMS["objects"](f), "languages": ["en", "de"]}, "no row has a caption in 'de'; it has en, th"),
    (lambda f: {**FORMS["objects"](f), "names": "x"}, "`names` does not go with one table"),
    (lambda f: {**FORMS["text files"](f), "where": {"a": 1}}, "`where` does not go with files by language"),
    (lambda f: {**FORMS["text files"](f), "languages": ["de"]}, "no file for 'de'.*it has en, th"),
    (lambda f: {**FORMS["text files"](f), "names": None}, "add `names`"),
    (lambda f: {**FORMS["text files"](f), "names": put(f, "n", "a.jpg\n")}, r"has 2 lines and .* names 1 images"),
    (lambda f: {**FORMS["text files"](f), "names": put(f, "n", "a.jpg\n\n")}, "a line names no image"),
    (lambda f: {**FORMS["text files"](f), "images": None}, "say where `images` are"),
    (lambda f: {"path": {"en": put(f, "t.csv", "x")}, "images": "."}, "is a table"),
    (lambda f: {**FORMS["karpathy beside coco"](f), "split": None}, "say which with `split`"),
    (
        lambda f: {"path": {"en": put(f, "e", "\n\n")}, "names": put(f, "n", "a\nb\n"), "images": "."},
        "no caption for 'en'",
    ),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_fit_is_one_sentence(options: Any, message: str, folder: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        CaptionsByLanguage(**options(folder))
    assert "\n" not in str(caught.value)


def test_a_broken_gzip_file_is_named(folder: Path) -> None:
    names = put(folder, "n", "a.jpg\n")
    (folder / "1.en.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"1\.en\.gz is no gzip file"):
        CaptionsByLanguage(path={"en": str(folder / "1.en.gz")}, names=names, images=".")


def test_real_captions_in_four_languages(shared_data: Path) -> None:
    path = shared_data / "flickr8k" / "multi30k_en_de_fr_cs.jsonl"
    data = CaptionsByLanguage(path=str(path), where={"multi30k_split": ["val", "test_2016_flickr"]})
    assert (len(data), data.languages) == (47, ["en", "de", "fr", "cs"])
    assert all(len(data.texts(i)) == 4 for i in range(47))
    image = data[0].image
    assert isinstance(image, bytes)
    assert image[:2] == b"\xff\xd8"


def test_drawn_scenes_are_those_of_shapes_and_all_languages_say_as_much() -> None:
    data, shapes = ShapesByLanguage(length=30, seed=3), Shapes(length=30, seed=3, boxes=0.0, labelled=False)
    assert data.languages == list(LANGUAGES)
    for index in range(30):
        assert np.array_equal(np.asarray(data[index].image), np.asarray(shapes[index].image))
        things = len(shapes.scene(index).things)
        english = data.texts_in("en", index)
        assert english[0] == shapes.texts(index)[0]
        assert english[-1].startswith("a large")
        assert {len(data.texts_in(code, index)) for code in LANGUAGES} == {2 if things > 1 else 1}


def test_translations_tell_scenes_apart_as_english_does() -> None:
    """No two words of a language are one: equal sentences in one language are equal in all."""
    data = ShapesByLanguage(length=400, split="all", most=2)
    english = [data.texts_in("en", index) for index in range(400)]
    for code in LANGUAGES:
        translated = [data.texts_in(code, index) for index in range(400)]
        assert len(set(zip(english, translated, strict=True))) == len(set(english)) == len(set(translated))


def test_adjectives_follow_the_noun() -> None:
    data = ShapesByLanguage(length=200, most=1)
    said = {code: "; ".join(data.texts_in(code, i)[0] for i in range(200)) for code in ("de", "ru")}
    for pattern in (r"eine große \w+e Raute auf", r"ein großer \w+er Kreis auf", r"ein großes \w+es Herz auf"):
        assert re.search(pattern, said["de"])
    for pattern in (r"большая \w+я звезда на", r"большой \w+й ромб на", r"большое \w+е кольцо на"):
        assert re.search(pattern, said["ru"])
