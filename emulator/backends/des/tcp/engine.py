"""The event loop of the packet-level model, and the way of a packet along its path."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from emulator.backends.des.tcp.pipe import Pipe

Handler = Callable[[float, Any], None]
Stages = tuple[tuple[Pipe, ...], ...]


class Engine:
    """A clock and a heap of what is to happen; equal times happen in the order in which they were scheduled.

    Attributes:
        now_s: Time of the last event.
        events: Events so far: the measure of the cost.
    """

    __slots__ = ("_heap", "_scheduled", "events", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Handler, Any]] = []
        self._scheduled = 0

    def at(self, when_s: float, handler: Handler, what: Any = None) -> None:
        """Let ``handler(when_s, what)`` be called at ``when_s``."""
        self._scheduled += 1
        heapq.heappush(self._heap, (when_s, self._scheduled, handler, what))

    def next_s(self) -> float:
        """Return the time of the next event, infinite for none."""
        return self._heap[0][0] if self._heap else float("inf")

    def step(self) -> None:
        """Carry out the next event."""
        when_s, _, handler, what = heapq.heappop(self._heap)
        self.now_s = when_s
        self.events += 1
        handler(when_s, what)

    def carry(self, now_s: float, stages: Stages, size_bytes: int, handler: Handler, what: Any) -> None:
        """Send a packet down a path; ``handler`` is called when it arrives, and never if it is lost."""
        self._pass((stages, 0, size_bytes, handler, what), now_s)

    def _pass(self, packet: tuple[Stages, int, int, Handler, Any], now_s: float) -> None:
        stages, stage, size_bytes, handler, what = packet
        if not stages:
            self.at(now_s, handler, what)
            return
        for pipe in stages[stage]:
            now_s = pipe.carry(now_s, size_bytes)
            if now_s < 0:
                return
        stage += 1
        if stage == len(stages):
            self.at(now_s, handler, what)
        else:
            self.at(now_s, self._arrive, (stages, stage, size_bytes, handler, what))

    def _arrive(self, now_s: float, packet: tuple[Stages, int, int, Handler, Any]) -> None:
        self._pass(packet, now_s)
