"""VQA v2: questions about photographs, each answered by ten people."""

from __future__ import annotations

from typing import Annotated, Any, final

from pydantic import Field

from vlc_core import DataError, Dataset, PathLike, Sample
from vlc_plugin_data.captioned.images import read_annotations, text_of
from vlc_plugin_data.paired.answers import AnswerList, commonest, given
from vlc_plugin_data.paired.rows import Row, Rows
from vlc_plugin_data.stores import read


@final
class Vqa(Dataset):
    """VQA v2's files of questions and of annotations, beside COCO's photographs.

    The classes are the answers with the most score over all questions. A class's score at a question is the accuracy
    that VQA's evaluation program gives it as an answer (:mod:`vlc_plugin_data.paired.answers`); a question at which no
    class has a score has no target. Antol et al. 2015, arXiv 1505.00468; Goyal et al. 2017, arXiv 1612.00837.
    """

    def __init__(
        self,
        *,
        questions: Annotated[str, PathLike()],
        annotations: Annotated[str, PathLike()],
        images: Annotated[str, PathLike()],
        answers: Annotated[int, Field(ge=0)] = 3129,
        normalise: bool = True,
        file: str = "COCO_train2014_{:012d}.jpg",
    ) -> None:
        """Reads questions and answers; photographs are read when they are asked for.

        Args:
            questions: Such as ``v2_OpenEnded_mscoco_train2014_questions.json``.
            annotations: Such as ``v2_mscoco_train2014_annotations.json``.
            images: The folder of the photographs.
            answers: How many of the commonest answers are classes; 0 for all.
            normalise: Whether answers are compared as the benchmark's program compares them: in small letters, without
                articles and punctuation, with digits for number words. Without it "two dogs" and "2 dogs." differ.
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
        people = [given(_written(said[row["question_id"]], annotations), normalise=normalise) for row in asked]
        self.classes, self.images = commonest(people, answers), images
        self._rows = Rows([Row(_named(file, row, questions), text_of(row.get("question"))) for row in asked])
        known = AnswerList(self.classes)
        self._answers = [known.targets(question) for question in people]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        row = self._rows[index]
        return Sample(read(row.image, root=self.images), (row.text,), key=row.image, answers=self._answers[index])

    def texts(self, index: int) -> tuple[str, ...]:
        return (self._rows.text(index),)

    def answers(self, index: int) -> tuple[tuple[int, float], ...]:
        return self._answers[index]


def _written(row: dict[str, Any], path: str) -> list[str]:
    """What people answered to a question, as they wrote it."""
    if not isinstance(row.get("answers"), list):
        raise DataError(f"{path}: the question {row.get('question_id')} has no list 'answers'")
    return [text_of(one.get("answer")) for one in row["answers"]]


def _named(file: str, row: dict[str, Any], path: str) -> str:
    number = row.get("image_id")
    if not isinstance(number, int):
        raise DataError(f"{path}: the question {row.get('question_id')} has no number 'image_id'")
    try:
        return file.format(number)
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(f"the option `file` {file!r} has no place for a number: write it as {{:012d}}") from error
