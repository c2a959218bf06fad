"""``vlc tokenizer train`` as people call it."""

from __future__ import annotations

import json

import pytest

from vlc_cli.main import run
from vlc_core.plugins import plugins
from vlc_core.tokenizer import Tokenizer

KINDS = ["bpe", "byte-level", "unigram", "word"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    colours, things = ("red", "green", "pale blue"), ("dog", "cat", "house", "Fuß")
    (tmp_path / "texts.txt").write_text("\n".join(f"A {c} {t}, drawn." for c in colours for t in things))
    return tmp_path


def train(*arguments):
    return run(["tokenizer", "train", "texts.txt", *arguments])


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_trained_and_told(folder, capsys, kind):
    assert train("--kind", kind, "--size", "300", "-o", "t") == 0
    told = capsys.readouterr().out
    assert f"{kind} in t" in told
    assert "12 texts of 12 samples" in told
    assert told.rstrip().endswith("model:\n  tokenizer: {use: file, path: t}")
    made = Tokenizer.load(folder / "t")
    assert f"pieces       {made.vocabulary.size}" in told
    assert made.decode(made.encode(["A RED fuß"], 40).ids[0].tolist()) == "a red fuß"


def test_json_tells_the_same(folder, capsys):
    assert train("--kind", "word", "--json", "-o", "t.json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["texts"] == told["samples"] == 12
    assert told["vocabulary"] == {"size": 17, "pad": 0, "start": 1, "end": 2, "mask": 3, "unknown": 4}
    assert told["unknown"] == 0
    # "a", colour, thing, comma, "drawn", full stop, start and end; a pale blue thing has a word more
    assert told["mean_tokens"] == pytest.approx(8 + 1 / 3)
    assert told["recipe"] == {"model": {"tokenizer": {"use": "file", "path": "t.json"}}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_alone_is_read_back_as_the_folder_is(folder, kind):
    assert train("--kind", kind, "-o", "t") == train("--kind", kind, "-o", "deep/t.json") == 0
    reader = plugins().registry.find("tokenizer", "file").load()
    one, other = (reader(path=path).make(list) for path in ("t", "deep/t.json"))
    assert one.vocabulary == other.vocabulary
    assert one.to_json() == other.to_json()


def test_options_reach_the_tokenizer(folder, capsys):
    assert train("--kind", "word", "--size", "8", "--keep-case", "-o", "a") == 0
    told = capsys.readouterr().out
    assert "pieces       8\n" in told
    # Of 76 words (A, colour, thing, comma, drawn, full stop; pale blue is two) three kinds are known, 36 words.
    assert f"unknown      {100 * 40 / 76:.3g} % of the tokens, in 100 % of the texts" in told
    made = Tokenizer.load(folder / "a")
    assert "A" in [made.token(i) for i in range(8)]
    assert train("--kind", "word", "--min-count", "5", "-o", "b") == 0
    assert Tokenizer.load(folder / "b").vocabulary.size == 5 + 4  # "a", comma, "drawn", full stop


def test_a_tokenizer_that_is_there_is_kept_unless_told_otherwise(folder, capsys):
    for place, written in (("t", "t/special_ids.json"), ("t.json", "t.json")):
        assert train("--kind", "word", "-o", place) == 0
        before = (folder / written).read_bytes()
        assert train("--kind", "word", "--size", "9", "-o", place) == 5
        assert "--overwrite" in capsys.readouterr().err
        assert (folder / written).read_bytes() == before
        assert train("--kind", "word", "--size", "9", "-o", place, "--overwrite") == 0
        assert (folder / written).read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--size", "10"], 2, "size: must be at least 261, not 10"),
        (["--kind", "unigram", "--size", "16"], 2, "different characters"),
        (["--kind", "bpe", "--size", "16"], 2, "larger size, or use byte-level"),
        (["--kind", "file"], 2, "learns nothing; choose bpe, byte-level, unigram"),
        (["--kind", "bbpe"], 2, "did you mean 'bpe'"),
        (["--kind", "unigram", "--min-count", "2"], 2, "min_count: unknown option"),
        (["-o", "texts.txt"], 5, "texts.txt is a file"),
        (["-o", "folder.json"], 5, "folder.json is a folder"),
        (["--kind", "whole-text", "-o", "t.json"], 5, "name a folder"),
        (["--size", "many"], 2, "--size"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(folder, capsys, arguments, code, said):
    (folder / "folder.json").mkdir()
    before = sorted(folder.rglob("*"))
    assert train(*arguments) == code
    assert said in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("content", ["", "\n  \n\n"])
def test_texts_that_are_none_are_said(folder, capsys, content):
    (folder / "texts.txt").write_text(content)
    assert train() == 3
    assert "texts.txt has no text" in capsys.readouterr().err


def test_texts_that_cannot_be_read_are_said(folder, capsys):
    (folder / "texts.txt").write_bytes(b"a dog\ncaf\xe9\n")
    assert train() == 3
    assert "texts.txt, line 2 is not UTF-8" in capsys.readouterr().err
