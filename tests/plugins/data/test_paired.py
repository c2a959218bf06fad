"""Datasets of images with a sentence and a class: drawn ones, and the files of published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vlc_core import DataError, Dataset
from vlc_plugin_data.paired.entities import Flickr30kEntities, parse_boxes, parse_sentence
from vlc_plugin_data.paired.nlvr2 import Nlvr2
from vlc_plugin_data.paired.sentences import SnliVe, Statements
from vlc_plugin_data.shapes.facts import truth
from vlc_plugin_data.shapes.paired import ShapesEntailment, ShapesQuestions, ShapesStatements, ShapesTwoImages
from vlc_plugin_data.shapes.phrases import ShapesPhrases
from vlc_plugin_data.shapes.scene import draw_scene


@pytest.mark.parametrize("kind", [ShapesStatements, ShapesEntailment, ShapesQuestions, ShapesTwoImages])
def test_what_is_said_of_a_sample_is_the_sample_s(kind: Any):
    data: Dataset = kind(scenes=6, size=16)
    labels = data.labels()
    assert labels is not None
    for index in range(len(data)):
        sample = data[index]
        assert (sample.texts, sample.label) == (data.texts(index), labels[index])
        assert 0 <= sample.label < len(data.classes or ())
    with pytest.raises(IndexError, match=f"no sample {len(data)}"):
        data[len(data)]


def test_statements_are_true_of_their_scene_or_not():
    data = ShapesStatements(scenes=20, size=16, seed=4)
    for index in range(len(data)):
        scene = draw_scene(4, int(data[index].key.rpartition("-")[2]), split="train")
        assert truth(scene, data.statement(index).fact) is bool(data[index].label)
    assert np.bincount(data.labels()).tolist() == [len(data) // 2] * 2


def test_the_side_that_is_named_shows_the_scene_and_the_other_mostly_shows_the_opposite():
    data = ShapesTwoImages(scenes=30, size=16)
    one = ShapesStatements(scenes=30, size=16, boxes=0)
    opposite = 0
    for index in range(len(data)):
        sample = data[index]
        named = sample.image if sample.texts[0].startswith("left: ") else sample.second
        assert named == one[index].image
        opposite += truth(data._other(index), one.statement(index).fact) is not bool(sample.label)
    assert opposite > 0.7 * len(data)
    assert 0.3 < np.mean([data.texts(i)[0].startswith("left") for i in range(len(data))]) < 0.7


def test_phrases_stand_in_captions():
    data = ShapesPhrases(length=5, size=16)
    for index in range(5):
        for text, (box,) in data.phrases(index):
            assert any(text in caption for caption in data.texts(index))
            assert all(0 <= value <= 1 for value in box)
        assert len(data.candidates(index)) >= 2


def lines(path: Path, *rows: Any) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return str(path)


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    for name in ("7.jpg", "dev-850-0-img0.png", "dev-850-0-img1.png"):
        Image.new("RGB", (20, 10), (len(name), 0, 0)).save(tmp_path / name)
    return str(tmp_path)


def test_snli_ve_in_its_own_words(tmp_path: Path, pictures: str):
    rows = [{"Flickr30K_ID": "7", "sentence2": " Two  people.", "gold_label": label} for label in ("neutral", "-")]
    data = SnliVe(path=lines(tmp_path / "a.jsonl", *rows), images=pictures)
    assert (len(data), data[0].texts, data[0].label, data[0].key) == (1, ("Two people.",), 1, "7.jpg")


def test_nlvr2_finds_both_pictures(tmp_path: Path, pictures: str):
    row = {"identifier": "dev-850-0-3", "sentence": "There is one.", "label": "True"}
    sample = Nlvr2(path=lines(tmp_path / "a.jsonl", row), images=pictures)[0]
    assert (sample.label, sample.key) == (1, "dev-850-0")
    assert sample.image == (tmp_path / "dev-850-0-img0.png").read_bytes()
    assert sample.second == (tmp_path / "dev-850-0-img1.png").read_bytes()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "line 1, is not JSON"),
        ({"image": "x", "sentence": "y"}, "line 1: there is no 'label'; it has image, sentence"),
        ({"image": "x", "sentence": "y", "label": "perhaps"}, "line 1: the label 'perhaps' is neither true nor false"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, row: Any, words: str):
    with pytest.raises(DataError, match=words):
        Statements(path=lines(tmp_path / "a.jsonl", row), images="")


SENTENCE = "[/EN#98/animals A black dog] sees [/EN#0/notvisual it] and [/EN#99/people/clothing a man] ."
XML = """<annotation>
  <filename>7.jpg</filename>
  <size><width>200</width><height>100</height><depth>3</depth></size>
  <object><name>98</name><name>99</name>
    <bndbox><xmin>21</xmin><ymin>11</ymin><xmax>101</xmax><ymax>51</ymax></bndbox></object>
  <object><name>5</name><scene>1</scene><nobndbox>0</nobndbox></object>
  <object><name>6</name><scene>0</scene><nobndbox>1</nobndbox></object>
</annotation>"""


def test_entities_are_read_with_their_boxes(tmp_path: Path, pictures: str):
    lines(tmp_path / "7.txt", SENTENCE)
    lines(tmp_path / "7.xml", XML)
    where = str(tmp_path)
    data = Flickr30kEntities(
        sentences=where, annotations=where, images=pictures, split=lines(tmp_path / "test.txt", "7")
    )
    assert data.texts(0) == ("A black dog sees it and a man .",)
    box = (0.1, 0.1, 0.5, 0.5)
    assert data.phrases(0) == (("A black dog", (box,)), ("a man", (box,)))
    assert data.candidates(0) == (box,)
    assert data[0].key == "7"
    text, phrases = parse_sentence(SENTENCE)
    assert [text[one.start : one.start + len(one.text)] for one in phrases] == ["A black dog", "it", "a man"]
    assert phrases[2].types == ("people", "clothing")


def test_annotations_that_declare_entities_are_not_read():
    with pytest.raises(DataError, match="document type"):
        parse_boxes('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "a.xml")


def test_the_real_files(shared_data: Path):
    photographs, drawn = shared_data / "flickr8k", shared_data / "nlvr1"
    hypotheses = SnliVe(path=str(photographs / "visual_entailment.jsonl"), images=str(photographs))
    assert np.bincount(hypotheses.labels()).tolist() == [480, 299, 414]
    statements = Statements(path=str(drawn / "examples.jsonl"), images=str(drawn))
    assert len(statements) == 500
    for sample in (hypotheses[0], statements[0]):
        assert isinstance(sample.image, bytes)
    assert len(Nlvr2(path=str(shared_data / "nlvr2_annotations" / "dev_first700.jsonl"), images="")) == 700
