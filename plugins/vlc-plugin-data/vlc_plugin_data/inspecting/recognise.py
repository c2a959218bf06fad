"""Which dataset reads a path, told by its name, and which columns of a table are meant, told by theirs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from itertools import islice
from typing import IO, Any, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from vlc_core import DataError
from vlc_core.naming import Block, Recognised
from vlc_plugin_data.stores import open_store
from vlc_plugin_data.tables import SUFFIXES as TABLES
from vlc_plugin_data.tables import without_compression

_IMAGES = re.compile(r'"images"\s*:\s*\[\s*\{')

TARS = (".tar", ".tar.gz", ".tgz")

# What people call these columns, the most telling names first.
IMAGE = ("image", "file", "filepath", "file_path", "filename", "file_name", "image_path", "image_file", "path", "img")
TEXT = ("captions", "caption", "texts", "text", "sentences", "sentence", "title", "description")
LABEL = ("label", "class", "class_name", "classname", "category")

_SAVED = {"state.json", "dataset_dict.json"}  # what ``save_to_disk`` writes

_HEAD = 1 << 18
_PEEK = 100
_FEW = 4


def recognise(path: str) -> Recognised | None:
    """The dataset that reads ``path``: tars, a table, annotations, or a folder; None where it is none of these."""
    block = _block(path)
    return None if block is None else Recognised(block, _beside(block))


def _block(path: str) -> Block | None:
    name = path.partition("::")[0].lower()
    if name.endswith(TARS):
        return {"use": "webdataset", "path": path}
    if name.endswith(".json") and (kind := _annotations(path)):
        return {"use": kind, "path": path}
    if without_compression(name).endswith(tuple(TABLES)):
        return {"use": "manifest", "path": path} | _columns(path)
    if not _is_folder(path):
        return None
    return _folder(path.rstrip("/") or "/")


def _folder(path: str) -> Block:
    """Tars where the folder holds any; what Hugging Face's library saved; else class folders."""
    file_system, base = open_store(path)
    entries = file_system.ls(base, detail=True)
    names = [str(entry["name"]).rpartition("/")[2] for entry in entries if entry["type"] == "file"]
    if any(name.lower().endswith(".tar") for name in names):
        return {"use": "webdataset", "path": f"{path}/*.tar"}
    if _SAVED.intersection(names):
        return {"use": "huggingface", "path": path}
    return {"use": "folder", "path": path}


def _beside(block: Block) -> str:
    """Names the tables in a folder of class folders: captions, if there are any, are in one of them."""
    if block["use"] != "folder":
        return ""
    tables = ", ".join(_tables_in(block["path"])[:_FEW])
    return tables and f"{tables} beside the class folders: inspect a table for what it says"


def _tables_in(path: str) -> list[str]:
    file_system, base = open_store(path)
    names = [str(entry["name"]).rpartition("/")[2] for entry in file_system.ls(base, detail=True)]
    return sorted(name for name in names if without_compression(name.lower()).endswith(tuple(TABLES)))


def _is_folder(path: str) -> bool:
    try:
        file_system, base = open_store(path)
        return bool(file_system.isdir(base))
    except (DataError, OSError):
        return False


def _annotations(path: str) -> str:
    """Whether a JSON file is Karpathy's, with sentences in its images, or COCO's, with captions beside them."""
    try:
        with fsspec.open(path, "rb") as file:
            head = "".join(_head(cast("IO[bytes]", file)))
    except (OSError, ImportError, ValueError):
        return ""
    if not _IMAGES.search(head):
        return ""
    return "karpathy" if '"sentences"' in head else "coco" if '"file_name"' in head else ""


def _columns(path: str) -> dict[str, Any]:
    """The options that name the columns of the table, those that can be told."""
    names = _peek(path)
    found = {}
    for option, known in (("image", IMAGE), ("text", TEXT), ("label", LABEL)):
        column = next((name for name in known if name in names), None)
        if column is not None and (option, column) != ("image", "image"):
            found[option] = column
    return found


def _peek(path: str) -> list[str]:
    """The names of the table's columns; none where it cannot be read, which the dataset will say better."""
    name = without_compression(path.partition("::")[0].lower())
    read = next(reader for ending, reader in _READERS.items() if name.endswith(ending))
    try:
        with fsspec.open(path, "rb", compression="infer") as file:
            return read(cast("IO[bytes]", file))
    except (OSError, EOFError, ImportError, ValueError, csv.Error, RecursionError, pa.ArrowException):
        return []


def _of_parquet(file: IO[bytes]) -> list[str]:
    return list(pq.ParquetFile(pa.PythonFile(file, mode="r")).schema_arrow.names)


def _of_csv(file: IO[bytes], delimiter: str = ",") -> list[str]:
    return [name.strip() for name in next(csv.reader(_head(file), delimiter=delimiter), [])]


def _of_tsv(file: IO[bytes]) -> list[str]:
    return _of_csv(file, "\t")


def _of_jsonl(file: IO[bytes]) -> list[str]:
    rows = (json.loads(line) for line in islice(_head(file), _PEEK) if line.strip())
    return list(dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row))


def _head(file: IO[bytes]) -> list[str]:
    """The lines at the head of a text file, whole ones alone unless there is only one."""
    head = file.read(_HEAD)
    lines = head.decode("utf-8-sig", errors="replace").splitlines(keepends=True)
    return lines if len(head) < _HEAD else lines[:-1] or lines


_OF_FORMAT: dict[str, Callable[[IO[bytes]], list[str]]] = {
    "csv": _of_csv,
    "tsv": _of_tsv,
    "jsonl": _of_jsonl,
    "parquet": _of_parquet,
}
_READERS = {ending: _OF_FORMAT[kind] for ending, kind in TABLES.items()}
