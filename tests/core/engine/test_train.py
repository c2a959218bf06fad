"""Runs that meet a fault end with its code and its sentence, and what they saved is whole, finite and gone on from."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vlc_core import folders
from vlc_core.engine.checkpoint import load_checkpoint, newest

SCRIPT = Path(__file__).with_name("scenarios.py")


def command(folder: Path, **environment: str) -> subprocess.Popen[str]:
    left_out = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    plain = {key: value for key, value in os.environ.items() if key not in left_out}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder)],
        env={**plain, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The scenarios of one rank."""
    folder = tmp_path_factory.mktemp("one")
    return folder, answer(command(folder))


def both(folder: Path, **environment: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = min(free.getsockname()[1], 60_000)
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **environment}
    return [command(folder, RANK=str(rank), LOCAL_RANK=str(rank), **told) for rank in range(2)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """The scenarios of two ranks, of which the second dies in the last."""
    folder = tmp_path_factory.mktemp("two")
    ranks = both(folder)
    first = answer(ranks[0])
    out, err = ranks[1].communicate(timeout=60)
    assert ranks[1].returncode == 9, err
    return folder, [first, *(json.loads(line) for line in out.splitlines())]


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_rate(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "samples_per_second"} for row in rows]


def saved_steps(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_a_run_leaves_what_it_should(one):
    folder, ended = one
    assert ended["whole"]["code"] == 0
    assert sorted(path.name for path in (folder / "whole").iterdir()) == [
        "checkpoints",
        "environment.json",
        "exit.json",
        "metrics.jsonl",
        "model",
        "recipe.yaml",
    ]
    assert [row["step"] for row in metrics(folder / "whole")] == [1, 2, 3, 4, 5]
    assert saved_steps(folder / "whole") == ["step-00000004", "step-00000005"]
    assert folders.problems(folder / "whole" / "model") == []


def test_a_loss_that_is_not_finite_ends_with_its_step_rate_and_terms(one):
    _, ended = one
    assert ended["nan"]["code"] == 4
    assert ended["nan"]["said"].startswith("loss and loss/faulty and grad_norm not finite at step 3 (")
    assert "learning rate 0.005" in ended["nan"]["said"]


def test_what_was_saved_before_is_finite_and_went_on_to_the_bit(one):
    folder, ended = one
    assert ended["resumed"]["code"] == 0
    assert without_rate(metrics(folder / "nan")) == without_rate(metrics(folder / "whole"))
    for file in ("weights", "moments"):
        pair = [folder / run / "checkpoints" / "step-00000005" / f"{file}.safetensors" for run in ("nan", "whole")]
        assert pair[0].read_bytes() == pair[1].read_bytes()


@pytest.mark.parametrize("stage", [0, 2])
def test_a_gradient_that_is_not_finite_is_never_saved_although_the_loss_is(one, stage: int):
    folder, ended = one
    run = folder / f"gradient-{stage}"
    assert ended[f"gradient {stage}"]["code"] == 4
    assert ended[f"gradient {stage}"]["said"].startswith("grad_norm not finite at step 3 (")
    assert saved_steps(run) == ["step-00000001", "step-00000002"]
    path = newest(run / "checkpoints")
    assert path is not None
    checkpoint = load_checkpoint(path)
    for name, tensor in {**checkpoint.weights, **checkpoint.moments}.items():
        assert tensor.isfinite().all(), name
    assert json.loads((run / "exit.json").read_text())["exit_code"] == 4


def test_want_of_memory_is_told_with_what_to_set(one):
    folder, ended = one
    assert ended["short"]["code"] == 1
    assert ended["short"]["said"] == (
        "rank 0 ran out of memory on cpu (CUDA out of memory. Tried to allocate 3.00 GiB.): set "
        "train.micro_batch_size=4 or train.batch_size=4; vlc check tells what each would take, and --resume goes on "
        "from the last checkpoint"
    )
    assert newest(folder / "short" / "checkpoints") is not None


def test_a_run_goes_on_with_the_data_that_it_began_with(one):
    _, ended = one
    assert ended["other data"]["code"] == 3
    words = "data.train.digits has 1,442 samples and had 1,443, so the run would draw other samples than those it began"
    assert words in ended["other data"]["said"]
    assert ended["other data all the same"]["code"] == 0


def test_a_single_step_that_is_not_finite_is_skipped_counted_and_remembered(one):
    folder, ended = one
    run = folder / "borne"
    assert ended["borne"]["code"] == 0
    assert json.loads((run / "exit.json").read_text())["skipped_steps"] == 1
    assert [row["loss"] is None for row in metrics(run)] == [False, False, True, False, False]
    (step,) = (json.loads(line) for line in (run / "skipped_steps.jsonl").read_text().splitlines())
    assert (step["step"], step["rank"], len(step["samples"])) == (3, 0, 8)
    assert step["not_finite"] == ["loss", "loss/faulty", "grad_norm"]
    assert step["grad_norm"] is None
    assert metrics(run)[-1]["loss"] != metrics(folder / "whole")[-1]["loss"]


def test_a_run_that_skipped_a_step_goes_on_to_the_bit(one):
    """Adam corrects its bias by the steps that it took, which are one less than the run's."""
    folder, ended = one
    assert ended["borne again"]["code"] == 0
    runs = [folder / "borne", folder / "borne-again"]
    assert without_rate(metrics(runs[0])) == without_rate(metrics(runs[1]))
    for file in ("weights", "moments"):
        pair = [run / "checkpoints" / "step-00000005" / f"{file}.safetensors" for run in runs]
        assert pair[0].read_bytes() == pair[1].read_bytes()


def test_a_disk_that_is_full_for_a_while_costs_the_checkpoints_of_that_while(one):
    folder, ended = one
    assert ended["full for a while"]["code"] == 0
    assert saved_steps(folder / "for-a-while") == ["step-00000004", "step-00000005"]
    assert without_rate(metrics(folder / "for-a-while")) == without_rate(metrics(folder / "whole"))


def test_a_disk_that_stays_full_ends_the_run_with_its_last_checkpoint_kept(one):
    folder, ended = one
    assert ended["full for long"]["code"] == 5
    assert "step-00000005 cannot be written (No space left on device): it needs " in ended["full for long"]["said"]
    assert saved_steps(folder / "for-long") == ["step-00000001"]


def test_the_last_checkpoint_must_be_written(one):
    folder, ended = one
    assert ended["full"]["code"] == 5
    assert "step-00000005 cannot be written (No space left on device): it needs " in ended["full"]["said"]
    assert ended["after full"]["code"] == 0
    assert without_rate(metrics(folder / "full"))[:5] == without_rate(metrics(folder / "whole"))


def test_a_model_folder_lost_between_two_names_is_found_at_resume(one):
    folder, ended = one
    assert ended["bridged"] == {"code": 0, "said": "all steps taken", "seconds": ended["bridged"]["seconds"]}
    assert saved_steps(folder / "full") == ["step-00000005", "step-00000006"]
    assert not any(path.name.startswith(".") for path in (folder / "full").iterdir())


def test_a_finished_run_may_be_resumed_and_stays_as_it_is(one):
    folder, ended = one
    assert ended["again"]["code"] == 2
    assert ended["finished"]["code"] == 0
    assert [row["step"] for row in metrics(folder / "whole")] == [1, 2, 3, 4, 5]


def test_a_checkpoint_that_does_not_fit_is_refused_by_name(one):
    _, ended = one
    assert ended["misfit"]["code"] == 2
    assert "the checkpoint of step 5 does not fit the recipe's model: " in ended["misfit"]["said"]
    assert "head.weight" in ended["misfit"]["said"]


def test_a_run_that_never_began_leaves_no_folder_and_takes_none_away(one):
    folder, ended = one
    assert ended["bad data"]["code"] == 3
    assert not (folder / "bad").exists()
    assert ended["not a run"]["code"] == 2
    assert (folder / "mine" / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("nan", 4, "loss and loss/faulty and grad_norm not finite at step 3"),
        ("again", 2, "holds another run"),
        ("disagree", 2, "rank 1 was given another recipe than rank 0"),
        ("full", 5, "step-00000005 cannot be written (No space left on device)"),
    ],
)
def test_all_ranks_end_alike(two, name: str, code: int, words: str):
    _, ranks = two
    assert len(ranks) == 2
    for ended in ranks:
        assert ended[name]["code"] == code
        assert words in ended[name]["said"]
        assert ended[name]["seconds"] < 120, "a collective waits for ten minutes"


