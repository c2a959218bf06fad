"""The same losses whatever the ranks, the launcher, the ZeRO stage and the size of micro-batches."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

STEPS = 20
TOLERANCE = 1e-4
SETS = [f"--set=train.steps={STEPS}", "--set=evaluate.with=[]", "--set=train.batch_size=32"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny):
    made = tmp_path_factory.mktemp("parallel")
    (made / "tiny.yaml").write_text(tiny)
    return made


@pytest.fixture(scope="module")
def alone(vlc, folder, metrics):
    """The losses of one rank without ZeRO."""
    vlc("train", "tiny.yaml", *SETS, cwd=folder).well()
    return metrics(folder / "run")


def agree(one, other):
    assert len(one) == len(other) == STEPS
    for key in ("step", "samples", "lr"):
        assert [row[key] for row in one] == [row[key] for row in other]
    for key in ("loss", "loss/clip", "logit_scale", "grad_norm"):
        assert [row[key] for row in one] == pytest.approx([row[key] for row in other], rel=TOLERANCE), key


@pytest.mark.parametrize(
    ("ranks", "stage", "micro"),
    [(1, 1, None), (1, 2, 8), (1, 3, None), (2, 0, None), (2, 1, 8), (2, 2, None), (2, 3, 4)],
)
def test_losses_are_those_of_one_rank_without_zero(vlc, folder, alone, metrics, ranks, stage, micro):
    output = f"ranks-{ranks}-zero-{stage}"
    sets = [f"--set=output={output}", f"--set=deepspeed.zero_optimization.stage={stage}"]
    sets += [] if micro is None else [f"--set=train.micro_batch_size={micro}"]
    vlc("train", "tiny.yaml", *SETS, *sets, "--devices", str(ranks), cwd=folder).well()
    agree(metrics(folder / output), alone)


def test_micro_batches_alone_change_nothing(vlc, folder, alone, metrics):
    sets = ["--set=output=micro", "--set=train.micro_batch_size=4"]
    vlc("train", "tiny.yaml", *SETS, *sets, cwd=folder).well()
    agree(metrics(folder / "micro"), alone)


def test_torchrun_is_taken_as_it_is_and_one_rank_speaks(folder, alone, metrics):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, "-m", "vlc_cli", "train", "tiny.yaml", *SETS, "--set=output=torchrun", "--devices=7"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished after 20 steps") == 1
    assert "2 ranks" in done.stdout
    agree(metrics(folder / "torchrun"), alone)


def test_a_run_of_two_ranks_is_resumed_by_one_under_another_stage(vlc, folder, alone, metrics):
    sets = ["--set=output=elastic", "--set=checkpoint.every=10", "--set=deepspeed.zero_optimization.stage=2"]
    vlc("train", "tiny.yaml", *SETS, *sets, "--devices", "2", cwd=folder).well()
    checkpoints = folder / "elastic" / "checkpoints"
    for path in (checkpoints / "step-00000020").iterdir():
        path.unlink()
    (checkpoints / "step-00000020").rmdir()
    sets[-1] = "--set=deepspeed.zero_optimization.stage=3"
    ended = vlc("train", "tiny.yaml", *SETS, *sets, "--resume", cwd=folder)
    assert ended.code == 0, ended.err
    assert "resumed after step 10" in ended.out
    agree(metrics(folder / "elastic"), alone)


def test_bf16_learns_like_fp32(vlc, folder, alone, metrics):
    sets = ["--set=output=bf16", "--set=train.precision=bf16"]
    vlc("train", "tiny.yaml", *SETS, *sets, cwd=folder).well()
    halved = metrics(folder / "bf16")
    assert [row["loss"] for row in halved] == pytest.approx([row["loss"] for row in alone], rel=0.05)
    assert [row["loss"] for row in halved] != [row["loss"] for row in alone]
