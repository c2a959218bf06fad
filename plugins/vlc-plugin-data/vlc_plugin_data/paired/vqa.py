"""VQA v2: questions about photographs, each answered by ten people."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Annotated, Any, final

from pydantic import Field

from vlc_core import DataError, Dataset, PathLike, Sample
from vlc_plugin_data.captioned.images import read_annotations, text_of
from vlc_plugin_data.paired.rows import Row, Rows
from vlc_plugin_data.stores import read

AGREED = 3
"""An answer that this many others gave is right."""


@final
class Vqa(Dataset):
    """VQA v2's files of questions and of annotations, beside COCO's photographs.

    The classes are the answers with the most score over all questions. An answer's score is the accuracy that VQA gives
    it (:func:`agreement`); a question none of whose answers is a class has no target. Antol et al. 2015, arXiv
    1505.00468; Goyal et al. 2017, arXiv 1612.00837.
    """

    def __init__(
        self,
        *,
        questions: Annotated[str, PathLike()],
        annotations: Annotated[str, PathLike()],
        images: Annotated[str, PathLike()],
        answers: Annotated[int, Field(ge=0)] = 3129,
        file: str = "COCO_train2014_{:012d}.jpg",
    ) -> None:
        """Reads questions and answers; photographs are read when they are asked for.

        Args:
            questions: Such as ``v2_OpenEnded_mscoco_train2014_questions.json``.
            annotations: Such as ``v2_mscoco_train2014_annotations.json``.
            images: The folder of the photographs.
            answers: How many of the commonest answers are classes; 0 for all.
            file: The name of a photograph, with its number in place of ``{}``.

        Raises:
            DataError: A file is missing or of another kind, or they are of different splits.
        """
        asked = read_annotations(questions, "questions")["questions"]
        said = {row.get("question_id"): row for row in read_annotations(annotations, "annotations")["annotations"]}
        missing = next((row for row in asked if row.get("question_id") not in said), None)
        if missing is not None or not asked:
            which = (
                "no question" if missing is None else f"the question {missing.get('question_id')} without annotation"
            )
            raise DataError(f"{questions} has {which}: are {annotations} and it of one split?")
        given = [_given(said[row["question_id"]], annotations) for row in asked]
        counts: dict[str, float] = defaultdict(float)
        for row in given:
            for answer, score in row.items():
                counts[answer] += score
        kept = sorted(counts, key=lambda answer: (-counts[answer], answer))[: answers or None]
        numbers = {answer: number for number, answer in enumerate(kept)}
        self.classes, self.images = kept, images
        self._rows = Rows([Row(_named(file, row, questions), text_of(row.get("question"))) for row in asked])
        self._answers = [
            tuple((numbers[answer], score) for answer, score in row.items() if answer in numbers) for row in given
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        row = self._rows[index]
        return Sample(read(row.image, root=self.images), (row.text,), key=row.image, answers=self._answers[index])

    def texts(self, index: int) -> tuple[str, ...]:
        return (self._rows.text(index),)

    def answers(self, index: int) -> tuple[tuple[int, float], ...]:
        return self._answers[index]


def _given(row: dict[str, Any], path: str) -> dict[str, float]:
    """The score of each answer that was given to a question."""
    if not isinstance(row.get("answers"), list):
        raise DataError(f"{path}: the question {row.get('question_id')} has no list 'answers'")
    counts = Counter(text_of(one.get("answer")) for one in row["answers"])
    people = counts.total()
    return {answer: agreement(count, people) for answer, count in counts.items() if answer}


def agreement(given: int, people: int) -> float:
    """How right an answer is that ``given`` of ``people`` gave, in 0…1.

    Each of the people is left out in turn, and the answer is right as far as three of the others gave it: the mean of
    min(1, n / 3). Of ten people, one makes 0.3, two 0.6, three 0.9 and four 1.

    Args:
        given: At least 1.
        people: At least ``given``.
    """
    by_the_others = min(1.0, (given - 1) / AGREED), min(1.0, given / AGREED)
    return (given * by_the_others[0] + (people - given) * by_the_others[1]) / people


def _named(file: str, row: dict[str, Any], path: str) -> str:
    number = row.get("image_id")
    if not isinstance(number, int):
        raise DataError(f"{path}: the question {row.get('question_id')} has no number 'image_id'")
    try:
        return file.format(number)
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(f"the option `file` {file!r} has no place for a number: write it as {{:012d}}") from error
