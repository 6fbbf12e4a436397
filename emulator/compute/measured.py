"""CPU seconds of apps that report no work: measured once on the host, kept in the run folder, replayed by a rerun."""

from __future__ import annotations

import json
from pathlib import Path

FILE_NAME = "measurements.json"


class Measurements:
    """CPU seconds by key (``clinic-01/gateway#3`` for a ClientApp call, ``server#7`` for the ServerApp between two Grid calls).

    Args:
        known: Measurements of an earlier run to replay.
    """

    def __init__(self, known: dict[str, float] | None = None) -> None:
        self._known = known or {}
        self.used: dict[str, float] = {}

    def seconds(self, key: str, measured_s: float) -> float:
        """Return the known CPU seconds for ``key``, else ``measured_s``, and remember what was used."""
        value = self._known.get(key, round(measured_s, 6))
        self.used[key] = value
        return value

    def save(self, folder: Path) -> None:
        """Write what was used to ``folder``; nothing where nothing was measured."""
        if self.used:
            (folder / FILE_NAME).write_text(json.dumps(self.used, indent=0, sort_keys=True) + "\n")


def load_measurements(folder: Path) -> Measurements:
    """Return the measurements kept in ``folder``, empty where there are none."""
    path = folder / FILE_NAME
    return Measurements(json.loads(path.read_text())) if path.exists() else Measurements()
