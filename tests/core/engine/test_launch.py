"""Ranks of one machine start together and end together, whatever ends the first of them. Scripts stand for ``vlc``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from vlc_core.engine import launch
from vlc_core.errors import RankLost

# What starts the ranks of a script: a process of its own, so that signals do not reach the tests.
STARTER = """
import sys
from vlc_core.engine import launch
from vlc_core.errors import RankLost

launch._command = lambda: [sys.executable, sys.argv[1]]
launch.SPEAK_SECONDS, launch.GRACE_SECONDS = 0.3, float(sys.argv[3])
try:
    sys.exit(launch.keep_running(sys.argv[5:], int(sys.argv[2]), restarts=int(sys.argv[4])))
except RankLost as error:
    print(error, file=sys.stderr)
    sys.exit(6)
"""

HEAD = """
import os, pathlib, signal, sys, time
rank, world, folder = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), pathlib.Path(__file__).parent
(folder / f"pid-{rank}").write_text(str(os.getpid()))
def others():
    deadline = time.monotonic() + 20
    while len(list(folder.glob("pid-*"))) < world and time.monotonic() < deadline:
        time.sleep(0.01)
"""


def start(
    tmp_path: Path, body: str, *argv: str, ranks: int = 2, grace: float = 5.0, restarts: int = 0
) -> subprocess.Popen[str]:
    script = tmp_path / "rank.py"
    script.write_text(HEAD + textwrap.dedent(body))
    command = [sys.executable, "-c", STARTER, str(script), str(ranks), str(grace), str(restarts), *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], tmp_path: Path) -> tuple[int, str, str]:
    """How the starter ended; nothing that it started lives on."""
    out, err = process.communicate(timeout=60)
    assert_none_lives(tmp_path)
    return process.returncode, out, err


def assert_none_lives(tmp_path: Path, within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    pids = [int(path.read_text() or 0) for path in tmp_path.glob("pid-*")]
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"of {pids} some live on"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(tmp_path: Path, ranks: int = 2, name: str = "pid") -> None:
    deadline = time.monotonic() + 30
    while len([p for p in tmp_path.glob(f"{name}-*") if p.stat().st_size]) < ranks:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_rank_is_told_its_place_and_the_arguments(tmp_path: Path):
    body = """
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")
        line = " ".join([*(os.environ[n] for n in names), *sys.argv[1:]])
        (folder / f"told-{rank}").write_text(line + " " + os.environ["MASTER_PORT"])
    """
    assert ended(start(tmp_path, body, "train", "r.yaml", ranks=3), tmp_path) == (0, "", "")
    told = [(tmp_path / f"told-{rank}").read_text().rsplit(" ", 1) for rank in range(3)]
    assert [line for line, _ in told] == [f"{rank} {rank} 3 127.0.0.1 train r.yaml" for rank in range(3)]
    assert len({port for _, port in told}) == 1


def test_threads_are_shared_among_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    body = '(folder / f"threads-{rank}").write_text(os.environ["OMP_NUM_THREADS"])'
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert ended(start(tmp_path, body), tmp_path)[0] == 0
    assert int((tmp_path / "threads-0").read_text()) == max(1, (os.cpu_count() or 1) // 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert ended(start(tmp_path, body), tmp_path)[0] == 0
    assert (tmp_path / "threads-1").read_text() == "5"


@pytest.mark.parametrize(("rank", "code"), [(0, 3), (1, 4)])
def test_the_code_of_the_rank_that_failed_is_the_code(tmp_path: Path, rank: int, code: int):
    body = f"""
        others()
        if rank == {rank}: sys.exit({code})
        time.sleep(60)
    """
    begun = time.monotonic()
    assert ended(start(tmp_path, body), tmp_path)[0] == code
    assert time.monotonic() - begun < 20


def test_the_others_may_say_what_they_met(tmp_path: Path):
    body = """
        if rank == 1: sys.exit(4)
        time.sleep(0.1); print("so it was", flush=True); sys.exit(4)
    """
    assert ended(start(tmp_path, body), tmp_path)[:2] == (4, "so it was\n")


def test_a_rank_that_is_killed_is_lost_and_the_others_are_stopped(tmp_path: Path):
    process = start(tmp_path, "time.sleep(60)", ranks=3)
    wait_for(tmp_path, 3)
    begun = time.monotonic()
    os.kill(int((tmp_path / "pid-1").read_text()), signal.SIGKILL)
    code, _, err = ended(process, tmp_path)
    assert code == 6
    assert "rank 1 was ended by SIGKILL; the others were stopped" in err
    assert "--resume" in err
    assert time.monotonic() - begun < 5


def test_ranks_that_do_not_heed_are_killed(tmp_path: Path):
    body = """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (folder / f"deaf-{rank}").write_text("yes")
        time.sleep(60)
    """
    process = start(tmp_path, body, grace=0.5)
    wait_for(tmp_path, 2, "deaf")
    os.kill(int((tmp_path / "pid-0").read_text()), signal.SIGKILL)
    assert ended(process, tmp_path)[0] == 6


SAVING = """
    def note(number, frame):
        global asked
        if asked: os._exit(99)  # the second ends at once, and what was being saved is lost
        asked = number
    asked = 0
    signal.signal(signal.SIGINT, note); signal.signal(signal.SIGTERM, note)
    (folder / f"ready-{rank}").write_text("yes")
    while not asked: time.sleep(0.01)
    if rank == 0: time.sleep(1.5); (folder / "saved").write_text("yes")
    sys.exit(128 + asked)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_reaches_every_rank_once_and_the_one_that_saves_is_waited_for(tmp_path: Path, number, code):
    process = start(tmp_path, SAVING)
    wait_for(tmp_path, 2, "ready")
    process.send_signal(number)
    assert ended(process, tmp_path)[0] == code
    assert (tmp_path / "saved").exists()


