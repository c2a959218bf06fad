"""Small copies of real images and rows about them, for the data of every grid.

A row says where the copy of an image is, and its label, its texts or both.
"""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

SIDE = 40
"""The shorter side of the copies; crops of them become 32 pixels."""

Row = dict[str, Any]


def write_tables(tables: Mapping[str, Iterable[Row]], out: Path) -> None:
    """Writes each table as ``out/NAME.jsonl`` and says how many rows it has."""
    for name, rows in tables.items():
        lines = [json.dumps(row) + "\n" for row in rows]
        (out / f"{name}.jsonl").write_text("".join(lines))
        print(f"{name}: {len(lines)} rows")


def copied_folders(folder: Path, out: Path, prefix: str) -> list[Row]:
    """A row with a label for each image of a folder of class folders."""
    rows = []
    for number, path in enumerate(sorted(p for p in folder.glob("*/*") if p.suffix in {".png", ".jpg"})):
        with Image.open(path) as picture:
            name = save(picture, out, f"{prefix}-{number:05d}")
        rows.append({"image": name, "label": path.parent.name.replace("_", " ").lower()})
    return rows


def copied_photographs(shards: Iterable[Path], out: Path) -> Iterator[Row]:
    """A row with five captions for each photograph of webdataset tars."""
    for shard in shards:
        with tarfile.open(shard) as tar:
            members = {member.name: member for member in tar if member.isfile()}
            for key in sorted(name.removesuffix(".jpg") for name in members if name.endswith(".jpg")):
                picture, said = (tar.extractfile(members[key + end]) for end in (".jpg", ".json"))
                assert picture is not None
                assert said is not None
                with Image.open(io.BytesIO(picture.read())) as opened:
                    name = save(opened, out, f"photograph-{shard.stem}-{Path(key).name}")
                yield {"image": name, "text": json.loads(said.read())["captions"]}


def save(picture: Image.Image, out: Path, name: str) -> str:
    """A copy on white whose shorter side is ``SIDE``; gives its path in ``out``."""
    if picture.mode in {"P", "LA", "RGBA"}:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    scale = SIDE / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    path = f"images/{name}.png"
    picture.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(out / path)
    return path


def with_wrong_texts(rows: list[Row], share: float) -> list[Row]:
    """The same images, where ``share`` of them have each other's texts."""
    draw = random.Random(1)
    chosen = draw.sample(range(len(rows)), round(share * len(rows)))
    texts = [row["text"] for row in rows]
    for here, there in zip(chosen, chosen[1:] + chosen[:1], strict=True):
        texts[here] = rows[there]["text"]
    return [{"image": row["image"], "text": text} for row, text in zip(rows, texts, strict=True)]
