"""Runs on files: unreadable images, long texts, real photographs."""

from __future__ import annotations

import csv
import json

import pytest
from PIL import Image

COLOURS = ["red", "green", "blue", "white", "black", "gold", "navy", "pink"]
IMAGES = 40
BROKEN = {3: "broken.png", 11: "missing.png"}
MANIFEST = "{use: manifest, path: table.csv, image: file, text: caption}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny):
    """A manifest of 40 pictures of which one is broken and one is missing; one caption is too long."""
    made = tmp_path_factory.mktemp("data")
    (made / "tiny.yaml").write_text(tiny)
    rows = []
    for number in range(IMAGES):
        colour = COLOURS[number % len(COLOURS)]
        name = BROKEN.get(number, f"{number}.png")
        caption = f"a {colour} square" + " of some kind" * (10 if number == 5 else 0)
        Image.new("RGB", (12 + number, 16), colour).save(made / name)
        rows.append((name, caption))
    (made / "broken.png").write_bytes((made / "broken.png").read_bytes()[:40])
    (made / "missing.png").unlink()
    with (made / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "caption"), *rows])
    return made


def arguments(output: str, *sets: str) -> list[str]:
    both = [f"output={output}", f"data.train=[{MANIFEST}]", "evaluate.with=[]", *sets]
    return ["train", "tiny.yaml", *(f"--set={one}" for one in both)]


def test_unreadable_images_are_replaced_counted_and_listed_and_long_texts_said_once(vlc, folder):
    ended = vlc(*arguments("run", "data.workers=2", "data.max_bad=0.2"), cwd=folder)
    assert ended.code == 0, ended.err
    assert "6 steps × 16 = 96 samples, 2.4 epochs of 40 samples" in ended.out
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("warning: ")
    assert "12 tokens" in ended.err
    listed = [json.loads(line) for line in (folder / "run" / "skipped.jsonl").read_text().splitlines()]
    told = [f"{row['key']}: {row['reason']}" for row in listed]
    assert all(any(name in line for name in BROKEN.values()) for line in told), told
    assert all(any(name in line for line in told) for name in BROKEN.values()), told
    written = json.loads((folder / "run" / "exit.json").read_text())
    assert written["skipped"] == len(listed)
    assert written["truncated"] > 0
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["samples"] for row in rows] == [16, 32, 48, 64, 80, 96]


def test_more_unreadable_images_than_are_tolerated_end_the_run(vlc, folder):
    ended = vlc(*arguments("intolerant", "data.max_bad=0"), cwd=folder)
    assert ended.code == 3
    assert ended.err.splitlines()[-1].startswith("error: ")
    assert "data.max_bad" in ended.err
    assert "Traceback" not in ended.err
    assert "finished" not in ended.out


def test_photographs_with_five_captions_each(vlc, tmp_path, tiny, shared_data):
    (tmp_path / "tiny.yaml").write_text(tiny)
    source = f"{{use: manifest, path: {shared_data}/flickr8k/pairs.jsonl, text: captions}}"
    sets = [f"data.train=[{source}]", "model.image.size=16", "evaluate.with=[]", "data.workers=1"]
    sets += ["model.text.context=32", "train.steps=3"]
    ended = vlc("train", "tiny.yaml", *(f"--set={one}" for one in sets), cwd=tmp_path).well()
    assert "epochs of 700 samples" in ended.out
    assert not (tmp_path / "run" / "skipped.jsonl").exists()
