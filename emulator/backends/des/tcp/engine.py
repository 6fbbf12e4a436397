"""The event loop of the packet-level model, and the way of a packet along its path."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

from emulator.backends.des.tcp.clock import NEVER_NS
from emulator.backends.des.tcp.pipe import Pipe

Handler = Callable[[int, Any], None]
Stages = tuple[tuple[Pipe, ...], ...]
Packet = tuple[Stages, int, int, Handler, Any]
"""Stages of the path, the next of them, size, and what is called with what on arrival."""


class Engine:
    """A clock and a heap of what is to happen.

    Events at one time happen in the order in which an event-per-transmission simulator would have scheduled them: a
    packet's arrival when its transmission began, that in turn when what made it begin was scheduled, and packets of
    transmitters that run in step by which of them began to be busy first. Links of equal
    rate make such ties the rule, and their order decides whose packets a full queue drops.

    Attributes:
        now_ns: Time of the last event.
        since_ns: When the last event was scheduled.
        events: Events so far: the measure of the cost.
    """

    __slots__ = ("_heap", "_scheduled", "events", "now_ns", "since_ns")

    def __init__(self) -> None:
        self.now_ns = 0
        self.since_ns = 0
        self.events = 0
        self._heap: list[tuple[int, int, int, int, int, Handler, Any]] = []
        self._scheduled = 0

    def at(self, when_ns: int, handler: Handler, what: Any = None) -> None:
        """Let ``handler(when_ns, what)`` be called at ``when_ns``."""
        self._scheduled += 1
        heapq.heappush(self._heap, (when_ns, self.now_ns, self.since_ns, 0, self._scheduled, handler, what))

    def next_ns(self) -> int:
        """Return the time of the next event, ``NEVER_NS`` for none."""
        return self._heap[0][0] if self._heap else NEVER_NS

    def step(self) -> None:
        """Carry out the next event."""
        self.now_ns, self.since_ns, _, _, _, handler, what = heapq.heappop(self._heap)
        self.events += 1
        handler(self.now_ns, what)

    def run(self, until_ns: int, told: Sequence[object] = ()) -> None:
        """Carry out all events up to ``until_ns``, or until ``told`` is not empty."""
        heap = self._heap
        while heap and heap[0][0] <= until_ns and not told:
            self.now_ns, self.since_ns, _, _, _, handler, what = heapq.heappop(heap)
            self.events += 1
            handler(self.now_ns, what)

    def carry(self, now_ns: int, stages: Stages, size_bytes: int, handler: Handler, what: Any) -> None:
        """Send a packet down a path; ``handler`` is called when it arrives, and never if it is lost."""
        if stages:
            self._pass(now_ns, (stages, 0, size_bytes, handler, what))
        else:
            self.at(now_ns, handler, what)

    def go_on(self, where: tuple[int, int], stages: Stages, size_bytes: int, handler: Handler, what: Any) -> None:
        """Let a packet enter a later stage of its path: its number, and when."""
        stage, when_ns = where
        self.at(when_ns, self._pass, (stages, stage, size_bytes, handler, what))

    def _pass(self, now_ns: int, packet: Packet) -> None:
        stages, stage, size_bytes, handler, what = packet
        since_ns, cause_ns, busy_key = self.since_ns, 0, 0
        for pipe in stages[stage]:
            passage = pipe.carry(now_ns, since_ns, size_bytes)
            if passage is None:
                return
            now_ns, since_ns, cause_ns, busy_key = passage
        self._scheduled += 1
        stage += 1
        if stage < len(stages):
            handler, what = self._pass, (stages, stage, size_bytes, handler, what)
        heapq.heappush(self._heap, (now_ns, since_ns, cause_ns, busy_key, self._scheduled, handler, what))
