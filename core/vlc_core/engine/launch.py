"""Starts the ranks of ``vlc train --devices N`` on this machine, and ends them together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from vlc_core.engine.ranks import launched as launched
from vlc_core.errors import RankLost

GRACE_SECONDS = 20.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def spawn(argv: Sequence[str], devices: int) -> int:
    """Runs ``python -m vlc_cli ARGV`` as ``devices`` ranks and waits for them.

    A signal to this process is passed on to every rank. When one rank fails, the others are given a moment to say why
    and are then stopped.

    Returns:
        The exit code of the first rank that failed, or 0.

    Raises:
        RankLost: A rank was killed.
    """
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(devices)}
    environment["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "vlc_cli", *argv],
            env={**os.environ, **environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            # One terminal, one Ctrl-C: it reaches the ranks once, through this process.
            start_new_session=True,
        )
        for rank in range(devices)
    ]
    with _forwarding(ranks):
        return _wait(ranks)


def _wait(ranks: list[subprocess.Popen[bytes]]) -> int:
    while True:
        codes = [process.poll() for process in ranks]
        failed = [(rank, code) for rank, code in enumerate(codes) if code]
        if failed:
            return _stop(ranks, *failed[0])
        if all(code == 0 for code in codes):
            return 0
        time.sleep(0.05)


def _stop(ranks: list[subprocess.Popen[bytes]], rank: int, code: int) -> int:
    deadline = time.monotonic() + GRACE_SECONDS
    for process in ranks:
        if code < 0 and process.poll() is None:
            process.terminate()
    for process in ranks:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if code < 0:
        name = signal.Signals(-code).name
        raise RankLost(
            f"rank {rank} was ended by {name}; the others were stopped: look for memory (vlc train … with a smaller "
            f"train.micro_batch_size) and go on with --resume"
        )
    return code


@contextmanager
def _forwarding(ranks: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    def forward(number: int, frame: FrameType | None) -> None:
        for process in ranks:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
