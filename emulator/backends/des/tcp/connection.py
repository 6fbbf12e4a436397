"""One transfer over its own connection: handshake, sender and receiver, and the packets between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from emulator.backends.des.tcp.control import Control
from emulator.backends.des.tcp.engine import Engine, Stages
from emulator.backends.des.tcp.receiver import Ack, Receiver
from emulator.backends.des.tcp.rtt import milliseconds
from emulator.backends.des.tcp.sender import Sender
from emulator.backends.des.tcp.stack import NEVER_S, Stack


class Route(NamedTuple):
    """The way there and the way back, split into stages."""

    forward: Stages
    back: Stages


class Connection:
    """Opens a connection, moves the bytes and says when the last one has arrived.

    The sender of the data opens the connection. The handshake is ``round_trips`` exchanges of a small packet (TCP 1,
    TLS 1.3 one more; 0 on an open connection, whose RTT is then known to be ``known_rtt_s``).

    Attributes:
        finished_s: When the last payload byte arrived; infinite until then.
        epoch: Counts cuts of the path; packets of an earlier epoch are lost.
    """

    __slots__ = (
        "_answered", "_attempts", "_back_off_s", "_delay_timer_s", "_done", "_engine",
        "_first_syn_s", "_is_established", "_known_rtt_s", "_pace_timer_s", "_round", "_round_trips", "_route",
        "_stack", "_timer_s", "epoch", "finished_s", "name", "receiver", "sender",
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
        done: Callable[[Connection, float], None],
        round_trips: int = 1,
        known_rtt_s: float = 0.0,
    ) -> None:
        self.name = name
        self.finished_s = NEVER_S
        self.epoch = 0
        self._engine = engine
        self._stack = stack
        self._route = route
        self._done = done
        self._round_trips = round_trips
        self._known_rtt_s = known_rtt_s
        self.sender = Sender(size_bytes, stack, control, self._send_data)
        self.receiver = Receiver(self.sender.board.count, stack, self._send_ack)
        self._round = 0
        self._attempts = 0
        self._back_off_s = stack.syn_rto_s
        self._answered = 0
        self._first_syn_s = 0.0
        self._is_established = False
        self._timer_s = self._delay_timer_s = self._pace_timer_s = NEVER_S

    # -- handshake ----------------------------------------------------------------------------------------------------

    def open(self, now_s: float, _: object = None) -> None:
        """Begin."""
        if self._round_trips > 0:
            self._request(now_s)
        else:
            self._establish(now_s, self._known_rtt_s)

    def _request(self, now_s: float) -> None:
        self._engine.carry(
            now_s, self._route.forward, self._stack.syn_bytes, self._take_request, (self.epoch, self._round, now_s)
        )
        self._engine.at(now_s + self._back_off_s, self._repeat_request, (self._round, self._attempts))
        self._back_off_s = min(2 * self._back_off_s, self._stack.max_rto_s)

    def _repeat_request(self, now_s: float, what: tuple[int, int]) -> None:
        if self._is_established or what != (self._round, self._attempts):
            return
        self._attempts += 1
        self._request(now_s)

    def _take_request(self, now_s: float, what: tuple[int, int, float]) -> None:
        epoch, turn, sent_s = what
        if epoch != self.epoch or self._acknowledged_beyond(turn):
            return
        if turn == self._answered:
            self._answered = turn + 1
            self._first_syn_s = sent_s
            if turn == 0:
                self._engine.at(now_s + self._stack.syn_rto_s, self._repeat_answer, self._stack.syn_rto_s)
        self._answer(now_s, turn)

    def _acknowledged_beyond(self, turn: int) -> bool:
        return self.receiver.next_index > 0 or turn < self._answered - 1

    def _repeat_answer(self, now_s: float, waited_s: float) -> None:
        """The side that answered a SYN repeats it as long as nothing follows."""
        if self._answered > 1 or self._is_established:
            return
        self._answer(now_s, 0)
        self._engine.at(now_s + 2 * waited_s, self._repeat_answer, 2 * waited_s)

    def _answer(self, now_s: float, turn: int) -> None:
        size_bytes = self._stack.syn_bytes
        self._engine.carry(
            now_s, self._route.back, size_bytes, self._take_answer, (self.epoch, turn, self._first_syn_s)
        )

    def _take_answer(self, now_s: float, what: tuple[int, int, float]) -> None:
        epoch, turn, sent_s = what
        if epoch != self.epoch or self._is_established or turn != self._round:
            return
        self._round += 1
        self._back_off_s = self._stack.syn_rto_s
        if self._round < self._round_trips:
            self._request(now_s)
            return
        rtt_ms = milliseconds(now_s) - milliseconds(sent_s)
        self._engine.carry(now_s, self._route.forward, self._stack.ack_bytes(0), self._ignore, None)
        self._establish(now_s, max(rtt_ms / 1000, 1e-6))

    def _ignore(self, now_s: float, _: object) -> None:
        """The last packet of the handshake: it loads the links, and the data behind it says the same."""

    def _establish(self, now_s: float, rtt_s: float) -> None:
        self._is_established = True
        if self.sender.board.count == 0:
            self._finish(now_s)
            return
        self.sender.open(now_s, rtt_s)
        self._arm()

    # -- data and ACKs ------------------------------------------------------------------------------------------------

    def _send_data(self, now_s: float, index: int, size_bytes: int) -> None:
        self._engine.carry(
            now_s, self._route.forward, self._stack.data_bytes(size_bytes), self._take_data,
            (self.epoch, index, milliseconds(now_s)),
        )  # fmt: skip

    def _take_data(self, now_s: float, what: tuple[int, int, int]) -> None:
        epoch, index, sent_ms = what
        if epoch != self.epoch:
            return
        receiver = self.receiver
        receiver.take(now_s, index, sent_ms)
        if receiver.delayed_until_s < self._delay_timer_s:
            self._delay_timer_s = receiver.delayed_until_s
            self._engine.at(self._delay_timer_s, self._delayed_ack)
        if receiver.next_index == receiver.count and self.finished_s == NEVER_S:
            self._finish(now_s)

    def _finish(self, now_s: float) -> None:
        self.finished_s = now_s
        self._done(self, now_s)

    def _delayed_ack(self, now_s: float, _: object) -> None:
        self._delay_timer_s = NEVER_S
        due_s = self.receiver.delayed_until_s
        if due_s <= now_s:
            self.receiver.acknowledge(now_s)
        elif due_s < NEVER_S:
            self._delay_timer_s = due_s
            self._engine.at(due_s, self._delayed_ack)

    def _send_ack(self, now_s: float, ack: Ack) -> None:
        size_bytes = self._stack.ack_bytes(len(ack.blocks))
        self._engine.carry(now_s, self._route.back, size_bytes, self._take_ack, (self.epoch, ack))

    def _take_ack(self, now_s: float, what: tuple[int, Ack]) -> None:
        epoch, ack = what
        if epoch == self.epoch:
            self.sender.take(now_s, ack)
            self._arm()

    # -- timers of the sender -----------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Queue the sender's timers where they are not queued already."""
        sender = self.sender
        if sender.timeout_at_s < self._timer_s:
            self._timer_s = sender.timeout_at_s
            self._engine.at(self._timer_s, self._time_out)
        if sender.pace_at_s > self._engine.now_s and sender.pace_at_s != self._pace_timer_s:
            self._pace_timer_s = sender.pace_at_s
            self._engine.at(self._pace_timer_s, self._pace)

    def _time_out(self, now_s: float, _: object) -> None:
        if now_s != self._timer_s:
            return
        self._timer_s = NEVER_S
        if self.sender.timeout_at_s <= now_s:
            self.sender.time_out(now_s)
        self._arm()

    def _pace(self, now_s: float, _: object) -> None:
        if now_s == self.sender.pace_at_s:
            self.sender.send_pending(now_s)
            self._arm()
