"""Sample numbers to a batch: read, decode, cut views, choose texts, tokenise.

Shapes: V views, B batch, C channels, S side in pixels, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vlc_core.batch import UNLABELLED, Batch, Sample, Skipped
from vlc_core.errors import DataError
from vlc_core.interfaces.sampler import Int64Array, Sampler
from vlc_core.interfaces.transform import Transform
from vlc_core.loading.decode import MAX_PIXELS
from vlc_core.loading.order import Purpose, pick, redraw, rng
from vlc_core.loading.picture import Picture
from vlc_core.loading.sources import TrainingSource
from vlc_core.loading.vectors import as_picture, as_vector
from vlc_core.tokenizer import Tokenizer

ATTEMPTS = 16


class Made(NamedTuple):
    """One sample, ready to be put into a batch."""

    views: NDArray[np.uint8 | np.float32]  # (V, 3, S, S) uint8, or (V, F) float32
    text: str
    label: int
    group: int
    key: str
    answers: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMaker:
    """A pure function from sample numbers to a :class:`Batch`, the same on every rank and in every worker.

    Attributes:
        sources: In the order that the sampler was given them.
        sampler: Which sample of which source has a number.
        transform: Cuts one view of a picture.
        tokenizer: For the texts.
        context: The most tokens of a text.
        size: S, the side of a view in pixels.
        views: V, how many views of each picture.
        seed: Of the run.
        max_pixels: Images whose header declares more are refused.
        vector_width: F, where samples carry precomputed vectors in place of images; each view is the same one.
    """

    sources: Sequence[TrainingSource]
    sampler: Sampler
    transform: Transform
    tokenizer: Tokenizer
    context: int
    size: int
    views: int = 1
    seed: int = 0
    max_pixels: int = MAX_PIXELS
    vector_width: int | None = None

    def __call__(self, numbers: Int64Array) -> Batch:
        """The batch of the samples with ``numbers`` (B,).

        Raises:
            DataError: A slot could not be filled in 16 attempts.
        """
        sources, indices = self.sampler.draw(numbers)
        skipped: list[Skipped] = []
        slots = zip(numbers.tolist(), sources.tolist(), indices.tolist(), strict=True)
        made = [self._fill(number, self.sources[source], index, skipped) for number, source, index in slots]
        tokens = self.tokenizer.encode([one.text for one in made], self.context)
        pixels_BVCSS = torch.from_numpy(np.stack([one.views for one in made]))
        return Batch(
            pixels=pixels_BVCSS.transpose(0, 1).contiguous(),
            tokens=tokens.ids,
            mask=tokens.mask,
            labels=torch.tensor([one.label for one in made]),
            groups=torch.tensor([one.group for one in made]),
            numbers=torch.from_numpy(numbers.copy()),
            keys=tuple(one.key for one in made),
            skipped=tuple(skipped),
            truncated=tokens.truncated,
            **_answers([one.answers for one in made]),
        )

    def _fill(self, number: int, source: TrainingSource, index: int, skipped: list[Skipped]) -> Made:
        """The sample at ``index``, or the first usable one drawn in its place from the same source."""
        for attempt in range(1, ATTEMPTS + 1):
            key = f"#{index}"
            try:
                sample = source.dataset[index]
                key = sample.key or key
                return self._make(number, source, sample, key)
            except (DataError, OSError) as error:
                skipped.append(Skipped(number, source.name, key, str(error) or type(error).__name__))
            index = redraw(self.seed, number, attempt, len(source.dataset))
        raise _hopeless(skipped[-1])

    def _make(self, number: int, source: TrainingSource, sample: Sample, key: str) -> Made:
        text = self._text(number, source, sample)
        label = source.label(sample)
        views = self._pictures(number, sample) if self.vector_width is None else self._vectors(sample)
        return Made(views, text, label, identity(source.name, key), key, source.answers(sample))

    def _vectors(self, sample: Sample) -> NDArray[np.float32]:
        assert self.vector_width is not None
        return np.tile(as_vector(sample.image, self.vector_width), (self.views, 1))

    def _pictures(self, number: int, sample: Sample) -> NDArray[np.uint8]:
        picture = Picture(as_picture(sample.image), max_pixels=self.max_pixels)
        other = picture if sample.second is None else Picture(sample.second, max_pixels=self.max_pixels)
        views = np.empty((self.views, 3, self.size, self.size), dtype=np.uint8)
        for view in range(self.views):
            shown = other if view == 1 else picture
            drawn = self.transform(shown, self.size, rng(self.seed, number, Purpose.VIEW, view))
            views[view] = drawn.transpose(2, 0, 1)
        return views

    def _text(self, number: int, source: TrainingSource, sample: Sample) -> str:
        captions = source.captions(sample)
        if sample.texts:
            return captions[pick(len(captions), self.seed, number, Purpose.TEXT)]
        template = source.prompts[pick(len(source.prompts), self.seed, number, Purpose.TEXT)]
        return template.replace("{}", captions[0])


def _answers(rows: Sequence[tuple[tuple[int, float], ...]]) -> dict[str, torch.Tensor]:
    """The answers of samples and their scores, padded to the most; empty where there are none."""
    most = max(map(len, rows))
    if most == 0:
        return {}
    padded = [[*row, *[(UNLABELLED, 0.0)] * (most - len(row))] for row in rows]
    return {
        "answers": torch.tensor([[answer for answer, _ in row] for row in padded]),
        "scores": torch.tensor([[score for _, score in row] for row in padded], dtype=torch.float32),
    }


def identity(source: str, key: str) -> int:
    """63 bits that say which image it is: equal for equal (source, key), in every process and run."""
    digest = blake2b(f"{source}\0{key}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _hopeless(last: Skipped) -> DataError:
    return DataError(
        f"{ATTEMPTS} samples drawn in a row from the source {last.source} cannot be used; the last one, "
        f"{last.key}: {last.reason}. Check the path and the column names of this source."
    )
