"""One direction of a link as the userspace shaper treats it: a drop-tail queue, a rate, a delay. Pure: time is an argument.

A packet is dropped on arrival when the link is down or when the queue would hold more than ``queue_bytes`` (the
packet being sent not counted); it is sent when all before it are, for ``8 * size / rate`` seconds; then it is lost
with the state's probability, or arrives ``delay`` (plus jitter: normal, never before the packet ahead) later. Lost
packets use capacity, as on a real medium. What waits when the link goes down is dropped; what is under way arrives.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from emulator.plan import LinkState

DEFAULT_QUEUE_BYTES = 100 * 1500.0
"""Queue of a link whose profile gives none: what a small router has (100 packets)."""


@dataclass
class Counters:
    """What happened to the packets of one direction, since the run began."""

    sent_packets: int = 0
    sent_bytes: int = 0
    lost_packets: int = 0
    dropped_queue: int = 0
    dropped_down: int = 0
    expected_losses: float = 0.0
    loss_variance: float = 0.0


@dataclass(frozen=True)
class Sent:
    """A packet that has left its sender at ``at_s`` and arrives at ``due_s``; None where it is lost."""

    packet: bytes
    at_s: float
    due_s: float | None


class Medium:
    """What one packet at a time can occupy: one direction, or both of a half-duplex link."""

    def __init__(self) -> None:
        self.free_from_s = 0.0
        self.waiting: deque[tuple[Lane, bytes]] = deque()
        self.sending: tuple[Lane, bytes] | None = None


@dataclass
class Lane:
    """See the module docstring.

    Args:
        states: Rate, delay, jitter and loss by time; the first holds from the beginning.
        queue_bytes: Length of the queue.
        down: Times (start, end) at which nothing passes, in order and apart.
        draws: Gives losses and jitter.
        medium: Shared with the other direction where the link is half duplex.
    """

    states: Sequence[LinkState]
    queue_bytes: float
    down: Sequence[tuple[float, float]]
    draws: Random
    medium: Medium = field(default_factory=Medium)
    counters: Counters = field(default_factory=Counters)
    _queued_bytes: int = 0
    _last_due_s: float = 0.0

    def state(self, now_s: float) -> LinkState:
        """Return the state in force."""
        if len(self.states) == 1:
            return self.states[0]
        return self.states[max(0, bisect_right(self.states, now_s, key=lambda state: state.from_s) - 1)]

    def is_down(self, now_s: float) -> bool:
        """Whether nothing passes now."""
        if self.state(now_s).rate_bps <= 0:
            return True
        index = bisect_right(self.down, now_s, key=lambda span: span[0]) - 1
        return index >= 0 and now_s < self.down[index][1]

    def offer(self, packet: bytes, now_s: float) -> float | None:
        """Take a packet in; return when it will have been sent where it is being sent at once, else None."""
        if self.is_down(now_s):
            self.counters.dropped_down += 1
            return None
        medium = self.medium
        if medium.sending is None:
            return self._begin(packet, max(now_s, medium.free_from_s))
        if self._queued_bytes + len(packet) > self.queue_bytes:
            self.counters.dropped_queue += 1
            return None
        self._queued_bytes += len(packet)
        medium.waiting.append((self, packet))
        return None

    def _begin(self, packet: bytes, at_s: float) -> float:
        self.medium.sending = (self, packet)
        self.medium.free_from_s = at_s + 8 * len(packet) / self.state(at_s).rate_bps
        return self.medium.free_from_s

    def sent(self) -> tuple[Sent, float | None]:
        """The packet being sent has been sent: return it, and when the next one will have been (None where none waits)."""
        medium = self.medium
        assert medium.sending is not None  # the caller holds the time that ``offer`` or ``sent`` returned
        lane, packet = medium.sending
        at_s = medium.free_from_s
        medium.sending = None
        done = lane._launch(packet, at_s)
        while medium.waiting:
            following, waiting = medium.waiting.popleft()
            following._queued_bytes -= len(waiting)
            if not following.is_down(at_s):
                return done, following._begin(waiting, at_s)
            following.counters.dropped_down += 1
        return done, None

    def _launch(self, packet: bytes, at_s: float) -> Sent:
        state, counters = self.state(at_s), self.counters
        counters.sent_packets += 1
        counters.sent_bytes += len(packet)
        counters.expected_losses += state.loss
        counters.loss_variance += state.loss * (1 - state.loss)
        if state.loss > 0 and self.draws.random() < state.loss:
            counters.lost_packets += 1
            return Sent(packet, at_s, None)
        jitter_s = self.draws.gauss(0, state.jitter_s) if state.jitter_s > 0 else 0.0
        self._last_due_s = max(self._last_due_s, at_s + max(0.0, state.delay_s + jitter_s))
        return Sent(packet, at_s, self._last_due_s)


def merge_spans(spans: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return the union of time spans, in order and apart; empty ones are left out."""
    merged: list[tuple[float, float]] = []
    for start_s, end_s in sorted(span for span in spans if span[1] > span[0]):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_s))
        else:
            merged.append((start_s, end_s))
    return tuple(merged)
