"""``vlc search`` and ``vlc embed`` as commands: what they find, print, write, refuse and end with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vlc_cli.main import application, run
from vlc_core.inference import DualEncoder

PINNED = {
    "embed": [
        *("SOURCE", "--model", "--out", "--part", "--index", "--dtype", "--connectivity", "--expansion"),
        *("--batch-size", "--part-size", "--workers", "--set", "--split", "--json"),
    ],
    "search": [
        *("RUN", "INDEX", "--text", "--image", "--like", "--plus", "--minus", "--plus-weight", "--minus-weight"),
        *("--count", "--among", "--index", "--expansion", "--html", "--check-seen", "--captions", "--json"),
    ],
}


@pytest.fixture(scope="module")
def index(data: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images and texts of all samples, with both kinds of index."""
    out = tmp_path_factory.mktemp("index") / "out"
    common = ["embed", str(data / "pairs.jsonl"), "--model", str(trained), "--out", str(out), "--part", "both"]
    sizes = ["--batch-size", "4", "--part-size", "8", "--workers", "0", "--dtype", "float32"]
    assert run([*common, *sizes]) == 0
    assert run([*common, *sizes, "--index", "ann"]) == 0
    return out


def found(told, *arguments):
    code, out, err = told("search", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def by_hand(index: Path, query: torch.Tensor, side: str = "image") -> list[int]:
    """All rows by their float64 products with the query."""
    scores = np.load(index / f"{side}.npy").astype(np.float64) @ query[0].double().numpy()
    return np.argsort(-scores, kind="stable").tolist()


def samples(answer):
    return [hit["sample"] for hit in answer["hits"]]


SOUND = [number for number in range(23) if number not in (5, 11)]


@pytest.mark.parametrize("name", PINNED)
def test_the_options_are_those_pinned_here(name):
    command = application([name]).commands[name]
    assert [p.opts[0] if p.param_type_name == "option" else p.metavar for p in command.params] == PINNED[name]
    assert all(parameter.help for parameter in command.params)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from vlc_cli.main import run; run(['search', '--help']);"
        "sys.exit(bool({'torch', 'pyarrow', 'usearch', 'jinja2'} & set(sys.modules)))"
    )
    own = os.environ | {"VLC_PLUGINS": "data,search"}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=200, env=own)


@pytest.mark.parametrize("how", ["exact", "ann"])
def test_texts_find_the_nearest_images(told, trained, index, how):
    model = DualEncoder.load(trained)
    texts = ["a red square", "a picture of a blue square"]
    answers = found(told, trained, index, "--text", texts[0], "--text", texts[1], "-k", 6, "--index", how)["queries"]
    assert [answer["query"]["value"] for answer in answers] == texts
    for text, answer in zip(texts, answers, strict=True):
        expected = by_hand(index, model.encode_text([text]))[:6]
        assert samples(answer) == [SOUND[row] for row in expected]
        assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3, 4, 5, 6]
    best = answers[0]["hits"][0]
    vector = torch.from_numpy(np.load(index / "image.npy")[SOUND.index(best["sample"])])
    assert best["score"] == pytest.approx(float(vector @ model.encode_text(texts)[0]), abs=1e-6)
    assert best["key"] == f"{best['sample']:02d}.jpg"


def test_an_image_with_something_added_and_taken_away(told, trained, data, index):
    model = DualEncoder.load(trained)
    moved = ["--plus", "a red square", "--minus", "a blue square", "--plus-weight", 0.5, "--minus-weight", 0.25]
    (answer,) = found(told, trained, index, "--image", data / "02.jpg", *moved, "-k", 21)["queries"]
    plus, minus = model.encode_text(["a red square", "a blue square"]).double()
    query = model.encode_image([Image.open(data / "02.jpg")]).double() + 0.5 * plus - 0.25 * minus
    assert samples(answer) == [SOUND[row] for row in by_hand(index, query / query.norm())]
    assert answer["query"]["plus_weight"] == 0.5


def test_like_a_sample_leaves_that_sample_out(told, trained, index):
    (answer,) = found(told, trained, index, "--like", "06.jpg", "-k", 50)["queries"]
    query = torch.from_numpy(np.load(index / "image.npy")[[SOUND.index(6)]])
    assert samples(answer) == [SOUND[row] for row in by_hand(index, query) if SOUND[row] != 6]


def test_texts_may_be_looked_through_too(told, trained, index):
    (answer,) = found(told, trained, index, "--text", "a green square", "--among", "text", "-k", 4)["queries"]
    assert answer["hits"][0]["texts"] == ["a green square"]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx([1.0] * 4, abs=1e-5)
    assert samples(answer) == [1, 7, 13, 19]  # equal scores in the order of the data


