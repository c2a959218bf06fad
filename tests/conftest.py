"""Fixtures that every test may use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# One thread a process: the suite runs in parallel, and sums come out in the same order on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DS_ACCELERATOR", "cpu")

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 200


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def well(self) -> Ended:
        """Itself, if it ended with 0 and had nothing to complain about."""
        assert self.code == 0, self.err
        assert self.err == ""
        return self

    def fine(self) -> str:
        """What it printed, if it ended with 0; it may have warned."""
        assert self.code == 0, self.err
        return self.out


Vlc = Callable[..., Ended]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The variables of a machine that has none of ours, but for one thread a process."""
    ours = ("DS_ACCELERATOR", "RANK", "WORLD_SIZE", "LOCAL_RANK", "VLC_PLUGINS", "PYTHONWARNINGS")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="session")
def vlc_path() -> str:
    """The installed ``vlc``, for tests that send it signals."""
    return str(Path(sys.executable).parent / "vlc")


@pytest.fixture(scope="session")
def installed_vlc(vlc_path: str, environment: dict[str, str]) -> Vlc:
    """Runs the installed ``vlc`` with arguments in a folder, as a user does: seconds of it are imports."""

    def run(*argv: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ended:
        done = subprocess.run(
            [vlc_path, *argv],
            cwd=cwd,
            env={**environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def vlc(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vlc]:
    """Runs ``vlc`` with arguments in a folder, in a process that need not import torch first: see warm.py."""
    folder = tmp_path_factory.mktemp("warm")
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "warm.py")],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as warm:
        assert warm.stdin is not None
        assert warm.stdout is not None

        def run(*argv: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ended:
            out, err = folder / "out", folder / "err"
            out.write_text("")
            err.write_text("")
            request = {"argv": argv, "cwd": str(cwd), "env": {**environment, **(env or {})}}
            print(json.dumps({**request, "out": str(out), "err": str(err)}), file=warm.stdin)
            code = int(warm.stdout.readline())
            return Ended(code, out.read_text(), err.read_text())

        yield run
        warm.stdin.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images and captions beside the checkout; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("VLC_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set VLC_TEST_DATA to a folder of test data")
    return folder


@pytest.fixture(scope="session")
def metrics() -> Callable[[Path], list[dict[str, Any]]]:
    """Reads the metrics of a run folder, without those that depend on the clock."""

    def read(run: Path) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in row.items() if key != "samples_per_second"} for row in rows]

    return read


@pytest.fixture(autouse=True, scope="module")
def _no_process_group_left() -> Iterator[None]:
    """Leaves the process group that a module's tests have joined: the next module may join one of its own."""
    yield
    if "torch.distributed" in sys.modules:
        from vlc_core.engine import ranks

        ranks.leave()
