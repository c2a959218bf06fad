"""Bad input ends in one sentence, the right exit code and no run folder.

``vlc train`` is called in this process: what is refused is refused before DeepSpeed is started.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from vlc_cli.main import run


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Trains by a recipe, expects a refusal, and returns what was told on stderr."""
    monkeypatch.chdir(tmp_path)

    def train(recipe: str | bytes | None, *argv: str, code: int = 2, problems: int = 1) -> str:
        if recipe is not None:
            Path("bad.yaml").write_bytes(recipe if isinstance(recipe, bytes) else recipe.encode())
        before = set(tmp_path.rglob("*"))
        ended = run(["train", "bad.yaml", *argv])
        told = capsys.readouterr()
        assert ended == code, told.err
        assert told.out == ""
        assert "Traceback" not in told.err
        lines = told.err.splitlines()
        assert len(lines) == problems, told.err
        assert all(line.startswith("error: ") for line in lines)
        assert set(tmp_path.rglob("*")) == before, "something was left behind"
        return told.err

    return train


BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("", ["bad.yaml", "empty"]),
        ("# only a comment\n", ["bad.yaml", "empty"]),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", ["bad.yaml"]),
        ("- a\n- b\n", ["bad.yaml", "mapping"]),
        ("model:\n\timage: vit\n", ["bad.yaml:2", "tab"]),
        ("seed: 1\nname: x\nseed: 2\n", ["bad.yaml:3", "'seed'", "twice", "bad.yaml:1"]),
        ("seed: !!python/object/apply:os.system [true]\n", ["bad.yaml:1", "tag"]),
        (BOMB, ["bad.yaml", "alias"]),
        ("a: " + "[" * 3000 + "]" * 3000, ["bad.yaml", "deep"]),
        ("a: [1, 2\nb: 3\n", ["bad.yaml:2"]),
    ],
    ids=["empty", "comment", "binary", "list", "tab", "duplicate", "tag", "bomb", "deep", "unclosed"],
)
def test_a_file_that_is_no_recipe(refused, recipe, words):
    told = refused(recipe).lower()
    assert all(word.lower() in told for word in words), told


def test_no_such_recipe(refused, tmp_path):
    assert "bad.yaml" in refused(None)
    (tmp_path / "bad2.yaml").write_text("seed: 1\n")
    assert "bad2.yaml" in refused(None)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  steps: 6", "  stepz: 6", ["bad.yaml:12", "train.stepz", "'steps'"]),
        ("seed: 3", "seed: three", ["bad.yaml:2", "seed", "three"]),
        ("batch_size: 16", "batch_size: 16.5", ["bad.yaml:13", "train.batch_size", "16.5"]),
        ("batch_size: 16", "batch_size: yes please", ["train.batch_size"]),
        ("{use: vit,", "{use: vitt,", ["bad.yaml:4", "model.image.use", "'vit'"]),
        ("depth: 1, heads: 2}\n  text", "dept: 1, heads: 2}\n  text", ["model.image.dept", "'depth'"]),
        ("use: clip}", "use: clip, weight: -1}", ["weight", "bad.yaml:8"]),
        ("use: digits, split: train", "use: digits, split: trian", ["split", "'train'"]),
        ("prompts: digits}]", "prompts: digitz}]", ["prompts", "'digits'"]),
        ("use: cosine", "use: cosin", ["schedule", "'cosine'"]),
        ("batch_size: 16", "batch_size: 16\n  micro_batch_size: 5", ["16", "5"]),
        ("seed: 3", "seed: 3\ndeepspeed: {train_batch_size: 8}", ["train_batch_size", "train.batch_size"]),
        ("seed: 3", "seed: 3\nextends: nowhere/at-all", ["nowhere/at-all"]),
        ("seed: 3", "seed: ${NO_SUCH_VARIABLE}", ["NO_SUCH_VARIABLE", "bad.yaml:2"]),
        ("  steps: 6\n", "", ["steps", "epochs"]),
    ],
)
def test_a_recipe_with_a_fault_names_file_line_key_and_cure(refused, tiny, old, new, words):
    assert old in tiny
    told = refused(tiny.replace(old, new, 1).replace("output: run\n", ""))
    assert all(word in told for word in words), told


def test_all_faults_are_told_at_once(refused, tiny):
    text = tiny.replace("seed: 3", "seed: x").replace("steps: 6", "steps: -1").replace("use: vit", "use: vitt")
    told = refused(text, problems=3)
    assert [f"bad.yaml:{line}" in told for line in (2, 4, 12)] == [True] * 3


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("train.stepz=3", ["train.stepz", "steps"]),
        ("train.steps", ["train.steps", "="]),
        ("train.steps=[1", ["train.steps"]),
        ("objectives.clipp.weight=2", ["clip"]),
    ],
)
def test_a_wrong_set_is_told_like_a_wrong_recipe(refused, tiny, argument, words):
    told = refused(tiny, "--set", argument)
    assert all(word in told for word in words), told


def test_a_batch_that_the_ranks_do_not_divide(refused, tiny):
    assert "3 ranks" in refused(tiny, "--devices", "3")
    told = refused(tiny, "--devices", "2", "--set", "train.micro_batch_size=16")
    assert "16" in told
    assert "micro_batch_size" in told


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (9, 9), "red").save(file, "png")
    return file.getvalue()


def data(source: str) -> list[str]:
    return ["--set", f"data.train=[{source}]", "--set", "evaluate.with=[]"]


def test_data_that_is_not_there(refused, tiny):
    assert "nowhere" in refused(tiny, *data("{use: folder, path: ./nowhere}"), code=3)
    assert "nowhere.csv" in refused(tiny, *data("{use: manifest, path: nowhere.csv}"), code=3)


def test_an_empty_folder(refused, tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(tiny, *data("{use: folder, path: ./empty}"), code=3)


def test_a_class_without_an_image(refused, tiny, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
    (tmp_path / "pets" / "cat" / "1.png").write_bytes(picture())
    assert "dog" in refused(tiny, *data("{use: folder, path: ./pets}"), code=3)


def test_a_manifest_without_the_columns_that_are_named(refused, tiny, tmp_path):
    (tmp_path / "table.csv").write_text("file,caption\n1.png,a cat\n")
    told = refused(tiny, *data("{use: manifest, path: table.csv, image: file, text: captoin}"), code=3)
    assert "captoin" in told
    assert "caption" in told.replace("captoin", "")


def test_an_output_that_cannot_be_written(refused, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in refused(tiny, "--set", "output=file", code=5)


def test_check_finds_what_train_would(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(tiny)
    assert run(["check", "tiny.yaml", *data("{use: folder, path: ./nowhere}")]) == 3
    assert "nowhere" in capsys.readouterr().err
    assert run(["check", "tiny.yaml", "--set", "train.stepz=1"]) == 2
    assert "steps" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]
