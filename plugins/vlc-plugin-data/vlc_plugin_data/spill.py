"""Tables that are written to a temporary file as they are read, and mapped: no copy of them in any process's memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable

import pyarrow as pa


def spilled(schema: pa.Schema, tables: Iterable[pa.Table]) -> pa.Table:
    """All ``tables`` as one, in a file (in ``TMPDIR``) that is already unlinked and lives as long as its mapping.

    Args:
        schema: Of each table.
        tables: Taken one at a time.
    """
    descriptor, name = tempfile.mkstemp(suffix=".arrow", prefix="vlc-")
    os.close(descriptor)
    try:
        with pa.OSFile(name, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for table in tables:
                writer.write_table(table)
        return pa.ipc.open_file(pa.memory_map(name)).read_all()
    finally:
        os.unlink(name)