def test_a_signal_before_ranks_can_hear_it_ends_them(tmp_path: Path):
    process = start(tmp_path, "time.sleep(60)")
    wait_for(tmp_path)
    process.send_signal(signal.SIGTERM)
    assert ended(process, tmp_path) == (143, "", "")


@pytest.mark.skipif(sys.platform != "linux", reason="the death of a parent is told on Linux alone")
def test_ranks_do_not_outlive_who_started_them(tmp_path: Path):
    process = start(tmp_path, "time.sleep(60)")
    wait_for(tmp_path)
    process.kill()
    process.communicate(timeout=10)
    assert_none_lives(tmp_path)


def test_a_rank_that_cannot_be_started_takes_the_others_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "rank.py").write_text(HEAD + "time.sleep(60)")
    started: list[launch.Process] = []

    def failing(command, environment):
        if started:
            raise OSError("no more processes")
        started.append(real(command, environment))
        return started[0]

    real = launch._start
    monkeypatch.setattr(launch, "_command", lambda: [sys.executable, str(tmp_path / "rank.py")])
    monkeypatch.setattr(launch, "_start", failing)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(OSError, match="no more processes"):
        launch.spawn([], 2)
    assert started[0].poll() == -signal.SIGKILL
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_lost_rank_is_an_error_with_a_code_of_its_own():
    assert RankLost.exit_code == 6


DIES = """
starts = len(list(folder.glob(f"start-{rank}-*")))
(folder / f"start-{rank}-{starts}").write_text(" ".join(sys.argv[1:]))
others()
if rank == 1 and starts < %d:
    %s
"""
KILLED, LOST = "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(6)"


@pytest.mark.parametrize("way", [KILLED, LOST])
def test_ranks_start_again_with_resume_where_one_was_lost(tmp_path: Path, way: str):
    code, _, err = ended(start(tmp_path, DIES % (2, way), "train", "r.yaml", restarts=3), tmp_path)
    assert code == 0, err
    assert [path.read_text() for path in sorted(tmp_path.glob("start-1-*"))] == [
        "train r.yaml",
        "train r.yaml --resume",
        "train r.yaml --resume",
    ]
    assert "starting again from the last checkpoint, 2 restarts left" in err


@pytest.mark.parametrize(("way", "restarts"), [(KILLED, 1), (KILLED, 0), (LOST, 1)])
def test_one_more_loss_than_restarts_ends_the_run(tmp_path: Path, way: str, restarts: int):
    code, _, _ = ended(start(tmp_path, DIES % (9, way), "train", "r.yaml", restarts=restarts), tmp_path)
    assert code == 6
    assert len(list(tmp_path.glob("start-1-*"))) == restarts + 1


def test_any_other_end_is_not_started_again(tmp_path: Path):
    code, _, err = ended(start(tmp_path, DIES % (9, "sys.exit(3)"), "train", restarts=3), tmp_path)
    assert code == 3
    assert len(list(tmp_path.glob("start-1-*"))) == 1, err
