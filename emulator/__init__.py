"""Emulates federated learning over real, bad networks. The small front door of the package.

``run`` carries out a scenario file and returns a ``Result``; ``load_scenario`` and ``plan_scenario`` stop earlier.
"""

from __future__ import annotations

from typing import Any

from emulator.errors import EmulatorError

__all__ = ["EmulatorError", "Plan", "Result", "Scenario", "load_scenario", "plan_scenario", "resume", "run"]

_HOMES = {
    "Plan": "emulator.plan",
    "Result": "emulator.runner",
    "Scenario": "emulator.scenario.model",
    "load_scenario": "emulator.scenario",
    "plan_scenario": "emulator.runner",
    "resume": "emulator.runner",
    "run": "emulator.runner",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import emulator`` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'emulator' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
