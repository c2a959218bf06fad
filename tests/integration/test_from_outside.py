"""A method by somebody else: written, installed, trained, mistyped and uninstalled without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

TOML = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "vlc-plugin-pairwise"
version = "1.0"
dependencies = ["vlc-core"]

[project.entry-points."vlc.plugins"]
pairwise = "vlc_plugin_pairwise"
"""

PLUGIN = """\
from vlc_core import hookimpl

@hookimpl
def vlc_register(registry):
    registry.objective("sigmoid", "vlc_plugin_pairwise.loss:Sigmoid", summary="Every pair is a yes-or-no question")
"""

OBJECTIVE = '''\
import torch
from torch.nn.functional import logsigmoid

from vlc_core import ModelInfo, Objective, Step, Term
from vlc_core.distributed import gather, rank


class Sigmoid(Objective):
    """Pairwise sigmoid loss, Zhai et al. 2023.

    Args:
        bias: Where the learned bias of the logits starts.
    """

    def __init__(self, model: ModelInfo, *, bias: float = -10.0) -> None:
        super().__init__(model)
        self.bias = torch.nn.Parameter(torch.tensor([bias]))

    def forward(self, step: Step) -> dict[str, Term]:
        logits = step.scale * step.image.embed @ gather(step.text.embed).T + self.bias
        own = torch.arange(len(step), device=logits.device)
        signs = torch.full_like(logits, -1.0)
        signs[own, own + rank() * len(step)] = 1.0
        return {"sigmoid": Term(-logsigmoid(signs * logits).sum(), len(step))}
'''


class Elsewhere:
    """A virtual environment that sees what this one has installed, and can be installed into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        self.site = next(folder.glob("lib/python*/site-packages"))
        # addsitedir and not a bare path: editable installs are .pth files of their own, and are to be seen as well.
        here = sysconfig.get_path("purelib")
        (self.site / "outer.pth").write_text(f"import site; site.addsitedir({here!r})\n")

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        ours = {"OMP_NUM_THREADS": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return subprocess.run(
            [str(self.python), "-m", *command],
            cwd=cwd,
            env={**os.environ, **ours},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def files(self) -> set[str]:
        return {str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if "__pycache__" not in p.parts}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory, tiny):
    made = Elsewhere(tmp_path_factory.mktemp("outside") / "venv")
    work = made.folder.parent / "work"
    package = made.folder.parent / "distribution" / "vlc_plugin_pairwise"
    package.mkdir(parents=True)
    work.mkdir()
    (package.parent / "pyproject.toml").write_text(TOML)
    (package / "__init__.py").write_text(PLUGIN)
    (package / "loss.py").write_text(OBJECTIVE)
    (work / "tiny.yaml").write_text(tiny)
    return made


@pytest.fixture(scope="module")
def installed(elsewhere):
    """The environment with the plugin installed by pip."""
    source = str(elsewhere.folder.parent / "distribution")
    done = elsewhere.run("pip", "install", "--no-deps", "--no-build-isolation", source, cwd=elsewhere.folder.parent)
    assert done.returncode == 0, done.stderr
    return elsewhere


def train(elsewhere: Elsewhere, output: str, *sets: str) -> subprocess.CompletedProcess[str]:
    both = [f"output={output}", "evaluate.with=[]", *sets]
    argv = ["vlc_cli", "train", "tiny.yaml", *(f"--set={one}" for one in both)]
    return elsewhere.run(*argv, cwd=elsewhere.folder.parent / "work")


def losses(elsewhere: Elsewhere, output: str) -> list[dict[str, float]]:
    text = (elsewhere.folder.parent / "work" / output / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_it_is_as_short_as_promised():
    assert sum(bool(line.strip()) for line in TOML.splitlines()) <= 12
    assert sum(bool(line.strip()) for line in (PLUGIN + OBJECTIVE).splitlines()) < 30


def test_it_is_listed_with_its_summary_and_version(installed):
    listed = json.loads(installed.run("vlc_cli", "list-plugins", "--json", cwd=installed.folder).stdout)
    (row,) = [row for row in listed if row["plugin"] == "pairwise"]
    assert (row["kind"], row["name"], row["version"], row["status"]) == ("objective", "sigmoid", "1.0", "ok")
    assert row["summary"] == "Every pair is a yes-or-no question"
    assert "clip" in {row["name"] for row in listed}


def test_its_option_is_shown_as_its_author_wrote_it(installed):
    shown = installed.run("vlc_cli", "show-plugin", "pairwise/sigmoid", cwd=installed.folder).stdout
    line = next(line for line in shown.splitlines() if line.startswith("bias"))
    assert "float" in line
    assert "-10.0" in line
    assert "Where the learned bias of the logits starts." in line


def test_it_trains_alone(installed):
    done = train(installed, "alone", "objectives=[{use: sigmoid, bias: -5}]")
    assert done.returncode == 0, done.stderr
    rows = losses(installed, "alone")
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[0]["loss"] == rows[0]["loss/sigmoid"]


def test_it_trains_beside_clip_with_a_weight(installed):
    done = train(installed, "both", "objectives=[{use: clip}, {use: sigmoid, weight: 0.5}]")
    assert done.returncode == 0, done.stderr
    for row in losses(installed, "both"):
        assert row["loss"] == pytest.approx(row["loss/clip"] + 0.5 * row["loss/sigmoid"], rel=1e-5)


def test_its_mistyped_option_is_told_the_right_one(installed):
    done = train(installed, "mistyped", "objectives=[{use: sigmoid, bais: -5}]")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'bais'" in done.stderr or "bais" in done.stderr
    assert "'bias'" in done.stderr
    assert not (installed.folder.parent / "work" / "mistyped").exists()


def test_uninstalled_it_leaves_no_trace(installed):
    removed = installed.run("pip", "uninstall", "--yes", "vlc-plugin-pairwise", cwd=installed.folder)
    assert removed.returncode == 0, removed.stderr
    assert not [name for name in installed.files() if "pairwise" in name]
    listed = installed.run("vlc_cli", "list-plugins", cwd=installed.folder)
    assert "pairwise" not in listed.stdout + listed.stderr
    done = train(installed, "gone", "objectives=[{use: sigmoid}]")
    assert done.returncode == 2
    assert "'sigmoid'" in done.stderr


def test_the_environment_of_the_tests_never_saw_it():
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vlc_plugin_pairwise') is not None)"
    subprocess.run([sys.executable, "-c", code], check=True)
