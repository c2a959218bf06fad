"""Commands that answer at once: they import nothing slow, and take little longer than what they stand on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vlc_core.testing.modules import module_at

SLOW = ("torch", "deepspeed", "numpy", "PIL", "transformers", "sklearn", "pyarrow")
PROBE = f"""
import sys
from vlc_cli.main import run
code = run(sys.argv[1:])
print([name for name in {SLOW!r} if name in sys.modules], code, file=sys.stderr)
"""
ROUNDS = 20
ENOUGH = 3


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["list-plugins"], 0),
        (["list-plugins", "--json"], 0),
        (["train", "--help"], 0),
        (["show-plugin", "encoders"], 0),
        (["show-plugin", "no-such-thing"], 2),
        (["trian"], 2),
        (["train", "no-such-recipe.yaml"], 2),
    ],
)
def test_nothing_slow_is_imported(argv, code):
    done = subprocess.run([sys.executable, "-c", PROBE, *argv], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == f"[] {code}"


@pytest.fixture(scope="module")
def startup():
    return module_at(Path(__file__).parents[2] / "benchmarks" / "startup.py")


@pytest.mark.parametrize("name", ["vlc --help", "vlc list-plugins", "vlc list-plugins --json"])
def test_a_command_takes_little_longer_than_the_imports_it_cannot_do_without(startup, name):
    """The least of several rounds: what else the machine does can only make a round slower."""
    baseline = taken = float("inf")
    for done in range(ROUNDS):
        baseline = min(baseline, startup.seconds(startup.BASELINE))
        taken = min(taken, startup.seconds(startup.COMMANDS[name]))
        if done >= ENOUGH and taken <= 1.5 * baseline + 0.05:
            return
    assert taken <= 1.5 * baseline + 0.05
