"""The list of rows that are kept, as a table that trains: Parquet with images or their paths, captions and labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from vlc_core import DataError, Dataset, Sample
from vlc_core.errors import StorageError
from vlc_core.naming import SourceSpec
from vlc_core.progress import track
from vlc_plugin_curate.near.sources import Sources

_ROWS = 1_024
_WITH_PATHS = {"folder", "manifest"}


def write_list(sources: Sources, rows: NDArray[Any], file: Path) -> bool:
    """Writes the ``rows`` of ``sources``, with a progress bar.

    The columns are ``key``, ``source``, ``row`` (of the source), ``texts``, ``label`` (a class name, or null; only
    where there are classes) and ``image``: paths where all sources have a file for each image; otherwise the images
    themselves, with their names.

    Returns:
        Whether the images themselves are in it.

    Raises:
        StorageError: It cannot be written.
        DataError: A sample that could be read before cannot any more.
    """
    roots = [_root(spec, dataset) for spec, dataset in zip(sources.specs, sources.datasets, strict=True)]
    inside = any(root is None for root in roots)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if inside else pa.string()
    fields = [("key", pa.string()), ("source", pa.string()), ("row", pa.int64()), ("texts", pa.list_(pa.string()))]
    fields += [("label", pa.string())] if any(dataset.classes for dataset in sources.datasets) else []
    schema = pa.schema([*fields, ("image", image)])
    partial = file.with_name(f".{file.name}.partial")
    try:
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            batch: list[dict[str, Any]] = []
            for row in track(_told(sources, rows, roots if not inside else None), "writing the list", len(rows)):
                batch.append(row)
                if len(batch) == _ROWS:
                    writer.write_table(pa.Table.from_pylist(batch, schema))
                    batch = []
            writer.write_table(pa.Table.from_pylist(batch, schema))
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{file} cannot be written ({error.strerror or error}): choose another --out") from error
    return inside


def _told(sources: Sources, rows: NDArray[Any], roots: list[str | None] | None) -> Iterator[dict[str, Any]]:
    for index in rows.tolist():
        source, row = sources.place(index)
        sample = sources[index]
        image: Any = {"bytes": _encoded(sample.image), "path": sample.key}
        if roots is not None:
            image = os.path.join(roots[source] or "", sample.key)
        yield {
            "image": image,
            "texts": list(sample.texts),
            "label": _label(sources.datasets[source], sample),
            "key": sample.key,
            "source": sources.specs[source].name,
            "row": row,
        }


def _root(spec: SourceSpec, dataset: Dataset) -> str | None:
    """The folder that keys are paths in; None where they are names of something else."""
    if spec.use.use.rpartition("/")[2] not in _WITH_PATHS:
        return None
    options = spec.use.options
    path = str(options["path"])
    root = str(options.get("root") or (path if spec.use.use.endswith("folder") else os.path.dirname(path)))
    if "://" in path or "::" in path or "://" in root:
        return None
    root = os.path.abspath(root)
    return root if os.path.isfile(os.path.join(root, _first_key(dataset))) else None


def _first_key(dataset: Dataset) -> str:
    for row in range(len(dataset)):
        try:
            return dataset[row].key
        except DataError:
            continue
    return ""


def _label(dataset: Dataset, sample: Sample) -> str | None:
    names = dataset.classes or ()
    return names[sample.label] if 0 <= sample.label < len(names) else None


def _encoded(image: Any) -> bytes:
    """The file of an image; a picture that was drawn becomes a PNG."""
    if isinstance(image, bytes):
        return image
    from io import BytesIO

    assert isinstance(image, Image.Image)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
