"""A transfer that has its path to itself, worked out in one go instead of event by event.

The very same TCP (RTT estimator and congestion control are the sender's own), without heap, packets and handlers: on a path of
one's own, packets and ACKs keep their order, so that two queues of arrival times are all there is to keep. The work stops
where more than that is needed (a data packet is lost, a queue is full, a timer fires) or where something else comes to the
path; ``hand_over`` then puts everything under way into the engine, which goes on from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from emulator.backends.des.tcp.clock import MILLISECOND_NS, NEVER_NS, to_ns, to_s
from emulator.backends.des.tcp.connection import Connection, Exchange, Route, Stray, Transfer
from emulator.backends.des.tcp.control import Control
from emulator.backends.des.tcp.engine import Stages
from emulator.backends.des.tcp.pipe import Pipe
from emulator.backends.des.tcp.state import SocketState

SYN: Final = 0
DATA: Final = 1
LAST: Final = 2
ACK: Final = 3
"""Sizes of packets: one of the handshake, a full segment, the last segment, an ACK."""
QUEUED: Final = (SYN, DATA, DATA, ACK)
"""What fills the queue that a packet meets."""
LOST: Final = -1
REFUSED: Final = -2
ON_ITS_WAY: Final = -3
"""Instead of a time of arrival: a packet lost, refused by a full queue, or between two links at the end of the solo."""


class Outcome(NamedTuple):
    """How a solo ends: after how long, whether with the last byte, and for each pipe since when it is busy, when it is
    free, what it carried, and the size of what may still wait there.
    """

    took_ns: int
    is_finished: bool
    pipes: tuple[tuple[int, int, int, int], ...]


class Track:
    """What a solo needs of one pipe: its constants, and when it is free again."""

    __slots__ = (
        "arrival_ns", "busy_ns", "carried_bytes", "delay_ns", "free_ns", "jitter_ns", "limit", "loss", "pipe", "stage",
        "times_ns",
    )  # fmt: skip

    def __init__(self, pipe: Pipe, stage: int, sizes: tuple[int, ...]) -> None:
        self.pipe = pipe
        self.stage = stage  # the stage that begins with this pipe, 0 where none does that packets of others could enter
        self.free_ns = pipe.transmitter.free_ns
        self.arrival_ns = pipe.last_arrival_ns
        self.delay_ns = pipe.delay_ns
        self.jitter_ns = pipe.jitter_ns
        self.loss = pipe.loss
        self.times_ns = pipe.times_ns(sizes)
        self.limit = pipe.limit
        self.busy_ns = self.free_ns  # since when it sends without a pause
        self.carried_bytes = 0

    def settle(self, now_ns: int, size_bytes: int) -> None:
        """Bring the pipe up to date; what still waits at ``now_ns`` are packets of ``size_bytes``."""
        self.pipe.carried_bytes += self.carried_bytes
        self.pipe.last_arrival_ns = self.arrival_ns
        self.pipe.take_over(now_ns, self.busy_ns, self.free_ns, size_bytes)


def _tracks(stages: Stages, sizes: tuple[int, ...]) -> list[Track]:
    return [
        Track(pipe, number if place == 0 else 0, sizes)
        for number, stage in enumerate(stages)
        for place, pipe in enumerate(stage)
    ]


class Solo:
    """One transfer alone on its path.

    Args:
        route: The path.
        size_bytes: Payload, above 0.
        state: The sender's, fresh.
        control: Its congestion control, fresh.
        draw: Uniform numbers for loss and jitter.
        round_trips: Exchanges before the first data.
        known_rtt_s: RTT of a connection that is open (0 round trips).

    Attributes:
        at_ns: How far it is worked out.
        is_finished: The last byte has arrived, at ``at_ns``.
    """

    def __init__(
        self,
        route: Route,
        size_bytes: int,
        state: SocketState,
        control: Control,
        draw: Callable[[], float],
        *,
        round_trips: int,
        known_rtt_s: float,
    ) -> None:
        self.at_ns = 0
        self.is_finished = False
        self.state = state
        self.control = control
        stack = self._stack = state.stack
        self._mss = mss = stack.mss_bytes
        self._count = -(-size_bytes // mss)
        self._short = size_bytes - (self._count - 1) * mss
        self._sizes = (stack.syn_bytes, stack.data_bytes(mss), stack.data_bytes(self._short), stack.ack_bytes(0))
        self._forward = _tracks(route.forward, self._sizes)
        self._back = _tracks(route.back, self._sizes)
        self._until_ns = NEVER_NS
        self._stray = (0, 0)  # of a packet on its way: the stage before it, and when it gets there
        self._strays: list[Stray] = []
        self._draw = draw
        self._round_trips = round_trips
        self._known_rtt_s = known_rtt_s
        self._is_odd = False  # something happened that only the engine knows how to go on from
        # the exchange under way: its number, attempts, its first request that arrived, and what is in flight
        self._turn = self._attempts = 0
        self._first_ns = self._sent_ns = -1
        self._request_ns = self._answer_ns = LOST
        self._accept_ns = LOST
        # data and ACKs under way, both in order
        self._is_open = False
        self._arrivals: deque[int] = deque()
        self._acks: deque[tuple[int, int, int]] = deque()
        self._sent: list[int] = []
        self._una = 0
        # the receiver
        self._next = self._held = self._highest_acked = self._echo_ms = 0
        self._quick = stack.quick_acks
        self._delayed_ns = NEVER_NS
        self._delay_ns = to_ns(stack.delayed_ack_s)
        self._rto_ns = 0
        self._timer_ns = NEVER_NS

    # -- the path -----------------------------------------------------------------------------------------------------

    def _carry(self, tracks: list[Track], now_ns: int, kind: int) -> int:
        """Send a packet down a path; return when it arrives, or what became of it.

        Beyond the end of the solo nothing may enter a link that others will use as well: there it is ``ON_ITS_WAY``.
        """
        size, draw = self._sizes[kind], self._draw
        for track in tracks:
            if track.stage and now_ns > self._until_ns:
                self._stray = track.stage, now_ns
                return ON_ITS_WAY
            if track.free_ns > now_ns:
                wait_ns, room_ns = track.free_ns - now_ns, track.limit * track.times_ns[QUEUED[kind]]
                if wait_ns >= room_ns:
                    if track is tracks[0]:
                        return REFUSED
                    if wait_ns > room_ns:
                        track.pipe.dropped += 1
                        return LOST
                now_ns = track.free_ns
            else:
                track.busy_ns = now_ns
            track.free_ns = now_ns = now_ns + track.times_ns[kind]
            track.carried_bytes += size
            if track.loss and draw() < track.loss:
                return LOST
            end_ns = now_ns
            now_ns += track.delay_ns
            if track.jitter_ns:
                now_ns += round((2 * (draw() + draw() + draw()) - 3) * track.jitter_ns)
                now_ns = max(track.arrival_ns, end_ns, now_ns)
            track.arrival_ns = now_ns
        return now_ns

    def run(self, start_ns: int, until_ns: int) -> None:
        """Work out what happens from ``start_ns``, at most to ``until_ns``; see ``at_ns`` and ``is_finished``."""
        self.at_ns, self._until_ns = start_ns, until_ns
        if self._shake(until_ns):
            self._transfer(until_ns)

    # -- handshake ----------------------------------------------------------------------------------------------------

    def _shake(self, until_ns: int) -> bool:
        """Exchange the small packets that come first; return whether the connection is open."""
        while self._turn < self._round_trips:
            if not self._exchange(until_ns):
                self.at_ns = min(self.at_ns, until_ns)
                return False
        rtt_s = self._known_rtt_s
        if self._round_trips:
            rtt_ms = self.at_ns // MILLISECOND_NS - self._first_ns // MILLISECOND_NS
            rtt_s = max(rtt_ms / 1000, 1e-6)
            self._accept_ns = self._carry(self._forward, self.at_ns, ACK)
        self._open(rtt_s)
        return True

    def _exchange(self, until_ns: int) -> bool:
        """Send a request until it is answered, each time waiting longer; return whether that was by ``until_ns``."""
        self._attempts, self._first_ns = 0, -1
        while True:
            self._sent_ns = sent_ns = self.at_ns
            self._request_ns = self._carry(self._forward, sent_ns, SYN)
            self._answer_ns = LOST
            repeat_ns = sent_ns + to_ns(self._stack.syn_wait_s(self._attempts))
            self._attempts += 1
            if self._request_ns > until_ns or self._request_ns == ON_ITS_WAY:
                self.at_ns = until_ns
                return False
            if self._request_ns >= 0:
                if self._first_ns < 0:
                    self._first_ns = sent_ns
                self._answer_ns = self._carry(self._back, self._request_ns, SYN)
                if 0 <= self._answer_ns <= min(repeat_ns, until_ns):
                    self.at_ns = self._answer_ns
                    self._turn += 1
                    return True
                if self._answer_ns > repeat_ns or (
                    self._turn == 0 and self._answer_ns != ON_ITS_WAY
                ):  # then both ends repeat themselves
                    self.at_ns = max(self._request_ns, sent_ns)
                    return False
            if self._answer_ns > until_ns or self._answer_ns == ON_ITS_WAY or repeat_ns > until_ns:
                self.at_ns = until_ns
                return False
            self.at_ns = repeat_ns

    # -- data and ACKs ------------------------------------------------------------------------------------------------

    def _open(self, rtt_s: float) -> None:
        self._is_open = True
        self.state.rtt.add(rtt_s, 0, 0)
        self._rto_ns = to_ns(self.state.rtt.timeout_s())
        self.control.opened(self.state, to_s(self.at_ns))
        self._timer_ns = NEVER_NS
        self._send(self.at_ns)

    def _transfer(self, until_ns: int) -> None:
        """Take what comes next at either end, in order of time, until the last byte has arrived."""
        arrivals, acks = self._arrivals, self._acks
        while not self._is_odd:
            now_ns = due_ns = self._delayed_ns
            if arrivals and arrivals[0] < now_ns:
                now_ns = arrivals[0]
            data_ns = now_ns
            if acks and acks[0][0] < now_ns:
                now_ns = acks[0][0]
            if now_ns > until_ns or now_ns > self._timer_ns:
                self.at_ns = min(until_ns, self._timer_ns)
                return
            self.at_ns = now_ns
            if now_ns < data_ns:
                self._take_ack(now_ns)
            elif now_ns == due_ns and not (arrivals and arrivals[0] == now_ns):
                self._acknowledge(now_ns)
            else:
                arrivals.popleft()
                if self._take_data(now_ns):
                    self.is_finished = True
                    return

    def _take_data(self, now_ns: int) -> bool:
        """The receiver takes the next segment (see ``Receiver.take``); return whether it was the last."""
        if self._next <= self._highest_acked:
            self._echo_ms = self._sent[self._next] // MILLISECOND_NS
        self._next += 1
        self._held += 1
        self._quick -= 1
        if self._held >= self._stack.ack_every or self._quick >= 0 or self._next == self._count:
            self._acknowledge(now_ns)
        elif self._delayed_ns == NEVER_NS:
            self._delayed_ns = now_ns + self._delay_ns
        return self._next == self._count

    def _acknowledge(self, now_ns: int) -> None:
        self._held = 0
        self._delayed_ns = NEVER_NS
        self._highest_acked = self._next
        arrival_ns = self._carry(self._back, now_ns, ACK)
        if arrival_ns >= 0:
            self._acks.append((arrival_ns, self._next, self._echo_ms))
        elif arrival_ns == ON_ITS_WAY:
            self._strays.append(Stray(*self._stray, self._next, self._echo_ms))

    def _take_ack(self, now_ns: int) -> None:
        """The sender takes an ACK (see ``Sender.take``)."""
        state, rtt = self.state, self.state.rtt
        _, acknowledged, echo_ms = self._acks.popleft()
        sample_ms = now_ns // MILLISECOND_NS - echo_ms
        rtt.add(sample_ms / 1000 if sample_ms > 0 else 1e-6, acknowledged, len(self._sent))
        self._rto_ns = to_ns(rtt.timeout_s())
        segments = acknowledged - self._una
        self._una = acknowledged
        state.last_acked = acknowledged
        state.highest_sent = len(self._sent)
        now_s = to_s(now_ns)
        self.control.acked(state, rtt.smoothed_s, now_s)
        self.control.grow(state, segments, now_s)
        self._send(now_ns)

    def _send(self, now_ns: int) -> None:
        """Send what the window allows, and set the timer."""
        sent, forward, count, last = self._sent, self._forward, self._count, self._count - 1
        window = min(self.state.cwnd, self._stack.receive_window_bytes)
        if (last - self._una) * self._mss + self._short <= window:  # the last segment may be short
            room = count - len(sent)
        else:
            room = min(window // self._mss - (len(sent) - self._una), last - len(sent))
        while room > 0:
            arrival_ns = self._carry(forward, now_ns, LAST if len(sent) == last else DATA)
            if arrival_ns == REFUSED:
                self._is_odd = True
                break
            sent.append(now_ns)
            room -= 1
            if arrival_ns == LOST:
                self._is_odd = True
                break
            if arrival_ns == ON_ITS_WAY:
                self._strays.append(Stray(*self._stray, len(sent) - 1))
            else:
                self._arrivals.append(arrival_ns)
        self._set_timer(now_ns)

    def _set_timer(self, now_ns: int) -> None:
        """Set the timer of a tail-loss probe or, where the stack has none, of the time-out (see ``Sender``)."""
        out = len(self._sent) - self._una
        if not out:
            self._timer_ns = NEVER_NS
        elif not self._stack.probes_tail:
            self._timer_ns = now_ns + self._rto_ns
        else:
            one_out_ns = to_ns(self._stack.min_rto_s) if out == 1 else 2 * MILLISECOND_NS
            pause_ns = 2 * to_ns(self.state.rtt.smoothed_s) + one_out_ns
            left_ns = self._sent[self._una] + self._rto_ns - now_ns
            self._timer_ns = now_ns + (min(pause_ns, left_ns) if left_ns > 0 else pause_ns)

    # -- what comes after -----------------------------------------------------------------------------------------------

    def outcome(self, start_ns: int) -> Outcome:
        """Return what came of it."""
        pipes = tuple(
            (track.busy_ns - start_ns, track.free_ns - start_ns, track.carried_bytes, self._sizes[kind])
            for tracks, kind in ((self._forward, DATA), (self._back, ACK))
            for track in tracks
        )
        return Outcome(self.at_ns - start_ns, self.is_finished, pipes)

    def settle(self) -> None:
        """Bring the pipes to ``at_ns``."""
        for tracks, kind in (
            (self._forward, DATA if self._is_open else SYN),
            (self._back, ACK if self._is_open else SYN),
        ):
            for track in tracks:
                track.settle(self.at_ns, self._sizes[kind])

    def hand_over(self, connection: Connection) -> None:
        """Bring pipes and a fresh connection to ``at_ns``; the engine, which is there, goes on."""
        self.settle()
        if self._is_open:
            under_way = Transfer(
                self._una, self._sent, self._rto_ns, self._timer_ns, self._next, self._held, self._quick,
                self._highest_acked, self._echo_ms, self._delayed_ns, self._arrivals, self._acks, self._accept_ns,
                self._strays,
            )  # fmt: skip
            connection.sender.take_over_state(self.state, self.control)
            connection.go_on(self.at_ns, under_way)
        else:
            stray = self._stray if ON_ITS_WAY in (self._request_ns, self._answer_ns) else None
            exchange = Exchange(
                self._turn, self._attempts, self._first_ns, self._sent_ns, self._request_ns, self._answer_ns, stray
            )
            connection.go_on_shaking(self.at_ns, exchange)
