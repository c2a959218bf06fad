"""How long the command line takes to answer, against importing the four libraries that it stands on.

Run: ``python benchmarks/startup.py [ROUNDS]``. The processes compared take turns, so that a busy machine
slows all alike; medians are printed, and the ratio to the bare imports. The limit is 1.5 times those
plus 50 ms.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

BASELINE = (sys.executable, "-c", "import typer, rich, pydantic, pluggy")
COMMANDS = {
    "vlc --help": (sys.executable, "-m", "vlc_cli", "--help"),
    "vlc list-plugins": (sys.executable, "-m", "vlc_cli", "list-plugins"),
    "vlc list-plugins --json": (sys.executable, "-m", "vlc_cli", "list-plugins", "--json"),
}


def seconds(command: tuple[str, ...]) -> float:
    """How long ``command`` takes; it must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, list[float]]:
    """The times of the baseline, under the name ``imports``, and of every command, in ``rounds`` rounds."""
    commands = {"imports": BASELINE, **COMMANDS}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(rounds + 1):
        for name, command in commands.items():
            taken = seconds(command)
            if round_:  # the first one only warms the disk cache
                times[name].append(taken)
    return times


def main() -> None:
    times = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
    baseline = statistics.median(times.pop("imports"))
    limit = 1.5 * baseline + 0.05
    print(f"imports alone {1000 * baseline:.0f} ms, limit {1000 * limit:.0f} ms")
    for name, taken in times.items():
        median = statistics.median(taken)
        verdict = "within" if median <= limit else "OVER"
        print(f"{name:<24} {1000 * median:4.0f} ms   ratio {median / baseline:.2f}   {verdict} the limit")


if __name__ == "__main__":
    main()
