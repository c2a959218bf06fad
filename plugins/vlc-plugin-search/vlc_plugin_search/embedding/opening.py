"""From what a user names to embeddings that can be made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from vlc_core.inference import DualEncoder
from vlc_core.loading.sources import TrainingSource
from vlc_core.loading.vectors import check_width
from vlc_core.model.digest import model_digest
from vlc_core.naming import Split, find_sources
from vlc_core.plugins import plugins
from vlc_plugin_search.embedding.description import Description, origin
from vlc_plugin_search.embedding.making import Making
from vlc_plugin_search.embedding.precision import Precision
from vlc_plugin_search.embedding.reading import Reader
from vlc_plugin_search.sides import Part, Side

MOST_WORKERS = 8


def open_making(
    source: str,
    run: Path,
    out: Path,
    *,
    part: Part,
    precision: Precision,
    batch_size: int,
    part_size: int,
    workers: int | None = None,
    sets: Sequence[str] = (),
    split: Split = "train",
) -> Making:
    """The embeddings of ``source`` by the model of ``run``, none of which is made yet.

    Args:
        source: As :func:`vlc_core.naming.find_sources` understands it.
        run: A run folder or a model folder.
        out: Where they go.
        part: What of each sample is embedded.
        precision: How the numbers are kept.
        batch_size: Samples that are encoded at once.
        part_size: Samples of a part; rounded up to whole batches.
        workers: Processes that read ahead; None for half the cores, at most eight.
        sets: ``KEY=VALUE`` options of the dataset, or changes to the recipe.
        split: Which data of a recipe.

    Raises:
        RecipeError: ``source`` or its options are wrong, or the model does not take its images.
        DataError: The data is missing or empty.
        StorageError: There is no model at ``run``.
    """
    digest = model_digest(run)
    registry = plugins().registry
    specs = find_sources(source, registry, sets=sets, split=split)
    sources = [spec.opened(registry) for spec in specs]
    model = DualEncoder.load(run, device="cuda" if torch.cuda.is_available() else "cpu")
    _check(sources, part, model)
    description = Description(
        digest=digest,
        model=str(run.absolute()),
        width=model.towers.text.embed_dim,
        part=part,
        precision=precision,
        batch_size=batch_size,
        part_size=-(-part_size // batch_size) * batch_size,
        sources=tuple(origin(spec, len(opened.dataset), registry) for spec, opened in zip(specs, sources, strict=True)),
    )
    reader = Reader(
        sources,
        part.sides,
        tokenizer=model.tokenizer,
        context=model.context,
        size=model.size,
        vector_width=model.vector_width,
    )
    return Making(out, description, model, reader, workers=_workers(workers))


def _workers(wanted: int | None) -> int:
    return max(1, min(MOST_WORKERS, (os.cpu_count() or 2) // 2)) if wanted is None else wanted


def _check(sources: Sequence[TrainingSource], part: Part, model: DualEncoder) -> None:
    for source in sources:
        if Side.IMAGE in part.sides:
            check_width(source.dataset, model.vector_width, data=source.name, encoder="the image encoder")
