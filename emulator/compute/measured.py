"""Cost of apps that report no work: measured once on the host, kept in the run folder, replayed by a rerun."""

from __future__ import annotations

import json
from pathlib import Path

FILE_NAME = "measurements.json"


class Measurements:
    """Figures by key: CPU seconds of a ClientApp call (``clinic-01/gateway#3 cpu_s``), its memory (``... peak_bytes``), and CPU
    seconds of the ServerApp between two Grid calls (``server#7 cpu_s``).

    Args:
        folder: Run folder in which they are kept.
        known: Measurements of an earlier run to replay.
    """

    def __init__(self, folder: Path, known: dict[str, float] | None = None) -> None:
        self._folder = folder
        self._known = known or {}
        self.used: dict[str, float] = {}

    def value(self, key: str, measured: float) -> float:
        """Return the known figure for ``key``, else what was measured just now, and remember what was used."""
        value = self._known.get(key, round(measured, 6))
        self.used[key] = value
        return value

    def save(self) -> None:
        """Write what was used; nothing where nothing was measured. Called at every closed round, lest a killed run lose it."""
        if self.used:
            partial = self._folder / f"{FILE_NAME}.partial"
            partial.write_text(json.dumps(self.used, separators=(",\n", ": "), sort_keys=True) + "\n")
            partial.replace(self._folder / FILE_NAME)


def load_measurements(folder: Path, replayed: Path) -> Measurements:
    """Return measurements to be kept in ``folder``, knowing those kept in ``replayed``, if any."""
    path = replayed / FILE_NAME
    return Measurements(folder, json.loads(path.read_text()) if path.exists() else None)
