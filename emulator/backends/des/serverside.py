"""The server as a machine: it computes, and it can be down.

While the server is down the ServerApp's requests and its own work wait; work that an outage cuts short starts again after it.
A ServerApp that is killed for good is another fault, not modelled here: Flower ends the run, and the app goes on in a new one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.backends.des.world import World


class ServerSide:
    """Lets the server's work pass in virtual time."""

    def __init__(self, world: World) -> None:
        self._world = world
        name = world.plan.server.name
        self._outages = sorted((o.start_s, o.end_s) for o in world.plan.outages if o.target == name)

    def wait_until_up(self) -> None:
        """Let time pass until the server is up; nothing where it is."""
        for start_s, end_s in self._outages:
            if start_s <= self._world.now_s < end_s:
                self._world.run_until(end_s)

    def compute(self, seconds: float, note: str) -> None:
        """Let ``seconds`` of work pass; ``note`` is ``aggregate`` or ``serve``."""
        while seconds > 0:
            self.wait_until_up()
            cut_s = min((start for start, _ in self._outages if start > self._world.now_s), default=math.inf)
            began_s = self._world.now_s
            self._row("compute_started", note)
            if cut_s > began_s + seconds:
                self._world.run_until(began_s + seconds)
                self._row("compute_finished", note, seconds)
                return
            self._world.run_until(math.nextafter(cut_s, 0.0))
            self._row("compute_lost", "server outage", self._world.now_s - began_s)
            self._world.run_until(cut_s)

    def _row(self, kind: str, note: str, value: float | None = None) -> None:
        world = self._world
        unit = "" if value is None else "s"
        world.log.append(
            world.now_s, kind, round=world.round, node=world.plan.server.name, value=value, unit=unit, note=note
        )
