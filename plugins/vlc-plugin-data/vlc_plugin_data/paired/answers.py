"""How VQA compares answers: which ways of writing are one answer, and how right an answer is.

The rules are those of the benchmark's evaluation program (Antol et al. 2015, arXiv 1505.00468; "Evaluation code" on
visualqa.org, and ``vqaEval.py`` there). Where page and program differ this follows the program: it makes the figures
that are published.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

AGREED = 3
"""An answer that this many others gave is right."""

NUMBERS = {
    "none": "0",
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
}
ARTICLES = frozenset(("a", "an", "the"))
MARKS = ';/[]"{}()=+\\_-><@`,?!'
"""What counts as punctuation; the apostrophe of possessives and the colon of times do not."""

_CONTRACTIONS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's
how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't not've o'clock
oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's
where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've
y'all y'all'd've y'all'll you'd you'd've you'll you're you've
"""
"""Those that the program knows; without ``she'd``, ``we'd`` and others that are words when their apostrophe is gone."""

_FORGOTTEN = {
    whole[:at] + whole[at + 1 :]: whole
    for whole in _CONTRACTIONS.split()
    for at, letter in enumerate(whole)
    if letter == "'"
} | {"somebody'd": "somebodyd"}
"""A contraction by how it looks with one apostrophe left out; the program takes one of them the other way round."""

_PERIOD = re.compile(r"\.(?!\d)")
_THOUSANDS = re.compile(r"\d,\d")


class Given(NamedTuple):
    """What people answered to a question.

    Attributes:
        scores: How right each answer is, in 0…1, by how it is compared.
        normalised: Whether that is its normal form.
    """

    scores: dict[str, float]
    normalised: bool


class AnswerList:
    """The answers that are classes.

    Args:
        names: Distinct.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._written = {name: [number] for number, name in enumerate(names)}
        self._normal: dict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(names):
            self._normal[normal_form(name)].append(number)

    def targets(self, question: Given) -> tuple[tuple[int, float], ...]:
        """(class, score) of every class that is right to some degree."""
        classes = self._normal if question.normalised else self._written
        return tuple((number, score) for answer, score in question.scores.items() for number in classes.get(answer, ()))


def commonest(questions: Iterable[Given], most: int) -> list[str]:
    """The answers with the most score over all questions; ``most`` of them, or all where it is 0."""
    totals: dict[str, float] = defaultdict(float)
    for question in questions:
        for answer, score in question.scores.items():
            totals[answer] += score
    return sorted(filter(None, totals), key=lambda answer: (-totals[answer], answer))[: most or None]


def given(answers: Sequence[str], *, normalise: bool) -> Given:
    """The scores of people's answers to a question.

    Args:
        answers: One of each person.
        normalise: Whether answers are compared in their normal form where people wrote different ones. Where all wrote
            the same, it is compared as it is: so does the program, for what is read off the picture.
    """
    normalised = normalise and len(set(answers)) > 1
    counts = Counter(normal_form(answer) if normalised else answer for answer in answers)
    return Given({answer: agreement(count, len(answers)) for answer, count in counts.items()}, normalised)


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


def normal_form(answer: str) -> str:
    """An answer in small letters, without punctuation and articles, with digits and whole contractions.

    It may be empty: nothing is left of ``a``.
    """
    words = (NUMBERS.get(word, word) for word in _without_marks(answer.strip()).lower().split())
    return " ".join(_FORGOTTEN.get(word, word) for word in words if word not in ARTICLES)


def _without_marks(answer: str) -> str:
    """Marks become spaces; they go without a trace beside a space, and where a comma stands between digits."""
    thousands = _THOUSANDS.search(answer) is not None
    vanish = {mark for mark in MARKS if thousands or f"{mark} " in answer or f" {mark}" in answer}
    return _PERIOD.sub("", answer.translate({ord(mark): "" if mark in vanish else " " for mark in MARKS}))
