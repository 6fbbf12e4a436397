"""One direction of a link: a drop-tail FIFO queue, a transmitter, random loss and a propagation delay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence


class Transmitter:
    """What sends: its own for each direction of a link, shared by both on a half-duplex medium."""

    __slots__ = ("free_s", "is_shared")

    def __init__(self, is_shared: bool = False) -> None:
        self.free_s = 0.0
        self.is_shared = is_shared


class Pipe:
    """A directed link. ``carry`` must be called in order of arrival times.

    Attributes:
        name: For messages.
        byte_s: Seconds one byte takes to send; infinite where nothing passes.
        delay_s: Propagation delay.
        loss: Probability that a packet is lost on its way.
        limit: Packets that may wait beside the one being sent.
        carried_bytes: Bytes that were sent (also those then lost).
        dropped: Packets the queue refused.
        feeders: What hands packets to this pipe: other pipes, or None for a sender at its head.
    """

    __slots__ = (
        "_draw", "byte_s", "carried_bytes", "delay_s", "dropped", "feeders", "limit", "loss", "name", "starts",
        "transmitter",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        rate_bps: float,
        delay_s: float,
        *,
        loss: float = 0.0,
        limit: float = 1000,
        draw: Callable[[], float] | None = None,
        transmitter: Transmitter | None = None,
    ) -> None:
        if loss > 0 and draw is None:
            raise ValueError(f"pipe {name!r} loses packets and needs a random stream")
        self.name = name
        self.byte_s = 8 / rate_bps if rate_bps > 0 else float("inf")
        self.delay_s = delay_s
        self.loss = loss
        self.limit = limit
        self.carried_bytes = 0
        self.dropped = 0
        self.feeders: set[Pipe | None] = set()
        self.starts: deque[float] = deque()  # when each waiting packet will begin to be sent
        self.transmitter = transmitter or Transmitter()
        self._draw = draw

    @property
    def is_merging(self) -> bool:
        """True if packets from several places meet here, so that each must be handed over at its time of arrival."""
        return self.transmitter.is_shared or len(self.feeders) != 1 or None in self.feeders

    def carry(self, arrival_s: float, size_bytes: int) -> float:
        """Queue and send a packet; return when it reaches the far end, or -1 if it is lost."""
        starts = self.starts
        while starts and starts[0] <= arrival_s:
            starts.popleft()
        transmitter = self.transmitter
        start_s = transmitter.free_s
        if start_s > arrival_s:
            if len(starts) >= self.limit:
                self.dropped += 1
                return -1.0
            starts.append(start_s)
        else:
            start_s = arrival_s
        end_s = start_s + size_bytes * self.byte_s
        transmitter.free_s = end_s
        self.carried_bytes += size_bytes
        if self.loss and self._draw is not None and self._draw() < self.loss:
            return -1.0
        return end_s + self.delay_s


def stages(pipes: Sequence[Pipe]) -> tuple[tuple[Pipe, ...], ...]:
    """Split a path where packets of several origins meet.

    Within a stage every pipe is fed by the one before alone and keeps its order, so that a packet's whole way through
    it is known when it enters: one event for a stage instead of one for each link.
    """
    split: list[list[Pipe]] = []
    for position, pipe in enumerate(pipes):
        if position == 0 or pipe.is_merging:
            split.append([])
        split[-1].append(pipe)
    return tuple(tuple(stage) for stage in split)
