"""The engine's queue of predicted times, in which a prediction that was overtaken is dropped when it comes up."""

from __future__ import annotations

import heapq
from math import inf
from typing import Final

from emulator.backends.des.flow import Flow, Step
from emulator.backends.des.timeline import Medium

SPARE_ENTRIES: Final = 64


class Agenda:
    """One heap: each flow's next step (valid while its version is unchanged) and each watched link's next state change.

    At equal times links come first, then flows in order of their start.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Flow | Medium]] = []
        self._valid = 0  # entries that were not overtaken

    def schedule(self, flow: Flow, when_s: float, step: Step) -> None:
        """Set what happens to ``flow`` next; an infinite time for nothing."""
        if flow.step is step and flow.deadline_s == when_s:
            return
        self.cancel(flow)
        flow.deadline_s, flow.step = when_s, step
        if when_s < inf:
            heapq.heappush(self._heap, (when_s, flow.order, flow.version, flow))
            self._valid += 1
        if len(self._heap) > SPARE_ENTRIES + 4 * self._valid:
            self._heap = [entry for entry in self._heap if self._is_valid(*entry)]
            heapq.heapify(self._heap)

    def cancel(self, flow: Flow) -> None:
        """Drop what was to happen to ``flow``."""
        if flow.deadline_s < inf:
            self._valid -= 1
        flow.version += 1
        flow.deadline_s = inf

    def watch(self, medium: Medium) -> None:
        """Queue the link's next state change while a flow depends on it."""
        change_s = medium.next_change_s
        if not medium.watchers or change_s == medium.scheduled_s:
            return
        self._forget(medium)
        if change_s < inf:
            medium.scheduled_s = change_s
            heapq.heappush(self._heap, (change_s, -1 - medium.index, 0, medium))
            self._valid += 1

    def next_s(self) -> float:
        """Return the earliest time at which something happens, infinite for never."""
        heap = self._heap
        while heap:
            entry = heap[0]
            if self._is_valid(*entry):
                medium = entry[3]
                if not isinstance(medium, Medium) or medium.watchers:
                    return entry[0]
                self._forget(medium)
            heapq.heappop(heap)
        return inf

    def pop(self) -> Flow | Medium:
        """Take out what ``next_s`` told of; a flow keeps its ``step``, which is then the caller's to carry out."""
        subject = heapq.heappop(self._heap)[3]
        if isinstance(subject, Medium):
            self._forget(subject)
        else:
            self.cancel(subject)
        return subject

    def _forget(self, medium: Medium) -> None:
        if medium.scheduled_s < inf:
            self._valid -= 1
        medium.scheduled_s = inf

    @staticmethod
    def _is_valid(when_s: float, _order: int, version: int, subject: Flow | Medium) -> bool:
        return subject.scheduled_s == when_s if isinstance(subject, Medium) else subject.version == version
