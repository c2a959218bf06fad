"""``vlc data``: what its commands print, write and end with."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vlc_cli.main import application, run
from vlc_core import options
from vlc_core.options.use import Use
from vlc_core.plugins import plugins

PINNED = {
    "inspect": [
        *("SOURCE", "--set", "--split", "--decode", "--limit", "--sample", "--seed", "--tokenizer", "--html"),
        *("--thumbnails", "--workers", "--json"),
    ],
    "index": ["SOURCE", "--set", "--split", "--force", "--workers", "--json"],
}


def picture(shade: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A table of eight images, of which one is missing, one empty and one cut short."""
    lines = []
    for i in range(8):
        content = {3: b"", 4: picture(4)[:-40]}.get(i, picture(i))
        if i != 5:
            (tmp_path / f"{i}.jpg").write_bytes(content)
        lines.append(json.dumps({"file": f"{i}.jpg", "caption": ["", "a dog", f"dog number {i}"][min(i, 2)]}))
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path / "pairs.jsonl"


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(["data", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def inspect_json(told: Callable[..., tuple[int, str, str]], *arguments: object) -> dict[str, Any]:
    code, out, err = told("inspect", *arguments, "--json")
    assert (code, err) == (0, "")
    (source,) = json.loads(out)["sources"]
    found: dict[str, Any] = source
    return found


@pytest.mark.parametrize("name", PINNED)
def test_the_options_are_those_pinned_here_and_have_help(name: str) -> None:
    parameters = application(["data"]).commands["data"].commands[name].params  # type: ignore[attr-defined]
    assert [p.opts[0] if p.param_type_name == "option" else p.metavar for p in parameters] == PINNED[name]
    assert all(parameter.help for parameter in parameters)


def test_help_lists_the_commands(told: Callable[..., tuple[int, str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "Look into data, and prepare it." in capsys.readouterr().out
    code, out, _ = told("--help")
    assert code == 0
    assert "Report what is in a dataset" in out
    assert "Index tar shards" in out


def test_help_needs_no_torch() -> None:
    program = "from vlc_cli.main import run; run(['data', 'inspect', '--help']); import sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "--tokenizer" in out
    assert not {"torch", "numpy", "PIL", "pyarrow", "jinja2"} & set(out.split())


def test_a_table_is_told_in_tables(pairs: Path, told: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = told("inspect", pairs)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == str(pairs)
    for line in [
        f"read as          {{use: manifest, path: {pairs}, image: file, text: caption}}",
        "samples          8",
        "broken           2 (25.0 %)",
        "captions         5 on 5 samples, 5 distinct",
        "without caption  1 (16.7 %)",
        "5        there is no file 5.jpg in " + str(pairs.parent),
    ]:
        assert line in lines or any(" ".join(line.split()) == " ".join(one.split()) for one in lines), line
    assert max(len(line) for line in lines if line.startswith(("width", "caption char"))) <= 80


def test_decoding_finds_more(pairs: Path, told: Callable[..., tuple[int, str, str]]) -> None:
    assert [one["sample"] for one in inspect_json(told, pairs)["broken"]] == [3, 5]
    found = inspect_json(told, pairs, "--decode")
    assert [one["sample"] for one in found["broken"]] == [3, 4, 5]
    assert found["decoded"] is True


def test_limit_and_sample(pairs: Path, told: Callable[..., tuple[int, str, str]]) -> None:
    first = inspect_json(told, pairs, "--limit", 3)
    assert (first["samples"], first["examined"], first["sound"]) == (8, 3, 3)
    drawn = inspect_json(told, pairs, "--sample", 3, "--seed", 1)
    assert drawn["examined"] == 3
    assert drawn == inspect_json(told, pairs, "--sample", 3, "--seed", 1)
    code, out, err = told("inspect", pairs, "--limit", 3, "--sample", 3)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_tokens_are_counted_by_a_named_tokenizer(pairs: Path, told: Callable[..., tuple[int, str, str]]) -> None:
    words = inspect_json(told, pairs, "--tokenizer", "word")["measures"]["caption tokens"]["spread"]
    assert words["values"] == 5
    assert words["minimum"] == 4  # start, two words, end
    code, _, err = told("inspect", pairs, "--tokenizer", "wrod")
    assert (code, err.count("\n")) == (2, 1)
    assert "did you mean 'word'" in err


def test_the_page_is_written(pairs: Path, tmp_path: Path, told: Callable[..., tuple[int, str, str]]) -> None:
    page = tmp_path / "page.html"
    code, out, _ = told("inspect", pairs, "-o", page, "--thumbnails", 4)
    assert code == 0
    assert f"written to {page}" in out
    content = page.read_text(encoding="utf-8")
    assert content.startswith("<!doctype html>")
    assert content.count("<img ") == 4
    code, out, _ = told("inspect", pairs, "--html", page, "--thumbnails", 0, "--json")
    assert json.loads(out)["sources"]
    assert "<img " not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["missing/page.html", "."])
def test_a_page_that_cannot_be_written_is_told_before_anything_is_read(
    pairs: Path, tmp_path: Path, place: str, told: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = told("inspect", "nowhere.csv", "-o", tmp_path / place)
    assert (code, out, err.count("\n")) == (5, "", 1)
    assert str(tmp_path / place) in err


def test_nothing_but_broken_files_ends_with_3(tmp_path: Path, told: Callable[..., tuple[int, str, str]]) -> None:
    (tmp_path / "cat").mkdir()
    for i in range(3):
        (tmp_path / "cat" / f"{i}.jpg").write_bytes(b"hello")
    code, out, err = told("inspect", tmp_path)
    assert code == 3
    assert "broken    3 (100.0 %)" in out
    assert err.count("\n") == 1
    assert "all 3 samples" in err


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("nowhere/at/all", 3, "there is no nowhere/at/all"),
        ("digit", 2, "no path, no recipe and no dataset"),
        ("{use: digits, spilt: test}", 2, "did you mean 'split'"),
        ("nowhere.yaml", 2, "nowhere.yaml"),
        ("nowhere.csv", 3, "there is no manifest nowhere.csv"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    source: str, code: int, message: str, told: Callable[..., tuple[int, str, str]]
) -> None:
    found, out, err = told("inspect", source)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert message in err
    assert "Traceback" not in err


def test_a_dataset_by_its_name(told: Callable[..., tuple[int, str, str]]) -> None:
    found = inspect_json(told, "digits", "--set", "split=test")
    assert found["formats"] == {"drawn": 355}
    assert sum(found["classes"].values()) == 355


def test_class_folders_of_real_photographs(shared_data: Path, told: Callable[..., tuple[int, str, str]]) -> None:
    found = inspect_json(told, shared_data / "caltech101", "--sample", 300)
    assert (found["samples"], found["sound"], found["broken"]) == (2_000, 300, [])
    assert len(found["classes"]) == 100
    assert found["measures"]["shorter side"]["spread"]["maximum"] == 80


@pytest.mark.parametrize("workers", [0, 2])
def test_real_photographs_with_captions(
    shared_data: Path, workers: int, told: Callable[..., tuple[int, str, str]]
) -> None:
    found = inspect_json(told, shared_data / "flickr8k" / "pairs.jsonl", "--workers", workers)
    assert (found["sound"], found["captions"], found["captioned"]) == (700, 3_500, 700)
    rows = [json.loads(line) for line in (shared_data / "flickr8k" / "pairs.jsonl").read_text().splitlines()]
    assert found["concepts"]["caption"]["distinct"] == len({text for row in rows for text in row["captions"]})
    assert found["measures"]["width"]["spread"]["mean"] == pytest.approx(sum(r["width"] for r in rows) / 700)
    assert found["measures"]["height"]["spread"]["maximum"] == max(row["height"] for row in rows)


def test_real_drawings_with_captions_and_classes(shared_data: Path, told: Callable[..., tuple[int, str, str]]) -> None:
    path = shared_data / "openmoji" / "manifest.jsonl"
    found = inspect_json(told, path, "--set", "label=group", "--limit", 500)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][:500]
    assert {name: count for name, count in found["classes"].items() if count} == {
        name: sum(row["group"] == name for row in rows) for name in {row["group"] for row in rows}
    }
    assert found["formats"] == {"PNG": 500}


def test_tokens_are_counted_by_the_tokenizer_of_a_run(
    pairs: Path, tmp_path: Path, told: Callable[..., tuple[int, str, str]]
) -> None:
    spec = Use.model_validate({"use": "word"})
    trained = options.build(plugins().registry, "tokenizer", spec).make(lambda: ["a dog runs"])
    trained.save(tmp_path / "run" / "model")
    expected = trained.encode(["a dog"], 100).mask.sum().item()
    for home in (tmp_path / "run", tmp_path / "run" / "model"):
        found = inspect_json(told, pairs, "--limit", 2, "--tokenizer", home)
        assert found["measures"]["caption tokens"]["spread"]["maximum"] == expected


def test_what_the_page_on_these_commands_does_in_python_works(pairs: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "data-commands.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    spec = Use.model_validate({"use": "manifest", "path": str(pairs), "image": "file", "text": "caption"})
    names: dict[str, Any] = {"dataset": options.build(plugins().registry, "dataset", spec)}
    exec(code, names)
    assert (names["report"].sound, len(names["report"].broken)) == (5, 3)


def test_interrupted_by_the_keyboard(pairs: Path, told: Callable[..., tuple[int, str, str]], monkeypatch: Any) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vlc_plugin_data.inspecting.inspection.report_on", interrupted)
    monkeypatch.setattr("vlc_plugin_data.inspecting.inspection.track", interrupted)
    assert told("inspect", pairs) == (130, "", "")