def test_all_ranks_skip_a_step_that_one_of_them_finds_wrong(two):
    folder, ranks = two
    assert [ended["borne"]["code"] for ended in ranks] == [0, 0]
    assert json.loads((folder / "borne-2" / "exit.json").read_text())["skipped_steps"] == 1
    listed = [json.loads(line) for line in (folder / "borne-2" / "skipped_steps.jsonl").read_text().splitlines()]
    assert sorted(step["rank"] for step in listed) == [0, 1]
    assert len({key for step in listed for key in step["samples"]}) == 8
    path = newest(folder / "borne-2" / "checkpoints")
    assert path is not None
    checkpoint = load_checkpoint(path)
    assert checkpoint.progress.skipped_steps == 1
    assert all(tensor.isfinite().all() for tensor in (*checkpoint.weights.values(), *checkpoint.moments.values()))


def test_a_rank_that_dies_is_noticed_at_once(two):
    folder, (first, _) = two
    assert first["dies"]["code"] == 6
    assert first["dies"]["seconds"] < 20
    assert "rank 0 lost touch with another rank" in first["dies"]["said"]
    assert not (folder / "other").exists()
    record = json.loads((folder / "dies" / "exit.json").read_text())
    assert (record["status"], record["exit_code"]) == ("failed", 6)
    assert newest(folder / "dies" / "checkpoints") is not None


def test_a_rank_that_hangs_is_shown_where_it_stands_and_ends_with_the_others(tmp_path: Path):
    ranks = both(tmp_path, HANG="1")
    (out, waiting), (_, hanging) = (process.communicate(timeout=200) for process in ranks)
    assert ranks[1].returncode == 6
    assert "rank 1 has taken no step for 6 s (train.timeout); its threads stand here:" in hanging
    assert "in rank_1_sleeps" in hanging
    # The one that waits hears of the end of its own time or of the other's, whichever comes first.
    assert "rank 0 has taken no step for 6 s" in waiting or json.loads(out)["code"] == 6
    record = json.loads((tmp_path / "hangs" / "exit.json").read_text())
    assert (record["status"], record["exit_code"]) == ("failed", 6)
