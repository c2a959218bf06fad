"""Images with captions in several languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Annotated, final

import numpy as np
from numpy.typing import NDArray

from vlc_core import DataError, PathLike
from vlc_core.nearest import did_you_mean
from vlc_plugin_data.captioned.images import CaptionedDataset, CaptionedImages
from vlc_plugin_data.captioned.language_files import captions_of_files
from vlc_plugin_data.captioned.language_tables import captions_of_table
from vlc_plugin_data.stores import split as split_path

Value = str | int


@final
class CaptionsByLanguage(CaptionedDataset):
    """Images whose captions are known by language, from one table of all or from files of each.

    One table has a row for each image, and in it a column for each language, or an object of languages: JSON lines such
    as ``{"image": "a.jpg", "captions": {"en": "a dog", "de": ["ein Hund", "Hund"]}}`` and those of Crossmodal-3600,
    CSV, TSV and Parquet. Files of each language are COCO's or Karpathy's JSON, or plain text with a caption on each
    line, such as Multi30K's, beside a list of the images' names.

    In training a caption is drawn from those of all languages. ``multilingual-retrieval`` measures each by itself.
    """

    def __init__(
        self,
        *,
        path: Annotated[str | dict[str, str | list[str]], PathLike()],
        images: Annotated[str, PathLike()] | None = None,
        languages: list[str] | None = None,
        names: Annotated[str, PathLike()] | None = None,
        image: str | None = None,
        where: dict[str, Value | list[Value]] | None = None,
        split: str | list[str] | None = None,
    ) -> None:
        """Reads the captions; images are read when they are asked for.

        Args:
            path: One table; or a mapping of languages to the file of each, or to several files that each add a caption:
                ``{en: test.en.gz, de: test.de.gz}``.
            images: The folder of the images; that of the table if not given.
            languages: Which to read, in this order; all if not given. In CSV, TSV and Parquet it names the columns.
            names: For text files: the file that names the image of each line.
            image: The table's column of images; ``image``, or Crossmodal-3600's ``image/key``, if not given.
            where: Keeps the table's rows whose column holds the value, or one of the values.
            split: For Karpathy's JSON: which split, or several.

        Raises:
            DataError: A file is missing or malformed, files do not belong together, or a language has no caption.
        """
        wanted = None if languages is None else list(dict.fromkeys(languages))
        if isinstance(path, str):
            _refuse({"names": names, "split": split}, f"one table, {path}")
            found = captions_of_table(path, wanted, image=image, where=where or {})
            folder = split_path(path)[0] if images is None else images
        else:
            _refuse({"image": image, "where": where}, "files by language")
            chosen = _chosen(path, wanted)
            splits = (split,) if isinstance(split, str) else tuple(split or ())
            found = captions_of_files(chosen, names=names, splits=splits)
            if images is None:
                raise DataError("captions-by-language reads files by language: say where `images` are")
            folder = images
        self.languages = self._order = list(found)
        self._ends, self._images = _gathered(found, folder)

    def texts_in(self, language: str, index: int) -> tuple[str, ...]:
        place = self._order.index(language)
        start, stop = (int(end) for end in self._ends[index, place : place + 2])
        return self._images.texts(index)[start:stop]


Captions = Mapping[str, Mapping[str, Sequence[str]]]
"""Language → image → its captions."""


def _gathered(found: Captions, folder: str) -> tuple[NDArray[np.int32], CaptionedImages]:
    """Where among an image's captions a language begins and the last one ends, (N, languages + 1), and the images."""
    names = list(dict.fromkeys(name for captions in found.values() for name, texts in captions.items() if texts))
    rows = [[captions.get(name, ()) for captions in found.values()] for name in names]
    ends = [list(accumulate((len(texts) for texts in row), initial=0)) for row in rows]
    listed = ((name, [text for texts in row for text in texts]) for name, row in zip(names, rows, strict=True))
    return np.array(ends, np.int32).reshape(len(names), -1), CaptionedImages(listed, folder)


def _chosen(path: Mapping[str, str | list[str]], wanted: Sequence[str] | None) -> dict[str, list[str]]:
    for language in wanted or ():
        if language not in path:
            raise DataError(
                f"captions-by-language: `path` names no file for {language!r}, which `languages` asks for; it has "
                f"{', '.join(path) or 'none'}{did_you_mean(language, path)}"
            )
    files = {language: path[language] for language in wanted or path}
    return {language: [one] if isinstance(one, str) else one for language, one in files.items()}


def _refuse(options: Mapping[str, object], where: str) -> None:
    said = _named(name for name, value in options.items() if value is not None)
    if said:
        raise DataError(f"captions-by-language: {said} does not go with {where}: leave it out")


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
