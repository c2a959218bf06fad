"""VQA's answers: which are one answer, which are classes, and how right each is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vlc_core import DataError
from vlc_plugin_data.paired.answers import agreement, normal_form
from vlc_plugin_data.paired.vqa import Vqa


def vqa(folder: Path, *questions: list[str], answers: int = 0, normalise: bool = True) -> Vqa:
    """The dataset of questions with these answers; the photographs are not there."""
    numbers = range(len(questions))
    asked = [{"question_id": n, "image_id": 9, "question": "What is it?"} for n in numbers]
    said = [{"question_id": n, "answers": [{"answer": one} for one in questions[n]]} for n in numbers]
    (folder / "q.json").write_text(json.dumps({"questions": asked}))
    (folder / "a.json").write_text(json.dumps({"annotations": said}))
    return Vqa(
        questions=str(folder / "q.json"),
        annotations=str(folder / "a.json"),
        images=str(folder),
        answers=answers,
        normalise=normalise,
    )


def scores(data: Vqa, index: int = 0) -> dict[str, float]:
    return {(data.classes or [])[answer]: score for answer, score in data.answers(index)}


def test_answers_are_scored_by_how_many_gave_them(tmp_path: Path):
    given = ["red"] * 6 + ["blue"] * 2 + ["dark red"] * 2
    data = vqa(tmp_path, given, answers=2)
    assert data.classes == ["red", "blue"]
    assert data.answers(0) == ((0, 1.0), (1, pytest.approx(0.6)))
    assert scores(vqa(tmp_path, given)) == pytest.approx({"red": 1, "blue": 0.6, "dark red": 0.6})
    with pytest.raises(DataError, match=r"000000000009\.jpg"):
        data[0]


@pytest.mark.parametrize("people", [10, 3])
def test_an_answer_s_score_is_the_mean_over_leaving_each_person_out(people: int):
    for given in range(1, people + 1):
        said = [True] * given + [False] * (people - given)
        others = [sum(said[:left]) + sum(said[left + 1 :]) for left in range(people)]
        assert agreement(given, people) == pytest.approx(np.mean([min(1, count / 3) for count in others]))


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("The Two Dogs.", "2 dogs"),
        ("none", "0"),
        ("a", ""),
        ("dont", "don't"),
        ("couldntve", "couldntve"),
        ("couldn'tve", "couldn't've"),
        ("shed", "shed"),
        ("girl's", "girl's"),
        ("2:50 p.m.", "2:50 pm"),
        ("t-shirt", "t shirt"),
        ("black-white , red", "black white red"),
        ("blue - green", "blue green"),
        ("100,978", "100978"),
        ("1,000-2,000", "10002000"),
        ("red,blue", "red blue"),
        ("3.5 .", "3.5"),
    ],
)
def test_ways_of_writing_an_answer(written: str, compared: str):
    assert normal_form(written) == compared


def test_answers_are_one_where_only_their_writing_differs(tmp_path: Path):
    given = ["two"] * 3 + ["2"] * 2 + ["The 2."] * 4 + ["a dog"]
    assert scores(vqa(tmp_path, given)) == pytest.approx({"2": 1, "dog": 0.3})
    assert scores(vqa(tmp_path, given, normalise=False)) == pytest.approx(
        {"two": 0.9, "2": 0.6, "The 2.": 1, "a dog": 0.3}
    )


def test_what_all_people_wrote_the_same_is_compared_as_it_is(tmp_path: Path):
    data = vqa(tmp_path, ["T-Shirt"] * 10, ["t shirt"] * 9 + ["shirt"])
    assert scores(data, 0) == {"T-Shirt": 1}
    assert scores(data, 1) == pytest.approx({"T-Shirt": 1, "t shirt": 1, "shirt": 0.3})


def test_an_answer_of_which_nothing_is_left_is_no_class(tmp_path: Path):
    assert vqa(tmp_path, ["a"] * 5 + ["the letter a"] * 5).classes == ["letter"]
