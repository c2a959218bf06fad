"""How long 1,000 indexed shards take from the start of a fresh process to the first batch.

Shards of small JPEGs are made in a temporary folder, indexed, and then opened by new processes: one that finds the
indexes beside the shards only, and others that find the combined file. The time starts where the process does, imports
included; what imports alone take is said beside it. Random reads are timed too.

    python benchmarks/shards.py
    python benchmarks/shards.py --shards 100 --samples 50
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median

FIRST_BATCH = """
import json, sys, time
path, began = sys.argv[1], float(sys.argv[2])
import numpy as np
import tokenizers
from vlc_core import Source, Tokenizer, Vocabulary
from vlc_core.loading.loader import Loader
from vlc_core.loading.make import BatchMaker
from vlc_core.loading.sources import TrainingSource
from vlc_plugin_data.samplers.shuffle import Shuffle
from vlc_plugin_data.transforms.clip import RandomCrop
from vlc_plugin_data.webdataset import WebDataset
imported = time.time()
data = WebDataset(path=path)
opened = time.time()
backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "<unk>": 1}, unk_token="<unk>"))
backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
words = Tokenizer(backend, Vocabulary(size=2, pad=0, unknown=1))
maker = BatchMaker(
    sources=(TrainingSource("shards", data),), sampler=Shuffle([Source("shards", data)], 0), transform=RandomCrop(),
    tokenizer=words, context=32, size=64,
)
batch = next(iter(Loader(make=maker, batch_size=64, steps=1)))
done = time.time()
numbers = np.random.default_rng(0).integers(0, len(data), 2000)
for number in numbers:
    data[int(number)]
read = (time.time() - done) / len(numbers)
print(json.dumps({"imports": imported - began, "open": opened - imported, "batch": done - opened, "read": read}))
"""


def main() -> None:
    """Makes the shards, indexes them, and prints the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=100, help="in each shard")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), given.shards, given.samples)
        path = f"{folder}/{{00000..{given.shards - 1:05d}}}.tar"
        environment = os.environ | {"VLC_CACHE": f"{folder}/cache", "OMP_NUM_THREADS": "1"}
        print(f"{given.shards} shards of {given.samples} samples; indexing: {_index(path, environment):.2f} s")
        _tell("indexes beside the shards", [_first_batch(path, environment)])
        _tell("combined file", [_first_batch(path, environment) for _ in range(given.repeats)])


def _write(folder: Path, shards: int, samples: int) -> None:
    """Equal shards but for their names: what is measured is how many there are."""
    from PIL import Image

    picture = io.BytesIO()
    Image.effect_noise((96, 96), 60).convert("RGB").save(picture, "JPEG")
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as tar:
        for i in range(samples):
            for name, content in (
                (f"{i:06d}.jpg", picture.getvalue()),
                (f"{i:06d}.txt", b"a caption of seven words or so"),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    for i in range(shards):
        (folder / f"{i:05d}.tar").write_bytes(shard.getvalue())


def _index(path: str, environment: dict[str, str]) -> float:
    program = "import sys; from vlc_plugin_data.tars import index_shards; index_shards(sys.argv[1])"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, path], env=environment, check=True)
    return time.perf_counter() - began


def _first_batch(path: str, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-c", FIRST_BATCH, path, str(time.time())]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _tell(name: str, runs: list[dict[str, float]]) -> None:
    told = {key: median(run[key] for run in runs) for key in runs[0]}
    after = told["open"] + told["batch"]
    print(
        f"{name}: opening {told['open']:.2f} s, first batch of 64 {told['batch']:.2f} s, together {after:.2f} s; "
        f"imports before that {told['imports']:.2f} s; a random sample {told['read'] * 1e6:.0f} µs"
    )


if __name__ == "__main__":
    main()
