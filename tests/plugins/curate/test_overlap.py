"""Evaluation images among training images, and the statistics against their formulas."""

from __future__ import annotations

import json
from math import comb
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vlc_cli.main import run as run_vlc
from vlc_core.errors import DataError
from vlc_plugin_curate.overlapping.statistics import at_least, clopper_pearson, compare


def tail(right: int, samples: int, chance: float) -> float:
    """P(X ≥ right), summed term by term in float64."""
    return sum(comb(samples, k) * chance**k * (1 - chance) ** (samples - k) for k in range(right, samples + 1))


def interval(right: int, samples: int, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's by its definition: the chances under which the tails are as likely as they may be."""

    def solved(rises: bool) -> float:
        low, high = 0.0, 1.0
        for _ in range(200):
            middle = (low + high) / 2
            above = tail(right, samples, middle) if rises else 1 - tail(right + 1, samples, middle)
            low, high = (middle, high) if (above < (1 - confidence) / 2) == rises else (low, middle)
        return low

    return (0.0 if right == 0 else solved(True)), (1.0 if right == samples else solved(False))


@pytest.mark.parametrize(("right", "samples"), [(0, 7), (7, 7), (1, 1), (3, 11), (60, 83)])
@pytest.mark.parametrize("confidence", [0.9, 0.995])
def test_interval_against_its_definition(right: int, samples: int, confidence: float) -> None:
    assert clopper_pearson(right, samples, confidence) == pytest.approx(interval(right, samples, confidence), abs=1e-9)


@pytest.mark.parametrize(
    ("right", "samples", "chance"), [(0, 5, 0.3), (5, 5, 0.3), (4, 9, 0.5), (70, 90, 0.71), (1, 3, 0)]
)
def test_p_value_against_the_sum(right: int, samples: int, chance: float) -> None:
    assert at_least(right, samples, chance) == pytest.approx(tail(right, samples, chance), rel=1e-9, abs=1e-15)


def test_the_comparison_is_the_paper_s() -> None:
    """100 samples, 20 of which overlap: 18 of those right, and 56 of the 80 clean ones."""
    overlaps = np.arange(100) < 20
    right = np.concatenate([np.arange(20) < 18, np.arange(80) < 56])
    found = compare(right, overlaps)
    assert (found.all.accuracy, found.overlap.accuracy, found.clean.accuracy) == (0.74, 0.9, 0.7)
    assert found.contamination == 0.2
    assert found.difference == pytest.approx(0.04)
    assert found.p_value == pytest.approx(tail(18, 20, 0.7))
    low, high = interval(18, 20, 0.995)
    assert found.overlap_interval == pytest.approx((low, high), abs=1e-9)
    assert found.difference_interval == pytest.approx((0.2 * (low - 0.7), 0.2 * (high - 0.7)), abs=1e-9)
    assert found.difference == pytest.approx(found.contamination * (0.9 - 0.7))


def test_nothing_is_said_of_an_empty_side() -> None:
    right = np.array([True, False, True])
    clean, dirty = compare(right, np.zeros(3, bool)), compare(right, np.ones(3, bool))
    assert (clean.difference, clean.p_value, clean.overlap_interval, clean.difference_interval) == (0, None, None, None)
    assert (dirty.difference, dirty.p_value, dirty.difference_interval) == (None, None, None)
    assert dirty.overlap_interval is not None


class ByColour:
    """Stands in for a model: an image is embedded by its label here, its neighbour's where it is in ``wrong``."""

    digest, cache, size = None, None, 8

    def __init__(self, wrong: set[int]) -> None:
        self.wrong = wrong

    def encode_images(self, dataset: object) -> object:
        from vlc_core.batch import Skipped
        from vlc_core.inference import ImageSet

        rows, skipped = [], []
        for index in range(len(dataset)):  # type: ignore[arg-type]
            sample = dataset[index]  # type: ignore[index]
            if sample.image == b"broken":
                skipped.append(Skipped(index, "evaluation", "", "broken"))
            else:
                rows.append((index, sample))
        labels = torch.tensor([sample.label for _, sample in rows])
        told = torch.tensor([(s.label + (i in self.wrong)) % 2 for i, s in rows])
        embed = torch.nn.functional.one_hot(told, 2).float()
        return ImageSet(embed, labels, [()] * len(rows), [s.key for _, s in rows], skipped, embed)

    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(["y" in text for text in texts]).long(), 2).float()


