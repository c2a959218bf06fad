"""``vlc train`` and what it leaves behind, for ``vlc eval`` and for Python."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml


def test_a_run_says_what_it_does_and_complains_of_nothing(trained):
    _, ended = trained
    told = ended.well().out
    assert "tiny in run" in told
    assert "6 steps × 16 = 96 samples" in told
    assert "step 6/6" in told
    assert "zero-shot" in told
    assert "finished after 6 steps" in told
    assert "vlc eval run" in told
    assert "[WARNING]" not in told


def test_the_run_folder_holds_what_is_promised(trained):
    folder, _ = trained
    run = folder / "run"
    assert {path.name for path in run.iterdir()} == {
        "recipe.yaml",
        "environment.json",
        "metrics.jsonl",
        "checkpoints",
        "model",
        "evaluations",
        "exit.json",
    }
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-00000003", "step-00000006"]
    assert {path.name for path in (run / "evaluations").iterdir()} == {"zero-shot.json", "retrieval.json"}
    assert not list(run.rglob("*.partial"))


def test_every_step_has_its_metrics(trained):
    folder, _ = trained
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["samples"] for row in rows] == [16, 32, 48, 64, 80, 96]
    keys = {"step", "samples", "loss", "loss/clip", "logit_scale", "lr", "grad_norm", "samples_per_second"}
    assert all(set(row) == keys for row in rows)
    assert rows[0]["loss"] == pytest.approx(rows[0]["loss/clip"])
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[0]["lr"] == pytest.approx(0.005)  # half of the warm-up


def test_how_it_ended_and_where_it_ran_is_written(trained):
    folder, _ = trained
    ended = json.loads((folder / "run" / "exit.json").read_text())
    assert ended["status"] == "finished"
    assert ended["exit_code"] == 0
    assert ended["steps"] == 6
    environment = json.loads((folder / "run" / "environment.json").read_text())
    assert environment["packages"]["torch"]
    assert environment["world"] == 1


def test_results_of_evaluations_are_flat(trained):
    folder, _ = trained
    for name, key in (("zero-shot", "top1"), ("retrieval", "i2t_recall@1")):
        written = json.loads((folder / "run" / "evaluations" / f"{name}.json").read_text())
        assert 0 <= written["metrics"][key] <= 1
        assert all(isinstance(value, float) for value in written["metrics"].values())


def test_every_digest_of_a_checkpoint_is_true(trained):
    folder, _ = trained
    checked = 0
    for manifest in (folder / "run").rglob("manifest.json"):
        text = manifest.read_text()
        for path in manifest.parent.iterdir():
            if path != manifest:
                assert hashlib.sha256(path.read_bytes()).hexdigest() in text, path
                checked += 1
    assert checked >= 6


@pytest.mark.parametrize("workers", [1, 3])
def test_the_resolved_recipe_trains_the_same_run_with_any_number_of_workers(vlc, trained, metrics, workers):
    folder, _ = trained
    again = f"workers-{workers}"
    sets = ["--set", f"output={again}", "--set", f"data.workers={workers}"]
    vlc("train", "run/recipe.yaml", *sets, cwd=folder).well()
    assert metrics(folder / again) == metrics(folder / "run")
    weights = [(folder / name / "model" / "weights.safetensors").read_bytes() for name in ("run", again)]
    assert weights[0] == weights[1]


def test_the_resolved_recipe_hides_nothing(trained):
    folder, _ = trained
    written = yaml.safe_load((folder / "run" / "recipe.yaml").read_text())
    assert written["data"]["workers"] == 0
    assert written["train"]["optimizer"]["betas"]
    assert Path(written["output"]) == folder / "run"


def test_an_output_folder_that_holds_a_run_is_refused(vlc, trained):
    folder, _ = trained
    before = sorted((path, path.stat().st_mtime_ns) for path in (folder / "run").rglob("*"))
    for ranks in ("1", "2"):
        ended = vlc("train", "tiny.yaml", "--devices", ranks, cwd=folder)
        assert ended.code == 2
        assert ended.err.count("\n") == 1
        assert "--resume" in ended.err
    assert sorted((path, path.stat().st_mtime_ns) for path in (folder / "run").rglob("*")) == before


def test_eval_measures_what_training_measured(vlc, trained):
    folder, _ = trained
    trained_results = {
        name: json.loads((folder / "run" / "evaluations" / f"{name}.json").read_text())["metrics"]
        for name in ("zero-shot", "retrieval")
    }
    printed = json.loads(vlc("eval", "run", "--json", cwd=folder).well().out)
    assert {name: result["metrics"] for name, result in printed.items()} == trained_results
    written = json.loads((folder / "run" / "evaluations" / "zero-shot.json").read_text())
    assert written["metrics"] == trained_results["zero-shot"]


def test_eval_of_one_evaluation_with_an_option_changed(vlc, trained):
    folder, _ = trained
    sets = ["--set", "evaluate.with.zero-shot.prompts=simple"]
    ended = vlc("eval", "run", "--with", "zero-shot", *sets, cwd=folder).well()
    assert "top1" in ended.out
    assert "%" in ended.out
    assert "recall" not in ended.out


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["eval", "nowhere"], 5, "nowhere"),
        (["eval", "run", "--with", "zero-shoot"], 2, "zero-shot"),
        (["eval", "run", "--set", "evaluate.with.zero-shot.promts=simple"], 2, "prompts"),
    ],
)
def test_eval_of_what_is_not_there_is_a_sentence(vlc, trained, argv, code, words):
    ended = vlc(*argv, cwd=trained[0])
    assert ended.code == code
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_python_loads_the_run_without_deepspeed(trained):
    code = (
        "import sys; from PIL import Image; from vlc_core.inference import DualEncoder;"
        "model = DualEncoder.load('run');"
        "image = model.encode_image([Image.new('RGB', (30, 20), 'white')]);"
        "text = model.encode_text(['a zero', 'a photo of the digit one']);"
        "print(tuple(image.shape), tuple(text.shape), float(image.norm()), 'deepspeed' in sys.modules)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=trained[0], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    *shapes, norm, deepspeed = done.stdout.rsplit(maxsplit=2)
    assert shapes == ["(1, 16) (2, 16)"]
    assert float(norm) == pytest.approx(1, abs=1e-5)
    assert deepspeed == "False"


def copy_as_if_it_had_died_after_step_3(folder: Path, name: str) -> Path:
    """The run as its newest whole checkpoint would find it after a crash, with half a line of metrics."""
    died = folder / name
    shutil.copytree(folder / "run", died)
    shutil.rmtree(died / "checkpoints" / "step-00000006")
    lines = (died / "metrics.jsonl").read_text().splitlines(keepends=True)
    (died / "metrics.jsonl").write_text("".join(lines[:5]) + lines[5][:20])
    return died


def test_resume_is_exact_to_the_bit(vlc, trained, metrics):
    folder, _ = trained
    copy_as_if_it_had_died_after_step_3(folder, "died")
    ended = vlc("train", "tiny.yaml", "--set", "output=died", "--resume", cwd=folder).well()
    assert "resumed after step 3" in ended.out
    assert metrics(folder / "died") == metrics(folder / "run")
    for file in ("checkpoints/step-00000006/weights", "checkpoints/step-00000006/moments", "model/weights"):
        one, other = ((folder / name / f"{file}.safetensors").read_bytes() for name in ("run", "died"))
        assert one == other, file


def test_a_broken_newest_checkpoint_is_passed_over(vlc, trained, metrics):
    folder, _ = trained
    shutil.copytree(folder / "run", folder / "torn")
    weights = folder / "torn" / "checkpoints" / "step-00000006" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    ended = vlc("train", "tiny.yaml", "--set", "output=torn", "--resume", cwd=folder)
    assert ended.code == 0
    assert "resumed after step 3" in ended.out
    assert metrics(folder / "torn") == metrics(folder / "run")


def test_resume_of_a_changed_recipe_is_refused_by_the_names_of_the_keys(vlc, trained):
    folder, _ = trained
    copy_as_if_it_had_died_after_step_3(folder, "changed")
    argv = ["train", "tiny.yaml", "--set", "output=changed", "--set", "seed=4", "--set", "train.batch_size=32"]
    ended = vlc(*argv, "--resume", cwd=folder)
    assert ended.code == 2
    assert "seed" in ended.err
    assert "train.batch_size" in ended.err
    assert "--allow-changes" in ended.err
    allowed = vlc(*argv, "--resume", "--allow-changes", cwd=folder)
    assert allowed.code == 0, allowed.err


def test_more_steps_are_no_other_run(vlc, trained):
    folder, _ = trained
    shutil.copytree(folder / "run", folder / "longer")
    ended = vlc("train", "tiny.yaml", "--set", "output=longer", "--set", "train.steps=8", "--resume", cwd=folder)
    assert ended.code == 0, ended.err
    assert "finished after 8 steps" in ended.out


@pytest.mark.parametrize(
    ("number", "code", "ranks", "workers"),
    [(signal.SIGINT, 130, 1, 0), (signal.SIGTERM, 143, 1, 1), (signal.SIGINT, 130, 2, 1)],
)
def test_an_interrupt_saves_and_ends_with_its_code(vlc_path, trained, number, code, ranks, workers, tmp_path):
    """The signal goes to the whole group, as terminals and schedulers send it: to data workers too."""
    folder, _ = trained
    command = [vlc_path, "train", str(folder / "tiny.yaml"), "--devices", str(ranks), "--set", "train.steps=100000"]
    command += ["--set", f"output={tmp_path / 'run'}", "--set", f"data.workers={workers}"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    written = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (written.exists() and written.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert out.count("interrupted after") == 1
    ended = json.loads((tmp_path / "run" / "exit.json").read_text())
    assert ended["status"] == "interrupted"
    checkpoint = tmp_path / "run" / "checkpoints" / f"step-{ended['steps']:08d}"
    assert checkpoint.is_dir()
