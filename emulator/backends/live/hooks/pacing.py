"""Changes how long Flower's modules pause: their ``time`` becomes one in which certain sleeps last as the scenario says."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any


class PacedTime:
    """Python's ``time`` for one module.

    Args:
        pauses: For each pause in the module's code, in seconds as written there, how long it is to last.
    """

    def __init__(self, pauses: Mapping[float, float]) -> None:
        self._pauses = dict(pauses)

    def sleep(self, seconds: float) -> None:
        """Sleep, as long as the scenario says where it says so."""
        time.sleep(self._pauses.get(seconds, seconds))

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)
