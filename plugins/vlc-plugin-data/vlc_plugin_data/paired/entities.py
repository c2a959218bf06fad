"""Flickr30K Entities: phrases of captions and the boxes of what they name.

Each image has a file of sentences, in which ``[/EN#98/animals A black dog]`` marks a phrase, its chain and its types;
and one of XML, in which objects name the chains that they belong to and their box in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, NamedTuple, final
from xml.etree import ElementTree

from vlc_core import DataError, Dataset, PathLike, Sample
from vlc_core.interfaces.dataset import Grounded, Rectangle
from vlc_plugin_data.paired.rows import content
from vlc_plugin_data.stores import read

_MARK = re.compile(r"\[/EN#(\d+)((?:/[^\s\]/]+)+) ([^\]]*)\]")


class Phrase(NamedTuple):
    """Marked words of a sentence, in characters from ``start``; ``chain`` is what they name."""

    text: str
    start: int
    chain: str
    types: tuple[str, ...]


def parse_sentence(line: str) -> tuple[str, tuple[Phrase, ...]]:
    """A sentence without its marks, and its phrases."""
    plain, phrases, end = "", [], 0
    for found in _MARK.finditer(line):
        plain += line[end : found.start()]
        phrases.append(Phrase(found[3], len(plain), found[1], tuple(found[2].strip("/").split("/"))))
        plain += found[3]
        end = found.end()
    return plain + line[end:], tuple(phrases)


def parse_boxes(xml: str, path: str) -> dict[str, tuple[Rectangle, ...]]:
    """The boxes of each chain, in shares of the picture's width and height.

    Raises:
        DataError: It is no such file, or declares entities.
    """
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise DataError(f"{path} declares a document type, which annotations do not have: it is not read")
    try:
        root = ElementTree.fromstring(xml)
        size = [_number(root, f"size/{side}") for side in ("width", "height")]
        boxes: dict[str, list[Rectangle]] = {}
        for thing in root.iter("object"):
            for box in thing.iter("bndbox"):
                corners = [_number(box, name) for name in ("xmin", "ymin", "xmax", "ymax")]
                x0, y0, x1, y1 = ((value - 1) / size[i % 2] for i, value in enumerate(corners))  # counted from 1
                for name in thing.iter("name"):
                    boxes.setdefault((name.text or "").strip(), []).append((x0, y0, x1, y1))
    except (ElementTree.ParseError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"{path} is no annotation of Flickr30K Entities: {error}") from error
    return {chain: tuple(found) for chain, found in boxes.items()}


@final
class Flickr30kEntities(Dataset):
    """Photographs of Flickr30K with the phrases of their captions and the boxes of what they name.

    Phrases that name nothing in sight have no box and are left out. Plummer et al. 2015, arXiv 1505.04870.
    """

    def __init__(
        self,
        *,
        sentences: Annotated[str, PathLike()],
        annotations: Annotated[str, PathLike()],
        images: Annotated[str, PathLike()],
        split: Annotated[str, PathLike()],
    ) -> None:
        """Reads the list of images; all else is read when it is asked for.

        Args:
            sentences: The folder of ``NUMBER.txt``.
            annotations: The folder of ``NUMBER.xml``.
            images: The folder of ``NUMBER.jpg``.
            split: A file with an image's number on each line, such as ``test.txt``.
        """
        self.sentences, self.annotations, self.images = sentences, annotations, images
        self._names = content(split).split()
        if not self._names:
            raise DataError(f"{split} names no image")

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Sample:
        name = self._names[index]
        return Sample(read(f"{name}.jpg", root=self.images), self.texts(index), key=name)

    def texts(self, index: int) -> tuple[str, ...]:
        return tuple(text for text, _ in self._parsed(index))

    def phrases(self, index: int) -> tuple[Grounded, ...]:
        path = f"{self.annotations}/{self._names[index]}.xml"
        boxes = parse_boxes(content(path), path)
        found = (phrase for _, phrases in self._parsed(index) for phrase in phrases if phrase.chain in boxes)
        return tuple(Grounded(phrase.text, boxes[phrase.chain]) for phrase in found)

    def _parsed(self, index: int) -> Iterator[tuple[str, tuple[Phrase, ...]]]:
        lines = content(f"{self.sentences}/{self._names[index]}.txt").splitlines()
        return (parse_sentence(line) for line in lines if line.strip())


def _number(node: ElementTree.Element, name: str) -> float:
    found = node.findtext(name)
    if found is None:
        raise ValueError(f"there is no <{name}>")
    return float(found)
