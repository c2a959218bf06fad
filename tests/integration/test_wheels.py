"""A method is installed by its bare name from the distributions that ``make wheels`` builds, and trains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SMALL = [
    "model.image={use: vit, size: 32, patch: 8, width: 16, depth: 1, heads: 2}",
    "model.text={use: text-transformer, width: 16, depth: 1, heads: 2, causal: false, pool: first, dropout: 0.1}",
    "model.fusion={use: cross-attention, depth: 1, heads: 2}",
    "model.momentum.queue=32",
    "data.train=[{use: shapes, size: 32, length: 128, labelled: false}]",
    "evaluate.with=[]",
    "train.steps=3",
    "train.batch_size=16",
]


def called(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What a command prints, if it ends well."""
    ours = ("DS_ACCELERATOR", "RANK", "WORLD_SIZE", "LOCAL_RANK", "VLC_PLUGINS", "PYTHONPATH", "MAKEFLAGS")
    env = {key: value for key, value in os.environ.items() if key not in ours}
    env |= {"OMP_NUM_THREADS": "1", **variables}
    line = [str(part) for part in command]
    done = subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which ``make wheels`` built."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    pytest.importorskip("hatchling", reason="distributions are built offline with an installed hatchling")
    built = tmp_path_factory.mktemp("wheels") / "dist"
    where = (f"VENV={sys.prefix}", f"DIST={built}", "WHEEL_FLAGS=--no-build-isolation")
    called("make", "wheels", *where, cwd=ROOT)
    return built


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has what vlc depends on and nothing of vlc."""
    made = tmp_path_factory.mktemp("fresh")
    borrowed = made / "borrowed"
    borrowed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("vlc", "_vlc", "__pycache__")) and entry.suffix != ".pth":
            (borrowed / entry.name).symlink_to(entry)
    called(sys.executable, "-m", "venv", "--without-pip", made / "env", cwd=made)
    (packages,) = (made / "env" / "lib").glob("python*/site-packages")
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")
    return made / "env" / "bin" / "python"


def test_every_distribution_is_built(wheels: Path):
    sources = [ROOT, *(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]
    expected = {"vlc-core" if source == ROOT else source.name for source in sources}
    assert {"vlc-core", "vlc-plugin-tcl", "vlc-plugin-unicl", "vlc-plugin-clip"} <= expected
    assert {path.name.split("-")[0].replace("_", "-") for path in wheels.glob("*.whl")} == expected


def test_tcl_is_installed_by_its_name_and_trains(wheels: Path, python: Path, tmp_path: Path):
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index"]
    called(*pip, "--find-links", wheels, "vlc-plugin-tcl", cwd=tmp_path)
    vlc = python.with_name("vlc")
    plugins = {row["plugin"] for row in json.loads(called(vlc, "list-plugins", "--json", cwd=tmp_path))}
    assert plugins == {"tcl", "encoders", "data", "eval"}
    place = called(python, "-c", "import vlc_core; print(vlc_core.__file__)", cwd=tmp_path)
    assert str(python.parents[1]) in place
    sets = [part for one in (*SMALL, "output=run") for part in ("--set", one)]
    assert "finished after 3 steps" in called(vlc, "train", "tcl/quick", *sets, cwd=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"loss/cma/i2t", "loss/imc/t2t", "loss/lmi/image", "loss/itm", "loss/mlm"} <= rows[-1].keys()
