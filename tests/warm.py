"""The ``vlc`` command, begun from a process that has imported torch and DeepSpeed already.

Importing them is most of what a run of six steps takes. So this process does it once; then it reads requests from its
standard input, a line of JSON each: ``argv``, ``cwd``, ``env``, and the files ``out`` and ``err``. For each it forks;
the fork becomes the command, with its arguments, folder, variables and files, and ends as a command ends. The answer
is a line with its exit code. Ranks that the command starts are forks too.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence

PRELOADED = (
    "sklearn.datasets",
    "torch._dynamo",
    "vlc_cli.commands.eval",
    "vlc_cli.commands.train",
    "vlc_core.engine.setup",
    "vlc_core.engine.train",
    "vlc_core.inference",
    "deepspeed",
)


def main() -> None:
    """Answers requests until there are no more; in a fork, runs the command."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    _onto(1, os.devnull, os.O_WRONLY)  # DeepSpeed has something to say when it is imported
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            answers.close()
            _become(**request)
            return _command()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers)
    return None


def _become(argv: Sequence[str], cwd: str, env: Mapping[str, str], out: str, err: str) -> None:
    """This process as a fresh one would be."""
    os.setsid()
    os.chdir(cwd)
    _onto(0, os.devnull, os.O_RDONLY)
    _onto(1, out, os.O_WRONLY)
    _onto(2, err, os.O_WRONLY)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    _take(argv, env)


def _onto(descriptor: int, path: str, flags: int) -> None:
    opened = os.open(path, flags)
    os.dup2(opened, descriptor)
    os.close(opened)


def _take(argv: Sequence[str], env: Mapping[str, str]) -> None:
    import numpy as np
    import torch

    sys.argv = ["vlc", *argv]
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    # Nothing may rest on chance that all forks share.
    random.seed()
    np.random.seed()
    torch.seed()


def _command() -> None:
    from vlc_cli.main import main as vlc
    from vlc_core.engine import launch

    launch._start = Fork  # type: ignore[assignment,attr-defined]
    vlc()


class Fork:
    """A rank, as :class:`subprocess.Popen` shows it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        sys.stdout.flush()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            _take(command[3:], environment)  # after "python -m vlc_cli"
            try:
                _command()  # which leaves at once, as ranks do
            finally:
                os._exit(70)

    def poll(self) -> int | None:
        return self._look(os.WNOHANG)

    def wait(self) -> int | None:
        return self._look(0)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, how: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


if __name__ == "__main__":
    main()