def test_parts_alone_are_searched_to_the_same_end(told, trained, index, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in index.iterdir():
        if file.suffix not in (".npy", ".usearch"):
            (bare / file.name).write_bytes(file.read_bytes())
    ask = ["--text", "a red square", "--like", "03.jpg"]
    assert found(told, trained, bare, *ask) == found(told, trained, index, *ask)


def test_queries_are_compared_with_the_training_captions(told, trained, index, tmp_path):
    ask = ["--text", "A red square!", "--plus", "a zebra"]
    seen = found(told, trained, index, *ask, "--check-seen")["seen"]
    assert [(one["text"], one["exactly"], one["alike"]) for one in seen] == [("A red square!", 0, 4), ("a zebra", 0, 0)]
    assert "seen" not in found(told, trained, index, *ask)
    (tmp_path / "more.txt").write_text("a zebra\na zebra\na lion\n")
    other = found(told, trained, index, *ask, "--captions", tmp_path / "more.txt")["seen"]
    assert [(one["captions"], one["alike"]) for one in other] == [(3, 0), (3, 2)]
    code, out, _ = told("search", trained, index, *ask, "--check-seen")
    assert code == 0
    assert "'a zebra' is none of 31 training captions" in out


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.pictures, self.text, self.scripts = [], "", 0

    def handle_starttag(self, tag, attrs):
        self.pictures += [dict(attrs)["src"]] if tag == "img" else []
        self.scripts += tag == "script"

    def handle_data(self, data):
        self.text += data


def test_the_page_shows_what_was_found_and_whether_it_is_new(told, trained, data, index, tmp_path):
    file = tmp_path / "found.html"
    code, out, err = told(
        "search", trained, index, "--text", "<script>x</script>", "--image", data / "00.jpg", "--like", "01.jpg",
        "--minus", "a red square", "-k", 3, "--html", file,
    )  # fmt: skip
    assert code == 0, err
    assert f"written to {file}" in out
    page = Page()
    page.feed(file.read_text())
    assert page.scripts == 0
    assert len(page.pictures) == 3 * 3 + 2  # hits, and the pictures of two queries
    assert all(src.startswith("data:image/") for src in page.pictures)
    assert "<script>x</script>" in page.text
    assert "'a red square' is 4 of 31 training captions" in page.text
    assert "21 image embeddings" in page.text


def test_a_page_without_the_images_says_so(told, trained, index, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in index.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    told_of = json.loads((moved / "embeddings.json").read_text())
    told_of["sources"][0]["block"]["path"] = str(tmp_path / "gone.jsonl")
    (moved / "embeddings.json").write_text(json.dumps(told_of))
    html = tmp_path / "found.html"
    code, _, err = told("search", trained, moved, "--text", "a red square", "--html", html, "--no-check-seen")
    assert code == 0, err
    assert re.search(r"the images of .*pairs.jsonl cannot be read here: .*gone.jsonl", html.read_text())
    assert "training captions" not in html.read_text()


def test_the_folder_of_another_model_is_refused_by_its_fingerprint(told, other, index):
    code, out, err = told("search", other, index, "--text", "a red square")
    assert (code, out) == (5, "")
    assert re.search(r"holds embeddings of another model \(\w{12}, made of .*run\) than .*other \(\w{12}\)", err)
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "nothing to look for: give --text TEXT, --image FILE or --like KEY"),
        (["--plus", "snow"], 2, "nothing to look for"),
        (["--text", " "], 2, "a text to look for is empty"),
        (["--like", "06.jpeg"], 2, "no embedded sample has this key; did you mean '06.jpg'?"),
        (["--text", "a red square", "--minus", "a red square"], 2, "take away all of the query"),
        (["--text", "a", "--index", "none"], 2, "--index none finds nothing"),
        (["--image", "none.jpg"], 3, "--image none.jpg cannot be read"),
        (["--image", __file__], 3, "the file is not an image"),
        (["--text", "a", "--html", "no/such/page.html"], 5, "--html no/such/page.html cannot be written"),
    ],
)
def test_what_cannot_be_searched_for_is_said_in_a_sentence(told, trained, index, arguments, code, said):
    ended, out, err = told("search", trained, index, *arguments)
    assert (ended, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


def test_what_cannot_be_searched_in_is_said_in_a_sentence(told, trained, data, index, tmp_path):
    ended, _, err = told("search", trained, data, "--text", "a")
    assert ended == 5
    assert "holds no embeddings (no embeddings.json)" in err
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in index.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "image-00001.parquet").write_bytes(b"PAR1")
    ended, _, err = told("search", trained, broken, "--text", "a", "-k", 23)
    assert ended == 5
    assert re.search(r"image-00001.parquet is not what vlc embed wrote there .*run the same vlc embed again", err)
    (broken / "image.npy").write_bytes((index / "image.npy").read_bytes()[:-4])
    ended, _, err = told("search", trained, broken, "--text", "a")
    assert ended == 5
    assert re.search(r"the index .*image.npy is broken", err)


def test_embed_says_what_it_did(told, trained, data, tmp_path):
    common = ["embed", data / "pairs.jsonl", "--model", trained, "--out", tmp_path / "out", "--workers", 0]
    code, out, err = told(*common)
    assert code == 0, err
    assert re.search(r"embeddings +21 image, of 23 samples", out)
    assert re.search(r"skipped +2, the first .*pairs.jsonl #5 because", out)
    code, out, _ = told(*common, "--json")
    told_of = json.loads(out)
    assert (told_of["parts"], told_of["skipped"]) == ({"kept": 1, "made": 0}, 2)
    code, out, err = told("search", trained, tmp_path / "out", "--text", "a", "--among", "text")
    assert code == 2
    assert "holds no text embeddings: run vlc embed --part text" in err
    code, out, err = told("search", trained, tmp_path / "out", "--text", "a", "--index", "ann")
    assert code == 5
    assert "make it by the same vlc embed with --index ann" in err


def test_embed_without_a_model_or_data_says_so(told, trained, data, tmp_path):
    code, _, err = told("embed", data / "pairs.jsonl", "--model", data, "--out", tmp_path / "out")
    assert code == 5
    assert "holds no model" in err
    code, _, err = told("embed", data / "none.jsonl", "--model", trained, "--out", tmp_path / "out")
    assert code == 3
    assert "none.jsonl" in err
    assert not (tmp_path / "out").exists()
