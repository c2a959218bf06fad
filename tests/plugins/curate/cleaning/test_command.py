"""``vlc data clean``: its options, what it prints, and what it refuses."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from vlc_cli.main import application, run

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

PINNED = [
    *("SOURCE...", "--out", "--set", "--split", "--min-side", "--max-aspect", "--max-texts", "--max-images"),
    *(
        "--min-words",
        "--max-words",
        "--vocabulary",
        "--min-count",
        "--bigrams",
        "--evaluation-set",
        "--radius",
        "--model",
        "--min-cosine",
        "--tars",
    ),
    *("--shard", "--engine", "--memory", "--threads", "--workers", "--keep-stages", "--json"),
]

CANARY = "<script>alert(1)</script> & more of it"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    rows = ["a brown dog runs", "two words", CANARY, "short"]
    path.write_text("url,caption\n" + "".join(f"http://x/{n}.jpg,{text}\n" for n, text in enumerate(rows)))
    return path


def test_options_are_pinned() -> None:
    command = application(["data"]).commands["data"].commands["clean"]  # type: ignore[attr-defined]
    found = [one.metavar if one.param_type_name == "argument" else one.opts[0] for one in command.params]
    assert [name for name in found if name != "--help"] == PINNED


def test_it_prints_a_table_or_json_and_writes_a_page(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["data", "clean", str(pairs), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 of 4 pairs kept (50.0 %)" in printed
    assert "texts of fewer than 3 words" in printed
    assert "4 pairs have images of unknown size" in printed
    assert run(["data", "clean", str(pairs), "--out", str(out), "--max-words", "4", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((out / "report.json").read_text())
    assert {rule["name"]: rule["alone"]["pairs"] for rule in report["rules"]}["long"] == 1
    assert [one["text"] for one in report["rules"][5]["examples"]] == [CANARY]

    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    page = (out / "report.html").read_text()
    parser.feed(page)
    assert "script" not in tags
    assert "&lt;script&gt;" in page
    assert "<dt>vocabulary</dt><dd>100,000,000</dd>" in page
    assert "<dt>bigrams</dt><dd>on</dd>" in page
    assert "<dt>evaluation sets</dt><dd>none</dd>" in page


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--min-side", "-3"], 2, "--min-side -3: give a number above 0, or off"),
        (["--max-aspect", "wide"], 2, "--max-aspect wide: give a number above 0, or off"),
        (["--min-words", "9", "--max-words", "5"], 2, "--min-words 9 is above --max-words 5"),
        (["--memory", "much"], 2, "--memory much: give a size of at least 1GB"),
        (["--engine", "postgres"], 2, "--engine postgres is no engine"),
        (["--evaluation-set", "nowhere.csv"], 3, "nowhere.csv"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert run(["data", "clean", str(pairs), "--out", str(tmp_path / "out"), *arguments]) == code
    assert message in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "clean", str(pairs), "--out", str(pairs)]) == 5
    assert "choose another place by --out" in capsys.readouterr().err
    assert run(["data", "clean", str(tmp_path / "none.csv"), "--out", str(tmp_path / "out")]) == 3
    assert "none.csv" in capsys.readouterr().err
