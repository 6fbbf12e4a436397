"""Failures: faults drawn ahead of the run, as data, in order of time.

A failure model is ``(view, streams, *, ...) -> Iterator[Outage | PlacedFault]``: a pure function of the network it is
shown (``View``) and of random streams it asks for by the name of what it draws for. Outages come in order of their
start; those that start at or after ``view.horizon_s`` are left out, and a longer horizon never changes an earlier one.
A parameter called ``for_`` is written ``for`` in a scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from emulator.models.failures.crash import crash
from emulator.models.failures.exponential import exponential
from emulator.models.failures.power_cuts import power_cuts
from emulator.models.failures.schedule import schedule
from emulator.models.failures.view import Reliability, View
from emulator.plan import Outage, PlacedFault

Fault = Outage | PlacedFault

FAILURES: dict[str, Callable[..., Iterator[Fault]]] = {
    "crash": crash,
    "exponential": exponential,
    "power_cuts": power_cuts,
    "schedule": schedule,
}

__all__ = ["FAILURES", "Fault", "Reliability", "View", "crash", "exponential", "power_cuts", "schedule"]
