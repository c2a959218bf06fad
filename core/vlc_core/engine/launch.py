"""Starts the ranks of ``vlc train --devices N`` on this machine, and ends them together."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from vlc_core.engine.place import launched as launched
from vlc_core.errors import RankLost

SPEAK_SECONDS = 5.0
"""How long the other ranks may take to say what they met, before they are asked to stop."""
GRACE_SECONDS = 20.0
"""How long ranks that were asked to stop may take to save, before they are killed."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PARENT_DIED = 1  # PR_SET_PDEATHSIG of Linux's prctl

Process = subprocess.Popen[bytes]

log = logging.getLogger("vlc")


def keep_running(argv: Sequence[str], devices: int, *, restarts: int) -> int:
    """:func:`spawn`, and again from the last checkpoint where a rank was lost.

    Args:
        argv: Of ``vlc``.
        devices: How many ranks.
        restarts: How many times at most.

    Returns:
        The exit code of the last start.

    Raises:
        RankLost: A rank was killed at the last start too.
    """
    for left in range(restarts, 0, -1):
        try:
            code, why = spawn(argv, devices), "a rank lost touch with another"
        except RankLost as error:
            code, why = error.exit_code, str(error)
        if code != RankLost.exit_code:
            return code
        log.warning("%s; starting again from the last checkpoint, %d restarts left", why, left - 1)
        argv = [*(word for word in argv if word != "--resume"), "--resume"]
    return spawn(argv, devices)


def spawn(argv: Sequence[str], devices: int) -> int:
    """Runs ``python -m vlc_cli ARGV`` as ``devices`` ranks and waits for them.

    A signal to this process is passed on to every rank. When one rank fails, the others are given a moment to say why
    and are then stopped. None outlives this process.

    Returns:
        The exit code of the first rank that failed, or 0; 128 and the signal's number where a signal that was passed
        on ended a rank before it could save.

    Raises:
        RankLost: A rank was killed.
    """
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(devices)}
    environment["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    ranks: list[Process] = []
    with _passing_on(ranks) as passed:
        try:
            for rank in range(devices):
                own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
                ranks.append(_start([*_command(), *argv], {**os.environ, **environment, **own}))
            return _wait(ranks, passed)
        finally:
            for process in ranks:
                process.kill()
                process.wait()


def _command() -> list[str]:
    return [sys.executable, "-m", "vlc_cli"]


def _start(command: Sequence[str], environment: Mapping[str, str]) -> Process:
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def end_with_parent() -> None:
        if prctl is not None:
            prctl(_PARENT_DIED, signal.SIGTERM)

    return subprocess.Popen(
        command,
        env=environment,
        # One terminal, one Ctrl-C: it reaches the ranks once, through this process.
        start_new_session=True,
        preexec_fn=end_with_parent,  # no thread of ours runs yet
    )


def _wait(ranks: list[Process], passed: list[int]) -> int:
    while True:
        codes = [process.poll() for process in ranks]
        # A rank that stopped because it was asked to is done; the first one may still be saving.
        done = {0, *(128 + number for number in passed)}
        for rank, code in enumerate(codes):
            if code is not None and code not in done:
                return _stop(ranks, rank, code, passed)
        if None not in codes:
            return next((code for code in codes if code), 0)
        time.sleep(0.05)


def _stop(ranks: list[Process], rank: int, code: int, passed: list[int]) -> int:
    if not _end_within(ranks, SPEAK_SECONDS):
        for process in ranks:
            process.terminate()
        _end_within(ranks, GRACE_SECONDS)
    if code > 0:
        return code
    if -code in passed:
        return 128 - code
    raise RankLost(
        f"rank {rank} was ended by {signal.Signals(-code).name}; the others were stopped: look for memory (vlc train … "
        f"with a smaller train.micro_batch_size) and go on with --resume"
    )


def _end_within(ranks: list[Process], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(process.poll() is None for process in ranks):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def _passing_on(ranks: list[Process]) -> Iterator[list[int]]:
    """Passes signals on to ``ranks``, those that are started later too; gives the list of what was passed on."""
    passed: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        passed.append(number)
        for process in ranks:
            process.send_signal(number)  # does nothing where the process has ended

    before = {number: signal.signal(number, pass_on) for number in _SIGNALS}
    try:
        yield passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
