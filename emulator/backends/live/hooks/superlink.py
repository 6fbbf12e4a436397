"""Gives slow processes more time to start: Flower takes a process that has not reported within 30 s for dead."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final

LEASE_VARIABLE: Final = "EMULATE_LIVE_LEASE_S"


def lengthen_lease() -> None:
    """Let SuperLink or SuperNode wait as long for the first word of a process as the run's environment says, if it does.

    A process that dies is noticed twice as late as that.
    """
    lease_s = os.environ.get(LEASE_VARIABLE)
    if lease_s is None:
        return
    for name in ("sql_corestate", "in_memory_corestate"):
        module: Any = import_module(f"flwr.supercore.corestate.{name}")
        module.HEARTBEAT_DEFAULT_INTERVAL = float(lease_s)
