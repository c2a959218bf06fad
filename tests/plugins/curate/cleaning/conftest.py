"""Small corpora, the rules once more as plain loops over them, and the call of the filter."""

from __future__ import annotations

import io
import random
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokenizers
import torch
from PIL import ImageOps

from vlc_core.assemble import build_towers
from vlc_core.folders import write_folder
from vlc_core.interfaces.encoder import Vocabulary
from vlc_core.model.folder import model_files
from vlc_core.naming import find_sources
from vlc_core.plugins import plugins
from vlc_core.recipe.schema import Model
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_curate.cleaning.clean import clean
from vlc_plugin_curate.cleaning.engines.duck import Limits
from vlc_plugin_curate.cleaning.job import Job
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


def job(folder: Path, chosen: Filter, *, threads: int = 1, **more: Any) -> Job:
    return Job(chosen=chosen, limits=Limits(500_000_000, threads, folder / "temporary"), **more)


def run_clean(
    sources: Sequence[str | Path], out: Path, chosen: Filter = OFF, *, sets: Sequence[str] = (), **more: Any
) -> Report:
    registry = plugins().registry
    specs = [spec for one in sources for spec in find_sources(str(one), registry, sets=sets)]
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


@pytest.fixture(scope="session")
def small() -> SimpleNamespace:
    return SimpleNamespace(OFF=OFF, corpus=corpus, reasons=reasons, run_clean=run_clean, kept=kept, dropped=dropped)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes pairs of (url, caption) or with width and height after them."""

    def make(rows: Sequence[tuple[Any, ...]], name: str = "pairs.parquet") -> Path:
        names = ("url", "caption", "width", "height")[: len(rows[0])]
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return make


PICTURES = 6
STEPS = 40
MIRRORED, HALVED = 3, 1


@pytest.fixture(scope="session")
def shards(drawn: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Six pictures with texts in ``train.tar``; in ``test.tar`` one of them in half the size, and one mirrored."""
    folder = tmp_path_factory.mktemp("shards")
    scenes = [drawn.scene(seed) for seed in range(PICTURES)]
    others = [drawn.changes["half"](scenes[HALVED]), ImageOps.mirror(scenes[MIRRORED]), drawn.scene(90)]
    for name, pictures in {"train": scenes, "test": others}.items():
        with tarfile.open(folder / f"{name}.tar", "w") as tar:
            for number, picture in enumerate(pictures):
                parts = {"png": drawn.encoded(picture), "txt": f"picture number {number}".encode()}
                for ending, content in parts.items():
                    info = tarfile.TarInfo(f"{number}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return SimpleNamespace(train=folder / "train.tar", test=folder / "test.tar", mirrored=MIRRORED, halved=HALVED)


@pytest.fixture(scope="session")
def model(drawn: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, trained to tell pictures apart and to take a mirrored one for itself, as a run leaves it."""
    torch.manual_seed(0)
    settings = Model.model_validate(
        {
            "image": {"use": "vit", "size": 16, "patch": 8, "width": 32, "depth": 1, "heads": 2},
            "text": {"use": "text-transformer", "width": 16, "depth": 1, "heads": 2, "context": 8},
            "embed_dim": 32,
        }
    )
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "<unk>": 1}, unk_token="<unk>"))
    tokenizer = Tokenizer(backend, Vocabulary(size=2, pad=0, unknown=1))
    towers = build_towers(settings, plugins().registry, tokenizer)
    squares = [np.asarray(drawn.scene(200 + n).resize((21, 16)).crop((2, 0, 18, 16))) for n in range(128)]
    pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).contiguous()
    optimizer = torch.optim.Adam(towers.image.parameters(), lr=3e-3)
    for _ in range(STEPS):
        some = pixels[torch.randperm(len(pixels))[:64]]
        one, other = (towers.image(view).embed for view in (some, some.flip(-1)))
        apart = torch.nn.functional.cross_entropy(10 * one @ other.T, torch.arange(len(some)))
        loss = apart + 2 * (1 - (one * other).sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("model")
    (folder / "scratch").mkdir()
    write_folder(folder / "model", model_files(settings, towers.state_dict(), tokenizer, folder / "scratch"))
    return folder
