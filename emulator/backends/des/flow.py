"""One transfer in the fluid engine: the facts of its path, its phase, and what will happen to it next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import TYPE_CHECKING

from emulator.backends.des.timeline import Medium, Resource
from emulator.backends.des.transfer import (
    CONTROL_PACKET_BYTES,
    GOODPUT,
    INITIAL_WINDOW,
    MSS_BYTES,
    PACKET_BYTES,
    loss_bound_bps,
    path_loss,
    rto_s,
    segments_before_loss,
    tail_probe_s,
)

if TYPE_CHECKING:
    from emulator.plan import Direction, Hop

MIN_ROUND_S = 1e-6
"""Shortest round counted, so that a path without delay cannot make endless rounds at one time."""


class Phase(Enum):
    """Where a flow is in its life."""

    CONNECTING = "connecting"
    SENDING = "sending"
    STALLED = "stalled"
    DRAINING = "draining"


class Step(Enum):
    """What happens at a flow's deadline."""

    CONNECTED = "connected"
    ROUND = "round"
    FIRST_LOSS = "first loss"
    SENT = "sent"
    DELIVERED = "delivered"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class PathFacts:
    """A path at a moment.

    Attributes:
        rtt_s: Propagation there and back.
        owd_s: Propagation there, plus the packet time of every link but the slowest (store and forward).
        round_s: Time from sending a segment to its ACK on an idle path: ``rtt_s`` and all packet times.
        rate_bps: Payload rate of the slowest link.
        loss: Of a data packet; lost ACKs do no harm.
        weight: For sharing: 1 / (RTT + half the slowest link's full queue).
        handshake_s: Time two SYN-sized packets take on the slowest link.
        rto_s: Retransmission time-out.
        down_link: First link that lets nothing pass; empty if the path is up.
    """

    rtt_s: float
    owd_s: float
    round_s: float
    rate_bps: float
    loss: float
    weight: float
    handshake_s: float
    rto_s: float
    down_link: str


def path_facts(media: Sequence[tuple[Medium, Direction]]) -> PathFacts:
    """Return the facts of a path over the present states of its links.

    Jitter is read as symmetric about ``delay_s``: it lengthens the RTO (``4 *`` the summed deviation), not the mean
    RTT.
    """
    if not media:
        return PathFacts(0.0, 0.0, MIN_ROUND_S, inf, 0.0, 1.0, 0.0, rto_s(0.0), "")
    forward = [medium.state(direction) for medium, direction in media]
    back = [medium.state("down" if direction == "up" else "up") for medium, direction in media]
    down_link = next((medium.name for medium, _ in media if not medium.is_passing), "")
    slowest = min(range(len(media)), key=lambda k: forward[k].rate_bps)
    rate_bps = forward[slowest].rate_bps
    packet_s = [PACKET_BYTES * 8 / state.rate_bps if state.rate_bps > 0 else 0.0 for state in forward]
    rtt_s = sum(state.delay_s for state in forward) + sum(state.delay_s for state in back)
    queue_s = media[slowest][0].queue_bytes * 8 / rate_bps if rate_bps > 0 else 0.0
    return PathFacts(
        rtt_s=rtt_s,
        owd_s=sum(state.delay_s for state in forward) + sum(packet_s) - packet_s[slowest],
        round_s=max(MIN_ROUND_S, rtt_s + sum(packet_s)),
        rate_bps=rate_bps * GOODPUT,
        loss=path_loss([state.loss for state in forward]),
        weight=1.0 / max(MIN_ROUND_S, rtt_s + queue_s / 2),
        handshake_s=2 * CONTROL_PACKET_BYTES * 8 / rate_bps if rate_bps > 0 else 0.0,
        rto_s=rto_s(rtt_s, sum(state.jitter_s for state in forward + back)),
        down_link=down_link,
    )


