"""The virtual-time backend: makes the world, runs the ServerApp in it, and closes the log."""

from __future__ import annotations

import gc
from typing import Final

from emulator.backends.des.options import HostCost, RunOptions, Status
from emulator.events import EventLog
from emulator.flower import clock
from emulator.interrupts import deferred_interrupts
from emulator.plan import Plan

COLLECT_AFTER: Final = (50_000, 20, 50)
"""A world of many nodes is long-lived objects: Python's default would walk over all of them every few thousand messages."""

__all__ = ["HostCost", "RunOptions", "VirtualTimeBackend"]


class VirtualTimeBackend:
    """Runs a plan in virtual time."""

    name = "des"

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self.cost = HostCost()

    def available(self) -> str | None:
        """Return why this machine cannot run it; it always can."""
        return None

    def run(self, plan: Plan, log: EventLog) -> Status:
        """Carry out ``plan``.

        Returns:
            ``finished``, or ``interrupted`` after Ctrl-C.

        Raises:
            RunFailed: The ServerApp raised, the clock stood still, or the horizon was passed; the log is closed as ``failed``.
        """
        clock.install()  # before flwr and the app bind time.sleep and time.time by name
        from emulator.backends.des.session import AppSession, Session, TimingSession

        kind: type[Session] = TimingSession if plan.timing is not None else AppSession
        session = kind(plan, log, self._options)
        status: Status = "failed"
        log.append(0.0, "run_started", value=plan.seed, note=plan.scenario)
        thresholds = gc.get_threshold()
        gc.set_threshold(*COLLECT_AFTER)
        with deferred_interrupts():
            try:
                session.serve()
                status = "finished"
            except KeyboardInterrupt:
                status = "interrupted"
            finally:
                gc.set_threshold(*thresholds)
                self.cost = session.close(status)
        return status
