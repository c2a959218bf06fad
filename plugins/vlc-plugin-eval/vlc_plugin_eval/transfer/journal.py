"""What each setting gave, kept line by line, so that a command that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vlc_core.errors import StorageError

Result = dict[str, float]
Told = Mapping[str, Any]


class Journal:
    """A file with one line in JSON for each setting that is done: what it was, and what came out.

    A line that a kill cut short is passed over, and its setting done again.

    Args:
        file: Is made where it is missing.
        common: What all settings from here on depend on, in JSON values: the model, the version.

    Raises:
        StorageError: It cannot be written.
    """

    def __init__(self, file: Path, common: Told) -> None:
        self._file, self._common = file, dict(common)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a+", encoding="utf-8") as opened:
                opened.seek(0)
                text = opened.read()
                if text and not text.endswith("\n"):
                    opened.write("\n")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise StorageError(f"{file} cannot be used ({why}): remove it, or choose another place by -o") from error
        self._known = dict(pair for line in text.splitlines() if (pair := _read(line)) is not None)

    def done(self, what: Told, work: Callable[[], Result], *, name: str) -> Result:
        """What ``work`` gives for the setting ``what``, or gave before.

        Args:
            what: All that the result depends on, beside what is common to all.
            work: Makes it.
            name: For people who read the file; it is no part of what is compared.

        Raises:
            StorageError: The line cannot be written.
        """
        key = hashlib.sha256(json.dumps({**self._common, **what}, sort_keys=True).encode()).hexdigest()[:32]
        if key not in self._known:
            result = work()
            self._append({"key": key, "name": name, "what": dict(what), "result": result})
            self._known[key] = result
        return self._known[key]

    def _append(self, line: Told) -> None:
        try:
            with self._file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(line) + "\n")
        except OSError as error:
            raise StorageError(
                f"{self._file} cannot be written ({error.strerror or error}): make room, and give the command again"
            ) from error


def _read(line: str) -> tuple[str, Result] | None:
    try:
        told = json.loads(line)
        return str(told["key"]), {str(name): float(value) for name, value in told["result"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
