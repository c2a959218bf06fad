"""The samples that are kept as new tars: the encoded image as it was, with its texts."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
from PIL import Image

from vlc_core import DataError, Dataset
from vlc_core.errors import StorageError
from vlc_core.progress import Tracker
from vlc_core.registry import Registry
from vlc_plugin_curate.cleaning.sources.gather import Source
from vlc_plugin_curate.cleaning.stages import digest_of, settle, unwritable, write_whole
from vlc_plugin_data.inspecting.header import read_header

_ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "JPEG2000": "jp2"}
_WIDTH = 5  # digits of a shard's number, and of a sample's in it


class Row(NamedTuple):
    """One row of the list."""

    key: str
    source: str
    row: int
    texts: list[str]


class Rewritten(NamedTuple):
    """What came of it.

    Attributes:
        shards: How many tars there are.
        missing: Images that could not be read again, a sentence each.
    """

    shards: int
    missing: tuple[str, ...]


def rewrite(
    listed: Path, sources: Sequence[Source], folder: Path, size: int, registry: Registry, *, digest: str
) -> Rewritten:
    """Writes the rows of ``listed`` into tars of ``size`` samples; tars of the same list that are there are kept.

    Args:
        listed: The list.
        sources: Where its rows come from.
        folder: Where ``00000.tar`` and on go.
        size: Samples in a tar.
        registry: Where datasets are found.
        digest: Of the list.

    Raises:
        StorageError: ``folder`` cannot be written.
        DataError: A source cannot be opened any more.
    """
    datasets = _Datasets(sources, registry)
    mark = folder / "digest.txt"
    total = pq.read_metadata(listed).num_rows
    missing: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder, mark, digest_of([digest, size]))
        with Tracker("writing tars") as tracker:
            for number, rows in enumerate(_cut(listed, size)):
                path = folder / f"{number:0{_WIDTH}d}.tar"
                if not path.exists():
                    _write(path, rows, datasets)
                missing += _missing(path)
                tracker(min(total, (number + 1) * size), total)
    except OSError as error:
        raise unwritable(folder, error) from error
    return Rewritten(-(-total // size), tuple(missing))


def _clear(folder: Path, mark: Path, digest: str) -> None:
    """Removes the tars of another list."""
    if mark.exists() and mark.read_text() == digest:
        return
    others = [path for path in folder.glob("*.tar") if path.stem.isdigit()]
    if others and not mark.exists():
        raise StorageError(f"{folder} holds tars that are not of this command: choose another place by --out")
    for path in others:
        _note(path).unlink(missing_ok=True)
        path.unlink()
    write_whole(mark, digest.encode())


class _Datasets:
    def __init__(self, sources: Sequence[Source], registry: Registry) -> None:
        self._sources = {one.spec.name: one for one in reversed(sources)}
        self._registry = registry
        self._open: dict[str, Dataset] = {}

    def image(self, row: Row) -> bytes:
        """The encoded image of a row.

        Raises:
            DataError: It cannot be read.
        """
        if row.source not in self._open:
            self._open[row.source] = self._sources[row.source].open(self._registry)
        image = self._open[row.source][row.row].image
        if isinstance(image, Image.Image):
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            return buffer.getvalue()
        if not isinstance(image, bytes):
            raise DataError("it is a vector and no image")
        return image


def _cut(listed: Path, size: int) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for batch in pq.ParquetFile(listed).iter_batches(size):
        for one in batch.to_pylist():
            rows.append(Row(one["key"], one["source"], one["row"], one["texts"]))
            if len(rows) == size:
                yield rows
                rows = []
    if rows:
        yield rows


def _write(path: Path, rows: Sequence[Row], datasets: _Datasets) -> None:
    """Writes a tar, and before that has its name a note of the images that are not in it, if there are such."""
    missing = []
    partial = path.with_name(f".{path.name}.partial")
    with tarfile.open(partial, "w") as tar:
        for number, row in enumerate(rows):
            name = f"{path.stem}{number:0{_WIDTH}d}"
            try:
                image = datasets.image(row)
                ending = _ENDINGS.get(read_header(image).format, "jpg")
            except DataError as error:
                missing.append(f"{row.key}: {error}")
                continue
            facts = {"captions": row.texts, "key": row.key}
            _add(tar, f"{name}.{ending}", image)
            _add(tar, f"{name}.json", json.dumps(facts, ensure_ascii=False).encode("utf-8", "replace"))
    if missing:
        write_whole(_note(path), json.dumps(missing).encode())
    else:
        _note(path).unlink(missing_ok=True)
    settle(partial, path)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.stem}.missing.json")


def _missing(path: Path) -> list[str]:
    """The images that could not be read for the tar at ``path``, whoever wrote it."""
    note = _note(path)
    return [str(one) for one in json.loads(note.read_bytes())] if note.exists() else []


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # whose owner and time are nought: the same samples make the same bytes
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
