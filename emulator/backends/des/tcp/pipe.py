"""One direction of a link: a drop-tail FIFO queue, a transmitter, random loss and a propagation delay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from emulator.backends.des.tcp.clock import NEVER_NS, to_ns


class Transmitter:
    """What sends: its own for each direction of a link, shared by both on a half-duplex medium."""

    __slots__ = ("free_ns", "is_shared")

    def __init__(self, is_shared: bool = False) -> None:
        self.free_ns = 0
        self.is_shared = is_shared


class Pipe:
    """A directed link. ``carry`` must be called in order of arrival times.

    Attributes:
        name: For messages.
        delay_ns: Propagation delay.
        jitter_ns: Standard deviation of the delay; packets keep their order.
        loss: Probability that a packet is lost on its way.
        limit: Packets that may wait beside the one being sent.
        carried_bytes: Bytes that were or will be sent (also those then lost); see ``sent_bytes``.
        dropped: Packets the queue refused.
        last_arrival_ns: When the last packet reaches, or reached, the far end.
        feeders: What hands packets to this pipe: other pipes, or None for a sender at its head.
        transmitter: What sends.
    """

    __slots__ = (
        "_busy_key", "_draw", "_rate_bps", "_sending_ns", "_tables_ns", "_tail_ns", "_times_ns", "_waiting", "carried_bytes",
        "delay_ns", "dropped", "feeders", "jitter_ns", "last_arrival_ns", "limit", "loss", "name", "transmitter",
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
        self.limit = limit
        self.carried_bytes = 0
        self.dropped = 0
        self.feeders: set[Pipe | None] = set()
        self.transmitter = transmitter or Transmitter()
        self._draw = draw
        self._waiting: deque[tuple[int, int]] = deque()  # when each waiting packet will begin to be sent, and its size
        self._sending_ns = 0  # when the packet now being sent began
        self._busy_key = 0
        self.last_arrival_ns = 0
        self._tail_ns = 0  # when the last accepted packet begins
        self.set_state(rate_bps, delay_s, loss)

    def set_state(self, rate_bps: float, delay_s: float, loss: float, jitter_s: float = 0.0) -> None:
        """Take a new rate (0: nothing passes), delay, loss and jitter, for packets from now on; see ``requeue``."""
        self._rate_bps = rate_bps
        self._times_ns: dict[int, int] = {}
        self._tables_ns: dict[tuple[int, ...], tuple[int, ...]] = {}
        self.delay_ns = to_ns(delay_s)
        self.jitter_ns = to_ns(jitter_s)
        self.loss = loss

    def cut(self, now_ns: int) -> None:
        """Lose what waits."""
        self.carried_bytes = self.sent_bytes(now_ns)
        self._waiting.clear()
        self.transmitter.free_ns = self._sending_ns = now_ns

    def take_over(self, now_ns: int, busy_ns: int, free_ns: int, size_bytes: int) -> None:
        """Go on from where packets of one size are sent one after the other from ``busy_ns`` to ``free_ns``; ``now_ns`` it is."""
        packet_ns = self.packet_ns(size_bytes)
        self.transmitter.free_ns = free_ns
        self._tail_ns = self._sending_ns = free_ns - packet_ns
        self._waiting.clear()
        while self._sending_ns >= now_ns and self._sending_ns > busy_ns:
            self._waiting.appendleft((self._sending_ns, size_bytes))
            self._sending_ns -= packet_ns

    def sent_bytes(self, now_ns: int) -> int:
        """Return the bytes whose transmission has begun by ``now_ns``."""
        return self.carried_bytes - sum(size for start_ns, size in self._waiting if start_ns > now_ns)

    def packet_ns(self, size_bytes: int) -> int:
        """Return the time it takes to send a packet."""
        time_ns = self._times_ns.get(size_bytes)
        if time_ns is None:
            time_ns = to_ns(size_bytes * 8 / self._rate_bps) if self._rate_bps > 0 else NEVER_NS
            self._times_ns[size_bytes] = time_ns
        return time_ns

    def times_ns(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the times it takes to send packets of these sizes."""
        times_ns = self._tables_ns.get(sizes)
        if times_ns is None:
            times_ns = self._tables_ns[sizes] = tuple(self.packet_ns(size) for size in sizes)
        return times_ns

    @property
    def is_passing(self) -> bool:
        """True if the pipe has a rate."""
        return self._rate_bps > 0

    @property
    def constants(self) -> tuple[float, int, float]:
        """Rate, delay and buffer."""
        return self._rate_bps, self.delay_ns, self.limit

    @property
    def is_merging(self) -> bool:
        """True if packets from several places meet here, so that each must be handed over at its time of arrival."""
        return self.transmitter.is_shared or len(self.feeders) != 1 or None in self.feeders

    def carry(self, arrival_ns: int, since_ns: int, size_bytes: int) -> tuple[int, int, int, int] | None:
        """Queue and send a packet that arrives at ``arrival_ns``, an event scheduled at ``since_ns``.

        Returns:
            When it reaches the far end, when its transmission begins, when what makes it begin was scheduled, and a
            number that orders the busy periods of several pipes; None if it is lost. The last three order events at
            equal times (see ``Engine``).
        """
        if self._rate_bps <= 0:
            self.dropped += 1
            return None
        waiting = self._waiting
        while waiting:
            first_ns = waiting[0][0]
            if first_ns > arrival_ns or (first_ns == arrival_ns and since_ns < self._sending_ns):
                break
            self._sending_ns = first_ns
            waiting.popleft()
        packet_ns = self._times_ns.get(size_bytes) or self.packet_ns(size_bytes)
        transmitter = self.transmitter
        start_ns, cause_ns = transmitter.free_ns, self._tail_ns
        if start_ns > arrival_ns or waiting:
            if len(waiting) >= self.limit:
                self.dropped += 1
                return None
            waiting.append((start_ns, size_bytes))
        else:
            if start_ns < arrival_ns or since_ns >= self._sending_ns:
                start_ns, cause_ns = arrival_ns, since_ns
                self._busy_key = -start_ns if since_ns < start_ns - packet_ns else start_ns
            self._sending_ns = start_ns
        self._tail_ns = start_ns
        transmitter.free_ns = end_ns = start_ns + packet_ns
        self.carried_bytes += size_bytes
        draw = self._draw
        if self.loss and draw is not None and draw() < self.loss:
            return None
        arrival_ns = end_ns + self.delay_ns
        if self.jitter_ns and draw is not None:  # the sum of three uniform draws, scaled to one deviation
            noisy_ns = arrival_ns + round((2 * (draw() + draw() + draw()) - 3) * self.jitter_ns)
            arrival_ns = max(self.last_arrival_ns, end_ns, noisy_ns)
        self.last_arrival_ns = arrival_ns
        return arrival_ns, start_ns, cause_ns, self._busy_key


def requeue(pipes: Sequence[Pipe], now_ns: int) -> None:
    """Work out anew when what waits on one transmitter begins to be sent, after a change of its rates.

    Where packets from now on find their place. Those that wait arrive when the old rate let them: that much a change of
    rate is late.
    """
    waiting = sorted(
        (start_ns, k, size) for k, pipe in enumerate(pipes) for start_ns, size in pipe._waiting if start_ns > now_ns
    )
    if not waiting:
        return
    for pipe in pipes:
        pipe._waiting.clear()
    start_ns = waiting[0][0]
    for _, k, size in waiting:
        pipes[k]._waiting.append((start_ns, size))
        pipes[k]._tail_ns = start_ns
        start_ns += pipes[k].packet_ns(size)
    pipes[0].transmitter.free_ns = start_ns


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
