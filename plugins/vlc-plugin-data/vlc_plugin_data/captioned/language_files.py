"""Captions from files that each hold one language: plain text beside a list of images, COCO's and Karpathy's JSON."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence

from vlc_core import DataError
from vlc_plugin_data.captioned.coco import CocoCaptions
from vlc_plugin_data.captioned.images import CaptionedDataset, read_annotations, text_of
from vlc_plugin_data.captioned.karpathy import Karpathy
from vlc_plugin_data.stores import read

Captions = dict[str, dict[str, list[str]]]

_NUMBER = re.compile(r"#\d+$")  # Flickr30K's lists write the number of a caption behind the image's name
_TABLES = (".csv", ".tsv", ".jsonl", ".parquet")


def captions_of_files(
    files: Mapping[str, Sequence[str]], *, names: str | None = None, splits: Sequence[str] = ()
) -> Captions:
    """Captions by language and image, those of an image in the order of the files.

    Args:
        files: Those of each language.
        names: For text files, the list of images.
        splits: Of Karpathy's JSON.

    Raises:
        DataError: A file is missing, malformed or of another kind, or lists do not fit together.
    """
    listed = None if names is None else [_NUMBER.sub("", line) for line in lines(names)]
    if names is not None and not (listed and all(listed)):
        raise DataError(f"{names}: a line names no image; write one file name on each")
    found: Captions = {}
    for language, paths in files.items():
        own: dict[str, list[str]] = {}
        for path in paths:
            for name, texts in _captions(path, names, listed, splits):
                own.setdefault(name, []).extend(text for text in texts if text)
        if not any(own.values()):
            raise DataError(f"{', '.join(paths) or language}: there is no caption for {language!r}")
        found[language] = own
    return found


def lines(path: str) -> list[str]:
    """The lines of a text file in UTF-8, packed by gzip or not.

    Raises:
        DataError: It is missing, broken or no UTF-8.
    """
    try:
        content = read(path)
        text = (gzip.decompress(content) if path.endswith(".gz") else content).decode("utf-8-sig")
    except DataError as error:
        raise DataError(f"{path}: {error}: check the option `path`") from error
    except (OSError, EOFError) as error:
        raise DataError(f"{path} is no gzip file, or is cut: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}") from error
    found = text.replace("\r\n", "\n").split("\n")
    return [text_of(line) for line in (found[:-1] if found[-1] == "" else found)]


def _captions(
    path: str, names: str | None, listed: Sequence[str] | None, splits: Sequence[str]
) -> list[tuple[str, Sequence[str]]]:
    if path.endswith(_TABLES):
        raise DataError(f"{path} is a table: give one table of all languages as `path`, not a file for each")
    if path.endswith(".json"):
        data = _json(path, splits)
        return [(data.key(index), data.texts(index)) for index in range(len(data))]
    if listed is None:
        raise DataError(f"{path} has a caption on each line, and nothing says of which image: add `names`")
    texts = lines(path)
    if len(texts) != len(listed):
        raise DataError(f"{path} has {len(texts):,} lines and {names} names {len(listed):,} images: they must match")
    return [(name, (text,)) for name, text in zip(listed, texts, strict=True)]


def _json(path: str, splits: Sequence[str]) -> CaptionedDataset:
    if "annotations" in read_annotations(path, "images"):
        return CocoCaptions(path=path, images="")
    if not splits:
        raise DataError(f"{path} holds splits: say which with `split`")
    return Karpathy(path=path, images="", split=list(splits))
