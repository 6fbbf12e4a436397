"""What the processes of a live run write down: one file each, one JSON object a line, times of the machine's monotonic clock.

The clock is one for all namespaces. A line is one ``write``, so that a killed process leaves whole lines and at most
half of the last.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Appends rows to ``folder/name.jsonl``."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, what: str, at_s: float | None = None, **fields: Any) -> None:
        """Append a row: what happened, and when (now by default)."""
        row = {"at_s": time.monotonic() if at_s is None else at_s, "what": what, **fields}
        os.write(self._descriptor, (json.dumps(row) + "\n").encode())


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole rows of one file; a last line that was cut short is left out."""
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield json.loads(line)


def read_journals(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all files in order of time; rows of the same instant keep their file's order."""
    rows = [row for path in sorted(folder.glob("*.jsonl")) for row in read_rows(path)]
    return sorted(rows, key=lambda row: float(row["at_s"]))
