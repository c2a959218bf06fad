"""Captions in several languages from one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlc_core import DataError
from vlc_core.nearest import did_you_mean
from vlc_plugin_data.captioned.images import text_of
from vlc_plugin_data.columns import Columns
from vlc_plugin_data.paired.rows import lines_of
from vlc_plugin_data.tables import read_table

Captions = dict[str, dict[str, list[str]]]
Value = str | int

KEY = "image/key"
"""Where Crossmodal-3600 keeps the name of an image, without its ending."""

_OBJECT = "captions"
_INNER = "caption"


def captions_of_table(
    path: str, languages: Sequence[str] | None, *, image: str | None, where: Mapping[str, Value | list[Value]]
) -> Captions:
    """Captions by language and image.

    Args:
        path: JSON lines, CSV, TSV or Parquet.
        languages: Which; None for all, which only JSON lines with objects of languages can tell.
        image: The column of images.
        where: Keeps rows whose column holds the value, or one of the values.

    Raises:
        DataError: The table is missing or malformed, languages cannot be told, or one has no caption.
    """
    wanted = {name: tuple(map(str, one if isinstance(one, list) else [one])) for name, one in where.items()}
    nested = path.lower().endswith((".jsonl", ".ndjson", ".json"))
    found = _of_lines(path, languages, image, wanted) if nested else _of_columns(path, languages, image, wanted)
    for language, captions in found.items():
        if not any(captions.values()):
            raise DataError(f"{path}: no row has a caption in {language!r}")
    return found


def _of_columns(
    path: str, languages: Sequence[str] | None, image: str | None, where: dict[str, tuple[str, ...]]
) -> Captions:
    if not languages:
        raise DataError(f"{path}: nothing tells which columns are languages: name them, as in `languages: [en, de]`")
    found: Captions = {}
    for language in languages:
        columns = Columns(image or "image", (language,), where=where, texts_option="languages", image_given=bool(image))
        rows = read_table(path, columns)
        if rows.image.type != "string" or rows.captions is None:
            raise DataError(f"{path}: the column {image or 'image'!r} must hold the paths of images")
        own = found.setdefault(language, {})
        for name, texts in zip(rows.image.to_pylist(), rows.captions.to_pylist(), strict=True):
            _add(own, name, texts or [])
    return found


def _of_lines(
    path: str, languages: Sequence[str] | None, image: str | None, where: dict[str, tuple[str, ...]]
) -> Captions:
    found: Captions = {language: {} for language in languages or ()}
    have: dict[str, None] = {}
    for place, row in lines_of(path):
        if any(str(row.get(column)) not in values for column, values in where.items()):
            continue
        name, by_language = _image(row, image, place), _by_language(row, languages)
        have |= dict.fromkeys(by_language)
        for language in languages or by_language:
            _add(found.setdefault(language, {}), name, _texts(by_language.get(language), language, place))
    for language in found:
        if language not in have:
            known = ", ".join(have) or "none"
            raise DataError(
                f"{path}: no row has a caption in {language!r}; it has {known}{did_you_mean(language, have)}"
            )
    if not found:
        kept = f" with {where}" if where else ""
        raise DataError(
            f"{path}: no row{kept} tells captions by language: write them as an object, "
            '`"captions": {"en": …, "de": …}`, or name the columns with `languages`'
        )
    return found


def _image(row: Mapping[str, Any], column: str | None, place: str) -> str:
    if column is None and "image" not in row and isinstance(row.get(KEY), str):
        return f"{row[KEY]}.jpg"
    name = row.get(column or "image")
    if not isinstance(name, str) or not name:
        raise DataError(
            f"{place}: {column or 'image'!r} is {name!r}, not the path of an image; its keys are {', '.join(row)}"
        )
    return name


def _by_language(row: Mapping[str, Any], languages: Sequence[str] | None) -> Mapping[str, Any]:
    """What a row says in each language: an object ``captions``, Crossmodal-3600's objects, or columns by name."""
    if isinstance(row.get(_OBJECT), dict):
        return dict(row[_OBJECT])
    inner = {key: value[_INNER] for key, value in row.items() if isinstance(value, dict) and _INNER in value}
    return inner or {language: row[language] for language in languages or () if language in row}


def _texts(value: Any, language: str, place: str) -> list[str]:
    texts = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"{place}: the captions in {language!r} are {value!r}, not a text or a list of texts")
    return texts


def _add(captions: dict[str, list[str]], name: str | None, texts: Sequence[str | None]) -> None:
    """Adds to the captions of an image; blank ones are none."""
    if name:
        captions.setdefault(name, []).extend(text for text in map(text_of, texts) if text)
