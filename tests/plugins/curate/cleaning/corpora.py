"""Small corpora, the rules once more as plain loops over them, and the call of the filter."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from vlc_core.naming import find_sources
from vlc_core.plugins import plugins
from vlc_plugin_curate.cleaning.clean import Job, clean
from vlc_plugin_curate.cleaning.engines.duck import Limits
from vlc_plugin_curate.cleaning.options import Filter
from vlc_plugin_curate.cleaning.report import Report

Pair = tuple[str, str, int, int]


OFF = Filter(
    min_side=None,
    max_aspect=None,
    max_texts=None,
    max_images=None,
    min_words=None,
    max_words=None,
    vocabulary=None,
)


def job(folder: Path, chosen: Filter, **more: Any) -> Job:
    return Job(chosen=chosen, limits=Limits(500_000_000, 1, folder / "temporary"), **more)


def run_clean(sources: Sequence[str | Path], out: Path, chosen: Filter = OFF, **more: Any) -> Report:
    registry = plugins().registry
    specs = [spec for one in sources for spec in find_sources(str(one), registry)]
    more["evaluation"] = [spec for one in more.get("evaluation", ()) for spec in find_sources(str(one), registry)]
    return clean(specs, out, job(out, chosen, **more), registry)


def kept(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out / "list.parquet").to_pylist()  # type: ignore[no-any-return]


def dropped(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out / "dropped.parquet").to_pylist()  # type: ignore[no-any-return]


def corpus(count: int, seed: int) -> list[tuple[str, str, int, int]]:
    """Pairs with everything that a rule looks for, some of it at once."""
    rng = random.Random(seed)
    words = [f"w{n}" for n in range(30)]
    texts = [" ".join(rng.choice(words) for _ in range(rng.randint(1, 9))) for _ in range(count // 3)]
    texts += [" ".join(words[int(30 * rng.random() ** 3)] for _ in range(rng.randint(1, 9))) for _ in range(count // 3)]
    pairs = []
    for _ in range(count):
        number = int(count * rng.random() ** 2)
        pairs.append((f"http://x/{number}.jpg", rng.choice(texts), 100 + number % 60, 100 + number * 7 % 200))
    return pairs


def reasons(pairs: Sequence[Pair], chosen: Filter) -> list[set[str]]:
    """The rules that drop each pair (key, text, width, height); texts are words with single spaces between them."""
    texts_of, images_of = defaultdict(set), defaultdict(set)
    grams: Counter[tuple[str, ...]] = Counter()
    for key, text, _, _ in pairs:
        texts_of[key].add(text)
        images_of[text].add(key)
        grams.update(grams_of(text, chosen))
    least = threshold(grams, chosen)
    found = []
    for key, text, width, height in pairs:
        words = len(text.split())
        rules = {
            "small": chosen.min_side is not None and min(width, height) < chosen.min_side,
            "elongated": chosen.max_aspect is not None and max(width, height) > chosen.max_aspect * min(width, height),
            "crowded": chosen.max_texts is not None and len(texts_of[key]) > chosen.max_texts,
            "shared": chosen.max_images is not None and len(images_of[text]) > chosen.max_images,
            "short": chosen.min_words is not None and words < chosen.min_words,
            "long": chosen.max_words is not None and words > chosen.max_words,
            "rare": any(grams[gram] < least for gram in grams_of(text, chosen)),
        }
        found.append({name for name, drops in rules.items() if drops})
    return found


def grams_of(text: str, chosen: Filter) -> list[tuple[str, ...]]:
    words = text.lower().split()
    return [(word,) for word in words] + (list(pairwise(words)) if chosen.bigrams else [])


def threshold(grams: Counter[tuple[str, ...]], chosen: Filter) -> int:
    if chosen.vocabulary is None or len(grams) < chosen.vocabulary:
        return chosen.min_count
    return max(chosen.min_count, sorted(grams.values(), reverse=True)[chosen.vocabulary - 1])
