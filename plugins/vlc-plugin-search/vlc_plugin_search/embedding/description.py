"""What embeddings are of, written before the first of them: a run that goes on compares itself with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vlc_core import options
from vlc_core.errors import StorageError
from vlc_core.naming import SourceSpec
from vlc_core.options.use import Use
from vlc_core.recipe.paths import resolve_path
from vlc_core.registry import Registry
from vlc_plugin_data.tars.kept import write_whole
from vlc_plugin_search.embedding.precision import Precision
from vlc_plugin_search.sides import Part

FILE = "embeddings.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """A dataset that embeddings are of.

    Attributes:
        name: What it is called.
        block: How a recipe writes it, with paths that hold from anywhere on this machine.
        samples: How many it has.
    """

    name: str
    block: dict[str, Any]
    samples: int

    def spec(self) -> SourceSpec:
        """The dataset, to be opened again."""
        return SourceSpec(self.name, Use.model_validate(self.block))


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What embeddings are of, and how they are laid out.

    Attributes:
        digest: What the model hashes to.
        model: Where it was.
        width: D, the numbers of an embedding.
        part: What of each sample is embedded.
        precision: How the numbers are kept.
        batch_size: Samples that are encoded at once.
        part_size: Samples of a part, a multiple of ``batch_size``.
        sources: Datasets, in the order of their samples.
    """

    digest: str
    model: str
    width: int
    part: Part
    precision: Precision
    batch_size: int
    part_size: int
    sources: tuple[Origin, ...]

    @property
    def samples(self) -> int:
        """Of all sources."""
        return sum(source.samples for source in self.sources)

    @property
    def parts(self) -> int:
        """How many there are once all are made."""
        return -(-self.samples // self.part_size)

    def write(self, folder: Path) -> None:
        """Writes it into ``folder``; raises OSError."""
        told = {"schema": SCHEMA} | asdict(self)
        write_whole(folder / FILE, (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, folder: Path) -> Description | None:
        """That of ``folder``; None where it has none.

        Raises:
            StorageError: It cannot be read, or is of another version.
        """
        file = folder / FILE
        try:
            told = json.loads(file.read_bytes())
            if told.pop("schema", None) != SCHEMA:
                raise ValueError(f"its layout is not that of version {SCHEMA}")
            sources = tuple(Origin(**source) for source in told.pop("sources"))
            part, precision = Part(told.pop("part")), Precision(told.pop("precision"))
            return cls(part=part, precision=precision, sources=sources, **told)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StorageError(f"{file} does not describe embeddings ({error}): embed into another folder") from error


_SAID = {
    "digest": "another model",
    "width": "another model",
    "sources": "other data",
    "part": "another --part",
    "precision": "another --dtype",
    "batch_size": "another --batch-size",
    "part_size": "another --part-size",
}


def check_same(there: Description, wanted: Description, folder: Path) -> None:
    """Refuses to go on in a folder that was begun with something else.

    Raises:
        StorageError: They differ; the sentence says in what.
    """
    for name, said in _SAID.items():
        if getattr(there, name) != getattr(wanted, name):
            raise StorageError(
                f"{folder} holds embeddings of {said} ({_shown(getattr(there, name))}, and not "
                f"{_shown(getattr(wanted, name))}): choose another --out, or remove that folder"
            )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "; ".join(f"{source.block} with {source.samples:,} samples" for source in value)
    return str(value)[:16]


def origin(spec: SourceSpec, samples: int, registry: Registry) -> Origin:
    """How the dataset of ``spec`` is found again."""
    block: dict[str, Any] = json.loads(json.dumps({"use": spec.use.use} | spec.use.options))
    checked = options.check(registry, "dataset", spec.use.use, spec.use.options)
    for path in checked.paths:
        _make_absolute(block, path)
    return Origin(spec.name, block, samples)


def _make_absolute(block: Any, path: Sequence[str | int]) -> None:
    for key in path[:-1]:
        block = block[key]
    value = block[path[-1]]
    if isinstance(value, str):
        _, block[path[-1]] = resolve_path(value, value, Path.cwd())
