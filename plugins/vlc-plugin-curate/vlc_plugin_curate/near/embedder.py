"""Embeddings of the images of a source, made by a trained run and kept in parts.

Shapes: N images, D embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from vlc_core.errors import RecipeError
from vlc_core.loading.decode import decode
from vlc_core.progress import Tracker
from vlc_plugin_curate.near.fingerprints import PART, SOUND, Fingerprints
from vlc_plugin_curate.near.kept import KeptParts
from vlc_plugin_curate.near.reading import ImageSource, Picture, Reader

_BATCH = 64

Embeddings = NDArray[np.float32]


class Part(NamedTuple):
    """Some images.

    Attributes:
        rows: (N,) int64, which of the source, ascending.
        embed: (N, D) float32, of length one.
    """

    rows: NDArray[np.int64]
    embed: Embeddings


@final
class Embedder:
    """A model that embeds the images of sources, and keeps what it made.

    Args:
        run: A run folder, or its ``model`` folder.
        cache: Where embeddings are kept; None for nowhere.

    Raises:
        StorageError: There is no model at ``run``.
        RecipeError: The model takes vectors, not images.

    Attributes:
        width: Of an embedding.
        digest: Of the model: the same for the same embeddings.
    """

    def __init__(self, run: Path, cache: Path | None) -> None:
        from vlc_core.inference import DualEncoder
        from vlc_core.model.digest import model_digest

        self._model = DualEncoder.load(run)
        if self._model.vector_width is not None:
            raise RecipeError(f"the model of {run} takes vectors, not images: name another by --model")
        self.digest = model_digest(run)
        self._cache = cache
        self.width = self._model.towers.text.embed_dim

    def parts(self, source: ImageSource, prints: Fingerprints, name: str) -> Iterator[Part]:
        """The images of ``source`` that are comparable, part by part, with a progress bar on stderr.

        Raises:
            ValueError: The source can be iterated only once.
            DataError: It has changed since ``prints`` were made.
            StorageError: The cache cannot be written.
        """
        dtype = np.dtype([("digest", "<u8", (2,)), ("embed", "<f4", (self.width,))])
        kept = None if self._cache is None else KeptParts(self._cache, f"{name}@{self.digest}", dtype)
        reader = Reader(source, name)
        with Tracker(f"embedding {name}") as tracker:
            for number, start in enumerate(range(0, len(prints), PART)):
                rows = prints.rows[start : start + PART]
                sound = np.flatnonzero(rows["state"] == SOUND)
                part = None if kept is None else kept.read(number)
                if part is None or not np.array_equal(part["digest"], rows["digest"]):
                    part = np.zeros(len(rows), dtype)
                    part["digest"] = rows["digest"]
                    for rows_of_batch, embed in self._embedded(reader.pictures(sound + start)):
                        part["embed"][rows_of_batch - start] = embed
                        tracker(int(rows_of_batch[-1]) + 1, len(prints))
                    if kept is not None:
                        kept.write(number, part)
                yield Part(sound + start, part["embed"][sound])

    def _embedded(self, pictures: Iterator[tuple[int, Picture]]) -> Iterator[tuple[NDArray[np.int64], Embeddings]]:
        """The rows and embeddings of a batch at a time."""
        while batch := list(islice(pictures, _BATCH)):
            embed = self._model.encode_image([decode(image) for _, image in batch])
            yield np.array([row for row, _ in batch], np.int64), embed.float().cpu().numpy()
