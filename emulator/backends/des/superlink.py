"""The SuperLink's own time for the requests of messages, on top of its load of polls and heartbeats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from emulator.flower.load import idle_load, notice, request_s

if TYPE_CHECKING:
    from emulator.backends.des.world import World


class SuperLink:
    """Answers requests one after the other.

    A message's requests are taken as one piece of work in a queue: together they end when they would in truth, each by
    itself is off by less than one message. An overloaded SuperLink delays nothing here; ``notice`` says so.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        plan = world.plan
        self._request_s = request_s(plan)
        self._load = idle_load(len(plan.clients), plan.flower, self._request_s)
        self._free_s = 0.0
        self.notice = notice(self._load, plan.flower)

    def delay_s(self, requests: int) -> float:
        """Return how long ``requests`` that are made now, ``lanes`` at a time, wait for the SuperLink in all."""
        if self._request_s <= 0 or self._load.utilisation >= 1:
            return 0.0
        now_s = self._world.now_s
        self._free_s = max(self._free_s, now_s) + requests * self._request_s
        in_turn_s = math.ceil(requests / self._world.plan.flower.lanes) * self._load.response_s
        return max(self._free_s - now_s, in_turn_s)