@dataclass(slots=True, eq=False)
class Flow:
    """A transfer that is not over. ``window`` is infinite once it no longer holds the flow back."""

    flow_id: str
    order: int
    hops: tuple[Hop, ...]
    media: tuple[tuple[Medium, Direction], ...]
    size_bytes: float
    setup_rtts: float
    extra_latency_s: float
    initial_window: float
    path: PathFacts
    uses: tuple[tuple[Resource, float], ...] = ()
    phase: Phase = Phase.CONNECTING
    remaining_bytes: float = 0.0
    counted_bytes: float = 0.0  # part of the size already added to the links' counters
    rate_bps: float = 0.0
    bound_bps: float = 0.0
    settled_s: float = 0.0
    window: float = INITIAL_WINDOW
    round_end_s: float = inf
    round_from_bytes: float = 0.0  # remaining_bytes when the round began
    is_last_window: bool = False
    loss_from_bytes: float = -1.0  # remaining_bytes at which the first loss strikes; -1 for never
    stalled_s: float = 0.0
    cut_rto_s: float = 0.0
    cut_probe_s: float = 0.0
    is_connected: bool = False
    deadline_s: float = inf
    step: Step = Step.CONNECTED
    version: int = 0

    @property
    def sent_bytes(self) -> float:
        """Payload that has left the sender."""
        return self.size_bytes - self.remaining_bytes

    def settle(self, now_s: float) -> None:
        """Count what was sent since the last call at the present rate."""
        if self.rate_bps > 0:
            sent_bytes = self.rate_bps * (now_s - self.settled_s) / 8
            self.remaining_bytes = max(0.0, self.remaining_bytes - sent_bytes)
        self.settled_s = now_s

    def wanted_bps(self) -> float:
        """Return the rate the flow would use on an empty network: path, window over a round, and loss."""
        bound_bps = self.path.rate_bps
        if self.is_lossy:
            bound_bps = min(bound_bps, loss_bound_bps(self.path.loss, self.path.round_s))
        if self.window != inf and not self.is_last_window:
            bound_bps = min(bound_bps, self._window_bps())
        return bound_bps

    @property
    def is_lossy(self) -> bool:
        """True once the first loss has ended slow start."""
        return self.remaining_bytes <= self.loss_from_bytes

    def _window_bps(self) -> float:
        return self.window * MSS_BYTES * 8 / self.path.round_s

    def start_round(self, now_s: float, window: float) -> None:
        """Begin a round of slow start with ``window`` segments.

        The last window leaves as fast as the path lets it; earlier ones are spread over the round. The window is
        dropped when it fills the path or exceeds what losses allow.
        """
        self.window = window
        self.round_end_s = now_s + self.path.round_s
        self.round_from_bytes = self.remaining_bytes
        self.is_last_window = self.remaining_bytes <= window * MSS_BYTES * (1 + 1e-9)
        ceiling_bps = self.path.rate_bps
        if self.is_lossy:
            ceiling_bps = min(ceiling_bps, loss_bound_bps(self.path.loss, self.path.round_s))
        if self._window_bps() >= ceiling_bps:
            self.window = inf

    def end_round(self, now_s: float) -> None:
        """Let the window grow by what was acknowledged, unless something other than the window held the flow back."""
        if self.rate_bps < self.bound_bps * (1 - 1e-9):
            self.window = inf  # its share of a full link is less than the window: from here on the ACKs clock it
            return
        sent = (self.round_from_bytes - self.remaining_bytes) / MSS_BYTES
        full = sent >= self.window * (1 - 1e-6)
        self.start_round(now_s, 2 * self.window if full else self.window + sent)

    def expect_loss(self) -> None:
        """Work out where the first loss strikes, counted from the bytes still to send."""
        if self.path.loss <= 0:
            self.loss_from_bytes = -1.0
            return
        segments = self.remaining_bytes / MSS_BYTES
        before = segments_before_loss(self.path.loss, segments)
        self.loss_from_bytes = self.remaining_bytes - before * MSS_BYTES if before < segments else -1.0

    def next_step(self) -> tuple[float, Step]:
        """Return what ends the present stretch of constant rate, and when."""
        if self.rate_bps <= 0:
            return inf, Step.SENT
        per_byte_s = 8 / self.rate_bps
        when_s, step = self.settled_s + self.remaining_bytes * per_byte_s, Step.SENT
        if 0 <= self.loss_from_bytes < self.remaining_bytes:
            loss_s = self.settled_s + (self.remaining_bytes - self.loss_from_bytes) * per_byte_s
            if loss_s < when_s:
                when_s, step = loss_s, Step.FIRST_LOSS
        if self.window != inf and not self.is_last_window and self.round_end_s < when_s:
            when_s, step = max(self.settled_s, self.round_end_s), Step.ROUND
        return when_s, step

    def cut(self, now_s: float, path: PathFacts) -> None:
        """Remember the time-outs that rule the probing over an outage that begins now; ``path`` as it was before."""
        self.stalled_s = now_s
        self.cut_rto_s = path.rto_s
        self.cut_probe_s = tail_probe_s(path.rtt_s, path.rto_s) + path.rto_s
