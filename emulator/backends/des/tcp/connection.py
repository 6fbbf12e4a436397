"""One transfer over its own connection: handshake, sender and receiver, and the packets between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from emulator.backends.des.tcp.clock import MILLISECOND_NS, NEVER_NS, to_ns
from emulator.backends.des.tcp.control import Control
from emulator.backends.des.tcp.engine import Engine, Stages
from emulator.backends.des.tcp.receiver import Ack, Receiver
from emulator.backends.des.tcp.sender import Sender
from emulator.backends.des.tcp.stack import Stack
from emulator.backends.des.tcp.state import WINDOW_LIMIT_BYTES


class Route(NamedTuple):
    """The way there and the way back, split into stages."""

    forward: Stages
    back: Stages


class Stray(NamedTuple):
    """A packet that gets to the stage ``stage`` of its way at ``at_ns``: segment ``number``, or the ACK of all below it."""

    stage: int
    at_ns: int
    number: int
    echo_ms: int = -1


class Exchange(NamedTuple):
    """An exchange of the handshake under way (times below 0 for what never arrives).

    ``first_ns`` is when the first request that arrived was sent, the others are of the last attempt. ``stray`` is the stage
    that one of its packets gets to, and when.
    """

    turn: int
    attempts: int
    first_ns: int
    sent_ns: int
    request_ns: int
    answer_ns: int
    stray: tuple[int, int] | None


class Transfer(NamedTuple):
    """A transfer under way, so far without a loss.

    Segments below ``una`` are acknowledged, all of ``sent_ns`` sent, those below ``next_index`` arrived; ``arrivals_ns`` of those
    after them and ``acks`` (arrival, first segment missing, timestamp echoed) are under way.
    """

    una: int
    sent_ns: Sequence[int]
    rto_ns: int
    timer_ns: int
    next_index: int
    held: int
    quick_left: int
    highest_acked: int
    echo_ms: int
    delayed_ns: int
    arrivals_ns: Iterable[int]
    acks: Iterable[tuple[int, int, int]]
    accept_ns: int
    strays: Iterable[Stray]


class Connection:
    """Opens a connection, moves the bytes and says when the last one has arrived.

    The sender of the data opens the connection. The handshake is ``round_trips`` exchanges of a small packet (TCP 1,
    TLS 1.3 one more; 0 on an open connection, whose RTT is then known to be ``known_rtt_s``).

    Attributes:
        finished_ns: When the last payload byte arrived; infinite until then.
        has_failed: The connection could not be opened.
        epoch: Counts cuts of the path; packets of an earlier epoch are lost.
        is_stalled: The path was cut and nothing has got through since.
        route: The path.
    """

    __slots__ = (
        "_answered", "_answers", "_attempts", "_delay_timer_ns", "_done", "_engine", "_first_syn_ns",
        "_is_accepted", "_is_answer_due", "_is_established", "_known_rtt_s", "_pace_timer_ns", "_resumed",
        "_round", "_round_trips", "_stack", "_timer_ns", "epoch", "finished_ns", "has_failed",
        "is_stalled", "name", "receiver", "route", "sender",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        size_bytes: int,
        route: Route,
        *,
        engine: Engine,
        stack: Stack,
        control: Control,
        done: Callable[[Connection, int], None],
        round_trips: int = 1,
        known_rtt_s: float = 0.0,
        resumed: Callable[[Connection, int], None] | None = None,
    ) -> None:
        self.name = name
        self.finished_ns = NEVER_NS
        self.epoch = 0
        self._engine = engine
        self._stack = stack
        self.route = route
        self._done = done
        self._resumed = resumed
        self.is_stalled = False
        self._round_trips = round_trips
        self._known_rtt_s = known_rtt_s
        self.sender = Sender(size_bytes, stack, control, self._send_data)
        self.receiver = Receiver(self.sender.board.count, stack, self._send_ack)
        self._round = 0
        self._attempts = 0
        self._answers = 0
        self._is_answer_due = False
        self.has_failed = False
        self._answered = 0
        self._first_syn_ns = 0
        self._is_established = False
        self._is_accepted = False
        self._timer_ns = self._delay_timer_ns = self._pace_timer_ns = NEVER_NS

    def cut(self) -> None:
        """The path is cut: all packets under way are lost."""
        self.epoch += 1
        self.is_stalled = True

    def close(self) -> None:
        """Stop for good: nothing more is sent, and what is under way is ignored."""
        self.epoch += 1
        self._is_established = self._is_accepted = True
        self.sender.board.una = self.sender.board.count
        self.sender.timeout_at_ns = self.receiver.delayed_until_ns = NEVER_NS

    def reroute(self, route: Route) -> None:
        """Split the same path anew, for packets from now on."""
        self.route = route

    def _is_late(self, now_ns: int, epoch: int) -> bool:
        """Return whether a packet that arrives was lost in a cut; the first that was not ends a stall."""
        if epoch != self.epoch:
            return True
        if self.is_stalled:
            self.is_stalled = False
            if self._resumed is not None:
                self._resumed(self, now_ns)
        return False

    # -- taking over from a solo --------------------------------------------------------------------------------------

    def go_on_shaking(self, now_ns: int, under_way: Exchange) -> None:
        """Go on with the handshake from an exchange under way."""
        turn, attempts, first_ns, sent_ns, request_ns, answer_ns, stray = under_way
        self._round, self._attempts = turn, attempts
        self._answered, self._answers = turn + (first_ns >= 0), int(first_ns >= 0)
        self._first_syn_ns = first_ns
        at, epoch = self._engine.at, self.epoch
        if stray and request_ns < 0:
            self._engine.go_on(
                stray, self.route.forward, self._stack.syn_bytes, self._take_request, (epoch, turn, sent_ns)
            )
        elif stray:
            self._engine.go_on(
                stray, self.route.back, self._stack.syn_bytes, self._take_answer, (epoch, turn, first_ns)
            )
        elif request_ns > now_ns:
            at(request_ns, self._take_request, (epoch, turn, sent_ns))
        elif answer_ns >= now_ns:
            at(answer_ns, self._take_answer, (epoch, turn, first_ns))
        at(sent_ns + to_ns(self._stack.syn_wait_s(attempts - 1)), self._repeat_request, (turn, attempts))
        if turn == 0 and 0 <= request_ns <= now_ns:
            self._is_answer_due = True
            at(request_ns + to_ns(self._stack.syn_wait_s(0)), self._repeat_answer)

    def go_on(self, now_ns: int, under_way: Transfer) -> None:
        """Go on with the data from a transfer under way."""
        way = under_way
        self._round = self._answered = self._round_trips
        self._is_established = True
        self._is_accepted = 0 <= way.accept_ns <= now_ns or way.next_index > 0
        at, epoch = self._engine.at, self.epoch
        if way.accept_ns > now_ns:
            at(way.accept_ns, self._accept, epoch)
        for index, arrival_ns in enumerate(way.arrivals_ns, way.next_index):
            at(arrival_ns, self._take_data, (epoch, index, way.sent_ns[index] // MILLISECOND_NS))
        for arrival_ns, next_index, echo_ms in way.acks:
            at(arrival_ns, self._take_ack, (epoch, Ack(next_index, (), echo_ms)))
        for stray in way.strays:
            self._go_on_with(stray, way.sent_ns)
        self.receiver.take_over(
            way.next_index, way.held, way.quick_left, way.highest_acked, way.echo_ms, way.delayed_ns
        )
        if way.delayed_ns < NEVER_NS:
            self._delay_timer_ns = way.delayed_ns
            at(way.delayed_ns, self._delayed_ack)
        self.sender.take_over(way.una, way.sent_ns, way.rto_ns, way.timer_ns)
        self.sender.send_pending(now_ns)
        self._arm()

    def _go_on_with(self, stray: Stray, sent_ns: Sequence[int]) -> None:
        carry, stack, index = self._engine.go_on, self._stack, stray.number
        if stray.echo_ms < 0:
            size_bytes = stack.data_bytes(self.sender.board.size(index))
            what = self.epoch, index, sent_ns[index] // MILLISECOND_NS
            carry(stray[:2], self.route.forward, size_bytes, self._take_data, what)
        else:
            ack = Ack(index, (), stray.echo_ms)
            carry(stray[:2], self.route.back, stack.ack_bytes(0), self._take_ack, (self.epoch, ack))

    # -- handshake ----------------------------------------------------------------------------------------------------

    def open(self, now_ns: int, _: object = None) -> None:
        """Begin."""
        if self._round_trips > 0:
            self._request(now_ns)
        else:
            self._establish(now_ns, self._known_rtt_s)

    def _request(self, now_ns: int) -> None:
        """Send this round's packet of the handshake, and again if no answer comes."""
        if self._stack.syn_retries and self._attempts == self._stack.syn_retries:
            self.has_failed = True
            return
        self._engine.carry(
            now_ns, self.route.forward, self._stack.syn_bytes, self._take_request, (self.epoch, self._round, now_ns)
        )
        wait_ns = to_ns(self._stack.syn_wait_s(self._attempts))
        self._attempts += 1
        self._engine.at(now_ns + wait_ns, self._repeat_request, (self._round, self._attempts))

    def _repeat_request(self, now_ns: int, what: tuple[int, int]) -> None:
        if what == (self._round, self._attempts) and not self._is_established:
            self._request(now_ns)

    def _take_request(self, now_ns: int, what: tuple[int, int, int]) -> None:
        epoch, turn, sent_ns = what
        if self._is_late(now_ns, epoch) or self._is_accepted or turn < self._answered - 1:
            return
        if turn == self._answered:
            self._answered, self._answers = turn + 1, 0
            self._first_syn_ns = sent_ns
        self._answer(now_ns)

    def _answer(self, now_ns: int) -> None:
        """Answer the last request; whoever answers a SYN repeats it until something follows, with growing pauses."""
        if self._stack.syn_retries and self._answers == self._stack.syn_retries:
            self._answered = 0  # gives up; a SYN that comes later begins anew
            return
        wait_ns = to_ns(self._stack.syn_wait_s(self._answers))
        self._answers += 1
        self._engine.carry(
            now_ns, self.route.back, self._stack.syn_bytes, self._take_answer,
            (self.epoch, self._answered - 1, self._first_syn_ns),
        )  # fmt: skip
        if self._answered == 1 and not self._is_answer_due:
            self._is_answer_due = True
            self._engine.at(now_ns + wait_ns, self._repeat_answer)

    def _repeat_answer(self, now_ns: int, _: object) -> None:
        self._is_answer_due = False
        if self._answered == 1 and not self._is_accepted:
            self._answer(now_ns)

    def _take_answer(self, now_ns: int, what: tuple[int, int, int]) -> None:
        epoch, turn, sent_ns = what
        if self._is_late(now_ns, epoch):
            return
        if self._is_established and self._stack.repeated_answer_resets:
            self.sender.cwnd = self._stack.initial_window * self._stack.mss_bytes
            self.sender.ssthresh = WINDOW_LIMIT_BYTES
        if self._is_established or turn != self._round:
            return
        self._round += 1
        self._attempts = 0
        if self._round < self._round_trips:
            self._request(now_ns)
            return
        rtt_ms = now_ns // MILLISECOND_NS - sent_ns // MILLISECOND_NS
        self._engine.carry(now_ns, self.route.forward, self._stack.ack_bytes(0), self._accept, self.epoch)
        self._establish(now_ns, max(rtt_ms / 1000, 1e-6))

    def _accept(self, now_ns: int, epoch: int) -> None:
        """The last packet of the handshake has arrived."""
        self._is_accepted |= epoch == self.epoch and self._answered > 0

    def _establish(self, now_ns: int, rtt_s: float) -> None:
        self._is_established = True
        if self.sender.board.count == 0 or not self.route.forward:
            way_ns = sum(pipe.delay_ns for stage in self.route.forward for pipe in stage)
            self._engine.at(now_ns + way_ns, self._finish_at)
            return
        self.sender.open(now_ns, rtt_s)
        self._arm()

    # -- data and ACKs ------------------------------------------------------------------------------------------------

    def _send_data(self, now_ns: int, index: int, size_bytes: int) -> None:
        self._engine.carry(
            now_ns, self.route.forward, self._stack.data_bytes(size_bytes), self._take_data,
            (self.epoch, index, now_ns // MILLISECOND_NS),
        )  # fmt: skip

    def _take_data(self, now_ns: int, what: tuple[int, int, int]) -> None:
        epoch, index, sent_ms = what
        if self._is_late(now_ns, epoch) or self._answered < self._round_trips:
            return
        self._is_accepted = True
        receiver = self.receiver
        receiver.take(now_ns, index, sent_ms)
        if receiver.delayed_until_ns < self._delay_timer_ns:
            self._delay_timer_ns = receiver.delayed_until_ns
            self._engine.at(self._delay_timer_ns, self._delayed_ack)
        if receiver.next_index == receiver.count and self.finished_ns == NEVER_NS:
            if self._stack.closes:
                fin = (self.epoch, receiver.last_ack())
                self._engine.carry(now_ns, self.route.back, self._stack.ack_bytes(0), self._take_fin, fin)
            self._finish(now_ns)

    def _take_fin(self, now_ns: int, what: tuple[int, Ack]) -> None:
        self._take_ack(now_ns, what)
        self._engine.carry(now_ns, self.route.forward, self._stack.ack_bytes(0), self._accept, what[0])

    def _finish_at(self, now_ns: int, _: object) -> None:
        self._finish(now_ns)

    def _finish(self, now_ns: int) -> None:
        self.finished_ns = now_ns
        self._done(self, now_ns)

    def _delayed_ack(self, now_ns: int, _: object) -> None:
        self._delay_timer_ns = NEVER_NS
        due_ns = self.receiver.delayed_until_ns
        if due_ns <= now_ns:
            self.receiver.acknowledge(now_ns)
        elif due_ns < NEVER_NS:
            self._delay_timer_ns = due_ns
            self._engine.at(due_ns, self._delayed_ack)

    def _send_ack(self, now_ns: int, ack: Ack) -> None:
        size_bytes = self._stack.ack_bytes(len(ack.blocks))
        self._engine.carry(now_ns, self.route.back, size_bytes, self._take_ack, (self.epoch, ack))

    def _take_ack(self, now_ns: int, what: tuple[int, Ack]) -> None:
        epoch, ack = what
        if not self._is_late(now_ns, epoch):
            self.sender.take(now_ns, ack)
            self._arm()

    # -- timers of the sender -----------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Queue the sender's timers where they are not queued already."""
        sender = self.sender
        if sender.timeout_at_ns < self._timer_ns:
            self._timer_ns = sender.timeout_at_ns
            self._engine.at(self._timer_ns, self._time_out)
        if sender.pace_at_ns > self._engine.now_ns and sender.pace_at_ns != self._pace_timer_ns:
            self._pace_timer_ns = sender.pace_at_ns
            self._engine.at(self._pace_timer_ns, self._pace)

    def _time_out(self, now_ns: int, _: object) -> None:
        if now_ns != self._timer_ns:
            return
        self._timer_ns = NEVER_NS
        if self.sender.timeout_at_ns <= now_ns:
            self.sender.time_out(now_ns)
        self._arm()

    def _pace(self, now_ns: int, _: object) -> None:
        if now_ns == self.sender.pace_at_ns:
            self.sender.send_pending(now_ns)
            self._arm()
