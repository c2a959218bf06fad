"""Whether the images and captions that ratings name are there, found out before anything is encoded."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vlc_core.errors import DataError
from vlc_core.interfaces.dataset import Dataset
from vlc_plugin_eval.crisscrossed_files import Rating, Task, number_of
from vlc_plugin_eval.once import once

_KINDS: Mapping[Task, tuple[str, str]] = {
    "sts": ("caption", "caption"),
    "sis": ("image", "image"),
    "sits": ("caption", "image"),
}


def numbers_of(data: Dataset) -> set[int]:
    """The numbers of all images whose file can be read; nothing is decoded, and one rank reads for all."""
    return once(lambda: _numbers_of(data))


def _numbers_of(data: Dataset) -> set[int]:
    found = set()
    for index in range(len(data)):
        try:
            found.add(number_of(data[index].key))
        except (DataError, OSError):
            continue
    return {number for number in found if number is not None}


def check_missing(
    ratings: Mapping[Task, list[Rating]], captions: Collection[int], images: Collection[int], *, allowed: float
) -> None:
    """Compares what ratings name with what is there.

    Args:
        ratings: By task.
        captions: The numbers of those that are there.
        images: The numbers of those that are there.
        allowed: The share of the pairs of each task that may lack something.

    Raises:
        DataError: More do, or all of all tasks.
    """
    there = {"caption": captions, "image": images}
    lost = {task: _lost(task, rated, there) for task, rated in ratings.items() if rated}
    pairs = {task: len(ratings[task]) for task in lost}
    if sum(map(len, lost.values())) == sum(pairs.values()):
        raise DataError(
            f"crisscrossed has nothing to compare: none of {sum(pairs.values()):,} rated pairs has its images among "
            f"the {len(images):,} that can be read and its captions among {len(captions):,} of `captions`; give the "
            "images of COCO val2014 that the ratings name, under their own file names"
        )
    for task, names in lost.items():
        share = len(names) / pairs[task]
        if share > allowed:
            raise DataError(
                f"crisscrossed: {len(names):,} of {pairs[task]:,} pairs rated for {task} name what is not here, first "
                f"the {names[0]}: give all of it, or leave such pairs out and counted with `max_missing: "
                f"{_above(share)}`"
            )


def _lost(task: Task, rated: list[Rating], there: Mapping[str, Collection[int]]) -> list[str]:
    """What is missing first of each pair that lacks something."""
    found = []
    for one in rated:
        sides = zip(_KINDS[task], one[:2], strict=True)
        absent = next((f"{kind} {number}" for kind, number in sides if number not in there[kind]), None)
        if absent is not None:
            found.append(absent)
    return found


def _above(share: float) -> str:
    """A share that allows for this one, in two digits."""
    return f"{min(1.0, share + 0.005):.2f}"
