"""The inspection of one source: its samples looked at, one by one, and the report on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from vlc_core import DataError, Dataset
from vlc_core.naming import SourceSpec
from vlc_core.progress import track
from vlc_core.registry import Registry
from vlc_core.terminal import waiting
from vlc_plugin_data.inspecting.facts import look
from vlc_plugin_data.inspecting.report import Report
from vlc_plugin_data.inspecting.shards import count_shards
from vlc_plugin_data.inspecting.sheet import Thumbnail, contact_sheet
from vlc_plugin_data.inspecting.tally import report_on
from vlc_plugin_data.inspecting.tokens import token_counter
from vlc_plugin_data.inspecting.walk import choose, walk
from vlc_plugin_data.webdataset import WebDataset

CAPTIONS_READ = 500_000
"""A tokenizer that is not trained yet is trained on this many captions at most, as in training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """How sources are inspected.

    Attributes:
        limit: Only the first so many samples.
        sample: Only so many, drawn by ``seed``.
        seed: Of what is drawn.
        decoded: Whether every pixel is decoded.
        workers: Processes that read; 0 reads in this one.
        tokenizer: Counts tokens; none where it is None.
        thumbnails: Samples on the contact sheet.
    """

    limit: int | None = None
    sample: int | None = None
    seed: int = 0
    decoded: bool = False
    workers: int = 0
    tokenizer: str | None = None
    thumbnails: int = 0

    def of(self, spec: SourceSpec, registry: Registry) -> tuple[Report, tuple[Thumbnail, ...]]:
        """The report on a source and its contact sheet, with a progress bar on stderr.

        Raises:
            VlcError: The source, the tokenizer or the options are wrong.
        """
        with waiting(f"opening {spec.name} …"):
            dataset = spec.open(registry)
        indices = choose(len(dataset), limit=self.limit, sample=self.sample, seed=self.seed)
        counter = None
        if self.tokenizer is not None:
            counter = token_counter(self.tokenizer, registry, lambda: islice(_captions(dataset), CAPTIONS_READ))
        facts = walk(dataset, indices, partial(look, decoded=self.decoded, count_tokens=counter), workers=self.workers)
        report = report_on(
            track(facts, f"inspecting {spec.name}", len(indices)),
            name=spec.name,
            spec=spec.block,
            note=spec.note,
            shards=count_shards(dataset.facts) if isinstance(dataset, WebDataset) else None,
            samples=len(dataset),
            decoded=self.decoded,
            classes=dataset.classes,
        )
        sheet = contact_sheet(dataset, indices, self.thumbnails, seed=self.seed)
        return report, tuple(track(sheet, "contact sheet", min(self.thumbnails, len(indices))))


def _captions(dataset: Dataset) -> Iterator[str]:
    for index in range(len(dataset)):
        try:
            yield from dataset.texts(index)
        except DataError:
            continue  # it is in the list of broken samples
