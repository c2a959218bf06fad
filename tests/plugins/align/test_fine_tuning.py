"""Zero-shot and fine-tuned retrieval end to end: the presets on tiny files as of Flickr30K, COCO and Multi30K."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from PIL import Image

from vlc_core import options
from vlc_core.engine.evaluate import evaluate_run
from vlc_core.engine.train import train
from vlc_core.errors import RecipeError
from vlc_core.options.use import Use
from vlc_core.plugins import plugins
from vlc_core.recipe import load_recipe

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (240, 240, 240)}
TINY = """\
extends: PRESET
seed: 1
output: OUTPUT
model:
  image:
    size: 32
    config: {width_coefficient: 0.1, depth_coefficient: 0.1}
  text:
    context: 24
    config: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}
  tokenizer: {size: 300}
  embed_dim: 32
data: {workers: 0}
train: {steps: 3, batch_size: 8}
evaluate: {every: 100}
checkpoint: {every: 100}
"""


def picture(path: Path, colour: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 36), COLOURS[colour]).save(path)


def karpathy(folder: Path, images: str, name: str, *, filepath: str | None = None) -> None:
    """Eight images to train on and four to test, in the form of Karpathy's files."""
    rows = []
    for number in range(12):
        colour = list(COLOURS)[number % 4]
        file = f"{number}.jpg"
        picture(folder / images / file, colour)
        sentences = [{"raw": f"a {colour} square, number {number}"}, {"raw": f"{colour} all over"}]
        split = "train" if number < 6 else "restval" if number < 8 else "test"
        row: dict[str, object] = {"filename": file, "split": split, "sentences": sentences}
        rows.append(row | ({} if filepath is None else {"filepath": filepath}))
    if filepath is None:
        rows = [row | {"split": "train"} if row["split"] == "restval" else row for row in rows]
    (folder / name).write_text(json.dumps({"images": rows, "dataset": name}))


def multi30k(folder: Path, images: Path) -> None:
    words = {"en": "a {} square", "de": "ein Quadrat in {}", "fr": "un carré {}", "cs": "čtverec {}"}
    for split in ("train", "test_2016_flickr"):
        (folder / "data/task1/raw").mkdir(parents=True, exist_ok=True)
        (folder / "data/task1/image_splits").mkdir(parents=True, exist_ok=True)
        names = [f"{split}-{number}.jpg" for number in range(8)]
        for number, name in enumerate(names):
            picture(images / name, list(COLOURS)[number % 4])
        (folder / f"data/task1/image_splits/{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for language, template in words.items():
            lines = "".join(template.format(list(COLOURS)[number % 4]) + f" {number}\n" for number in range(8))
            (folder / f"data/task1/raw/{split}.{language}.gz").write_bytes(gzip.compress(lines.encode()))


def run(folder: Path, preset: str, name: str, *extra: str) -> Path:
    recipe = folder / f"{name}.yaml"
    recipe.write_text(TINY.replace("PRESET", preset).replace("OUTPUT", str(folder / name)))
    loaded = load_recipe(recipe, sets=extra, registry=plugins().registry)
    assert train(loaded, plugins()).exit_code == 0
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fine-tuning")


@pytest.fixture(scope="module")
def zero_shot(folder: Path) -> Path:
    """A run on captions in several languages that has seen none of the sets."""
    return run(
        folder,
        "align/multilingual",
        "zero-shot",
        "data.train=[{use: shapes-by-language, size: 32, length: 40}]",
        "evaluate.with=[{use: multilingual-retrieval, data: {use: shapes-by-language, size: 32, length: 6, seed: 1}}]",
    )


def test_flickr30k_zero_shot_and_fine_tuned(folder: Path, zero_shot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    karpathy(folder / "f30k", "flickr30k-images", "dataset_flickr30k.json")
    monkeypatch.setenv("FLICKR30K", str(folder / "f30k"))
    tuned = run(folder, "align/retrieval", "tuned", f"model.from={zero_shot}")
    found = evaluate_run(tuned, plugins(), against=[zero_shot])["retrieval"]
    assert (found.metrics["images"], found.metrics["texts"]) == (4, 8)
    assert found.tables["runs"].columns == ("metric", "value", "value (zero-shot)")
    rows = {row[0]: row[1:] for row in found.tables["runs"].rows}
    assert {f"{way}_recall@{k}" for way in ("i2t", "t2i") for k in (1, 5, 10)} < rows.keys()
    assert rows["i2t_recall@10"] == (1.0, 1.0)
    written = json.loads((tuned / "evaluations" / "retrieval.json").read_text())
    assert written["tables"]["runs"]["columns"][-1] == "value (zero-shot)"


def test_cocos_file_with_its_folders_and_restval(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published recipe reads both training splits; its model is too large to train here."""
    karpathy(folder / "coco", "val2014", "dataset_coco.json", filepath="val2014")
    monkeypatch.setenv("COCO", str(folder / "coco"))
    recipe = load_recipe("align/retrieval-coco", registry=plugins().registry).recipe
    made = options.build(plugins().registry, "dataset", Use(use="karpathy", **recipe.data.train[0].options))
    assert len(made) == 8
    assert made[0].texts == ("a red square, number 0", "red all over")
    (measured,) = recipe.evaluate.with_
    test = options.build(plugins().registry, "dataset", Use.model_validate(measured.options["data"]))
    assert [test.key(index) for index in range(len(test))] == [f"val2014/{number}.jpg" for number in range(8, 12)]


def test_multi30k_zero_shot_and_fine_tuned(folder: Path, zero_shot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    multi30k(folder / "m30k", folder / "f30k" / "flickr30k-images")
    monkeypatch.setenv("MULTI30K", str(folder / "m30k"))
    monkeypatch.setenv("FLICKR30K", str(folder / "f30k"))
    tuned = run(folder, "align/multilingual-retrieval", "tuned-in-four", f"model.from={zero_shot}")
    found = evaluate_run(tuned, plugins(), against=[zero_shot])["multilingual-retrieval"]
    assert [row[0] for row in found.tables["runs"].rows] == ["en", "de", "fr", "cs", "mean"]
    assert found.tables["runs"].columns[-1] == "mean recall (zero-shot)"
    assert {row[1] for row in found.tables["languages"].rows[:4]} == {8}


def test_what_cannot_stand_beside_another_run_is_refused(zero_shot: Path) -> None:
    knn = "evaluate.with=[{use: knn, data: {use: digits}}]"
    with pytest.raises(RecipeError, match=r"--against: knn cannot show another run beside this one; retrieval"):
        evaluate_run(zero_shot, plugins(), sets=[knn], against=[zero_shot])
