"""From a source to a finished folder: parts that are missing are made, those that are there are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import final

from vlc_core.batch import Skipped
from vlc_core.errors import DataError
from vlc_core.inference import DualEncoder
from vlc_core.loading.loader import Loader
from vlc_plugin_search.embedding.description import Description, check_same
from vlc_plugin_search.embedding.encoding import Encoded, encoded
from vlc_plugin_search.embedding.parts import About, about, count_rows, read_rows, write_part
from vlc_plugin_search.embedding.reading import Reader, Reading
from vlc_plugin_search.embedding.store import Counts, Store
from vlc_plugin_search.indexing.building import Graph, build_index
from vlc_plugin_search.indexing.kind import Kind
from vlc_plugin_search.sides import Side

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """What a run of ``vlc embed`` did.

    Attributes:
        counts: What the folder holds.
        kept: Parts that were there.
        made: Parts that were not.
        skipped: Samples that could not be read.
    """

    counts: Counts
    kept: int
    made: int
    skipped: list[Skipped]


@final
class Making:
    """Makes the embeddings that ``description`` speaks of.

    Args:
        folder: Where they go.
        description: What they are of.
        model: Encodes.
        reader: Reads.
        workers: Processes that read ahead; 0 reads in this one, in turn with encoding.
    """

    def __init__(
        self, folder: Path, description: Description, model: DualEncoder, reader: Reader, *, workers: int = 0
    ) -> None:
        self._store = Store(folder)
        self.description, self.model, self.reader = description, model, reader
        self._workers = workers
        self._batches = description.part_size // description.batch_size
        self._samples = len(reader)

    def run(self, kind: Kind, graph: Graph, progress: Progress, indexing: Progress) -> Made:
        """Makes what is missing, the index too.

        Args:
            kind: Of the index.
            graph: How it is built where it is a graph.
            progress: Told how many samples of all are done.
            indexing: Told how many embeddings of all are in the index.

        Raises:
            StorageError: The folder is of something else, is written to by another process, or cannot be written.
            DataError: No sample could be read, or a worker process died.
        """
        with self._store.alone():
            self._begin()
            kept = {number: told for number in range(self.description.parts) if (told := self._kept(number))}
            if len(kept) < self.description.parts:
                self._store.unfinish()
            made = self._make([n for n in range(self.description.parts) if n not in kept], progress)
            skipped = [one for _, told in sorted((kept | made).items()) for one in told.skipped]
            rows = {side: self._count(side) for side in self.description.part.sides}
            self._refuse_nothing(rows, skipped)
            if kind is not Kind.NONE:
                build_index(self._store, self.description, rows, kind, graph, indexing)
            return Made(self._store.finish(self._samples, skipped, rows), len(kept), len(made), skipped)

    def _begin(self) -> None:
        there = Description.read(self._store.path)
        if there is None:
            self.description.write(self._store.path)
        else:
            check_same(there, self.description, self._store.path)

    def _span(self, number: int) -> tuple[int, int]:
        first = number * self.description.part_size
        return first, min(first + self.description.part_size, self._samples)

    def _kept(self, number: int) -> About | None:
        """What part ``number`` says of itself where it is whole and of the samples as they are now."""
        found = [about(self._store.part(side, number)) for side in self.description.part.sides]
        told = found[0]
        whole = told is not None and all(one == told for one in found)
        fits = told is not None and (told.digest, told.first, told.stop) == (
            self.description.digest,
            *self._span(number),
        )
        return told if whole and fits and self._unchanged(number, told) else None

    def _unchanged(self, number: int, told: About | None) -> bool:
        """Whether the first sample of a part still has its key and captions: files may have moved up since."""
        side = self.description.part.sides[0]
        file = self._store.part(side, number)
        if told is None or count_rows(file) == 0:
            return told is not None
        (row,) = read_rows(file, [0], ("source", "sample", "key", "texts"))
        try:
            first = told.first
            while self.reader.locate(first) != (row["source"], row["sample"]) and first < told.stop - 1:
                first += 1
            now = self.reader.row(first)
        except (DataError, OSError):
            return False
        texts = list(now.texts) if side is Side.IMAGE else list(now.texts[:1])
        return (now.key, texts) == (row["key"], row["texts"])

    def _make(self, numbers: Sequence[int], progress: Progress) -> dict[int, About]:
        """Makes parts; the last one is written while the next is encoded."""
        made: dict[int, About] = {}
        writing: Future[None] | None = None
        done = self._samples - sum(stop - first for first, stop in map(self._span, numbers))
        with ThreadPoolExecutor(1) as writer:
            for number, batches in self._parts(numbers, done, progress):
                told = self._told(number, batches)
                if writing is not None:
                    writing.result()
                writing = writer.submit(self._write, number, batches, told)
                made[number] = told
            if writing is not None:
                writing.result()
        return made

    def _parts(self, numbers: Sequence[int], done: int, progress: Progress) -> Iterator[tuple[int, list[Encoded]]]:
        """The batches of each part."""
        for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):  # runs of consecutive numbers
            wanted = [number for _, number in run]
            batches: list[Encoded] = []
            for step, batch in self._encoded(wanted[0], wanted[-1]):
                batches.append(batch)
                done += min(self.description.batch_size, self._samples - step * self.description.batch_size)
                progress(done, self._samples)
                if (step + 1) % self._batches == 0 or (step + 1) * self.description.batch_size >= self._samples:
                    yield step // self._batches, batches
                    batches = []

    def _encoded(self, first: int, last: int) -> Iterator[tuple[int, Encoded]]:
        """Each step with its samples' embeddings, from part ``first`` to part ``last``."""
        steps = -(-self._span(last)[1] // self.description.batch_size)
        start = first * self._batches
        loader: Loader[Reading] = Loader(
            make=self.reader,
            batch_size=self.description.batch_size,
            steps=steps,
            start_step=start,
            workers=self._workers,
            pin=self.model.device.type == "cuda",
            setting="--workers",
        )
        return enumerate(encoded(self.model, loader), start)

    def _told(self, number: int, batches: Sequence[Encoded]) -> About:
        skipped = tuple(one for batch in batches for one in batch.read.skipped)
        return About(self.description.digest, *self._span(number), skipped)

    def _write(self, number: int, batches: Sequence[Encoded], told: About) -> None:
        width, precision = self.description.width, self.description.precision
        for side in self.description.part.sides:
            write_part(self._store.part(side, number), side, batches, told, width=width, precision=precision)

    def _count(self, side: Side) -> int:
        return sum(count_rows(self._store.part(side, number)) for number in range(self.description.parts))

    def _refuse_nothing(self, rows: dict[Side, int], skipped: Sequence[Skipped]) -> None:
        if any(rows.values()):
            return
        why = f", the first because {skipped[0].reason}" if skipped else ": there is no text"
        raise DataError(
            f"none of the {self._samples:,} samples could be embedded{why}: look at them with vlc data inspect"
        )