@pytest.fixture(scope="module")
def data(drawn: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six training images; ten to evaluate on, of which a/0, a/2 and b/1 are copies of those; one is broken."""
    folder = tmp_path_factory.mktemp("overlap")
    train = {f"train/x/{seed}.png": drawn.encoded(drawn.scene(seed)) for seed in range(6)}
    evaluated = {f"eval/{'xy'[i % 2]}/{i}.png": drawn.encoded(drawn.scene(50 + i)) for i in range(10)}
    for number, name in enumerate(("half", "quality 20", "white frame")):
        evaluated[f"eval/{'xy'[number % 2]}/{number}.png"] = drawn.encoded(drawn.changes[name](drawn.scene(number)))
    evaluated["eval/x/00 broken.png"] = b"broken"
    drawn.write(folder, train | evaluated)
    return folder


@pytest.fixture(autouse=True)
def _own_cache(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLC_CACHE", str(data / "cache"))


def vlc(*arguments: object) -> int:
    return run_vlc(["data", "overlap", *map(str, arguments)])


def test_the_table_without_a_run(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vlc(data / "train", data / "eval", "--html", tmp_path / "page.html") == 0
    said = capsys.readouterr().out
    assert ["10", "3", "30.0", "%", "3", "1"] in [line.split()[1:] for line in said.splitlines()]
    assert "accuracy" not in said
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/") == 6
    assert "3 examples" in page
    assert "trained on" in page


def test_accuracies_on_either_side(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows in the folder's order: x/0, x/00 broken, x/2, x/4, x/6, x/8, y/1, y/3, y/5, y/7, y/9."""
    monkeypatch.setattr("vlc_core.inference.Inference.load", lambda run: ByColour({3, 7}))
    assert vlc(data / "train", data / "eval", "--run", "some", "--prompts", "a {}", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["evaluated"]
    assert (found["images"], found["overlap"], found["unreadable"], found["share"]) == (10, 3, 1, 0.3)
    assert sorted((one["evaluated_row"], one["train_row"]) for one in found["pairs"]) == [(0, 0), (2, 2), (6, 1)]
    run = found["runs"]["some"]
    sides = {name: (run[name]["samples"], run[name]["right"]) for name in ("all", "overlap", "clean")}
    assert sides == {"all": (10, 8), "overlap": (3, 3), "clean": (7, 5)}
    assert run["all_minus_clean"] == pytest.approx(0.8 - 5 / 7)
    assert run["p_value"] == pytest.approx((5 / 7) ** 3)
    assert run["confidence"] == 0.995
    low, high = run["all_minus_clean_interval"]
    assert low < run["all_minus_clean"] == pytest.approx(high)  # all of the overlap is right: there is nothing above


def test_a_run_in_the_table(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlc_core.inference.Inference.load", lambda run: ByColour(set()))
    assert vlc(data / "train", data / "eval", "--run", "one", "--run", "two", "--confidence", 0.9) == 0
    said = capsys.readouterr().out
    assert "one: zero-shot accuracy" in said
    assert "two: zero-shot accuracy" in said
    assert "90 % interval" in said
    assert "100.0 %" in said


def test_several_evaluation_sets(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vlc(data / "train", data / "eval", data / "train", "--json") == 0
    found = json.loads(capsys.readouterr().out)["evaluated"]
    assert [one["overlap"] for one in found] == [3, 6]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{data}/train", "{data}/none"], 3, "there is no"),
        (["{data}/train", "{data}/eval", "--run", "{data}/none"], 5, "none"),
        (["{data}/train", "{data}/train", "--run", "{data}/none"], 5, "none"),
        (["{data}/train", "{data}/eval", "--html", "{data}/none/page.html"], 5, "no folder"),
    ],
)
def test_wrong_input_is_one_sentence(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert vlc(*(one.format(data=data) for one in arguments)) == code
    assert words in capsys.readouterr().err.strip().splitlines()[-1]


def test_no_classes_no_accuracy(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vlc_plugin_eval.zero_shot import ZeroShot

    monkeypatch.setattr("vlc_core.inference.Inference.load", lambda run: ByColour(set()))
    assert vlc(data / "train", data / "train", "--run", "some") == DataError.exit_code
    assert hasattr(ZeroShot, "answers")
