"""The folder that ``vlc embed`` writes: a description, parts, what could not be read, indexes, and that it is finished.

::

    embeddings.json        what the embeddings are of, written first
    image-00000.parquet …  a part of each side: rows with their embeddings
    skipped.jsonl          samples that could not be read
    image.npy              the exact index of a side
    image.usearch          the other one
    finished.json          counts; written last
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from vlc_core.batch import Skipped
from vlc_core.errors import StorageError
from vlc_plugin_data.tars.kept import remove_unfinished, write_whole
from vlc_plugin_search.embedding import parts
from vlc_plugin_search.embedding.description import FILE, Description
from vlc_plugin_search.indexing.kind import Kind
from vlc_plugin_search.sides import Side

FINISHED = "finished.json"
SKIPPED = "skipped.jsonl"
_LOCK = ".lock"
_ENDINGS = {Kind.EXACT: ".npy", Kind.ANN: ".usearch"}
_OWN = (FILE, FINISHED, SKIPPED, *(f"{side}{rest}" for side in Side for rest in ("-*.parquet", *_ENDINGS.values())))
"""What files here are called."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a finished folder holds.

    Attributes:
        samples: Of all sources.
        skipped: Of these, those that could not be read.
        rows: Embeddings of each side.
    """

    samples: int
    skipped: int
    rows: dict[Side, int]


@final
class Store:
    """The folder at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def part(self, side: Side, number: int) -> Path:
        """The file of part ``number`` of a side."""
        return self.path / parts.file_name(side, number)

    def index(self, side: Side, kind: Kind) -> Path:
        """The file of an index."""
        return self.path / f"{side}{_ENDINGS[kind]}"

    @property
    def indexes(self) -> Iterator[Path]:
        """The files of all indexes that there may be."""
        return (self.index(side, kind) for side in Side for kind in _ENDINGS)

    def unfinish(self) -> None:
        """Before parts are made: what was made of them goes."""
        for file in (self.path / FINISHED, *self.indexes):
            file.unlink(missing_ok=True)

    def finish(self, samples: int, skipped: list[Skipped], rows: Mapping[Side, int]) -> Counts:
        """Lists what could not be read and says that all is there; raises OSError."""
        lines = [json.dumps(one._asdict(), ensure_ascii=False) + "\n" for one in skipped]
        write_whole(self.path / SKIPPED, "".join(lines).encode(errors="replace"))
        told = {"samples": samples, "skipped": len(skipped), "rows": dict(rows)}
        write_whole(self.path / FINISHED, (json.dumps(told, indent=2) + "\n").encode())
        return Counts(samples, len(skipped), dict(rows))

    def open(self) -> tuple[Description, Counts]:
        """What a finished folder says of itself.

        Raises:
            StorageError: There is none here, it is not finished, or it says nothing that can be read.
        """
        description = Description.read(self.path)
        if description is None:
            raise StorageError(f"{self.path} holds no embeddings (no {FILE}): name a folder that vlc embed wrote")
        try:
            told = json.loads((self.path / FINISHED).read_bytes())
            rows = {Side(side): int(count) for side, count in told["rows"].items()}
            return description, Counts(told["samples"], told["skipped"], rows)
        except FileNotFoundError as error:
            side = description.part.sides[0]
            there = sum(self.part(side, number).is_file() for number in range(description.parts))
            raise StorageError(
                f"{self.path} is not finished ({there} of {description.parts} parts): run the same vlc embed again, "
                "which goes on where it stopped"
            ) from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StorageError(
                f"{self.path / FINISHED} cannot be read ({error}): run the same vlc embed again"
            ) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Makes the folder where it is missing, and keeps other processes from writing to it.

        What a process that was killed had not finished writing goes: half an index may be as large as a whole one.

        Raises:
            StorageError: Another one does, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / _LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_unfinished(self.path, *_OWN)
                yield
        except BlockingIOError as error:
            raise StorageError(f"another vlc embed is writing to {self.path}: wait for it to end") from error
        except OSError as error:
            raise StorageError(
                f"{self.path} cannot be written ({error.strerror or error}): make room, or choose another --out"
            ) from error
