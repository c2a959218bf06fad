"""What the library logs, on stderr: one line, told as a warning of vlc."""

from __future__ import annotations

import logging

from vlc_cli import failures


class WarningHandler(logging.Handler):
    """Tells warnings of the logger ``vlc``."""

    def emit(self, record: logging.LogRecord) -> None:
        failures.warn(record.getMessage())


def show_warnings() -> None:
    """Makes warnings that the library logs visible."""
    log = logging.getLogger("vlc")
    log.propagate = False
    log.handlers = [WarningHandler(logging.WARNING)]
