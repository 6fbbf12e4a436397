"""The sending end of one transfer: ACK processing, loss recovery, retransmission time-outs, pacing.

SACK recovery follows RFC 6675 with proportional rate reduction (RFC 6937, slow-start bound) in the order of ns-3.37's
tcp-socket-base.cc; tail-loss probes are Linux's. Left out: ECN, RACK, undo of spurious time-outs.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Sequence

from emulator.backends.des.tcp.clock import MILLISECOND_NS, NEVER_NS, to_ns, to_s
from emulator.backends.des.tcp.control import Control
from emulator.backends.des.tcp.rate import RateSampler
from emulator.backends.des.tcp.receiver import Ack
from emulator.backends.des.tcp.reduction import RateReduction
from emulator.backends.des.tcp.scoreboard import Scoreboard
from emulator.backends.des.tcp.stack import Stack
from emulator.backends.des.tcp.state import DISORDER, LOSS, OPEN, RECOVERY, SocketState


class Sender(SocketState):
    """One connection's sender, from the moment it is established.

    It is told the time with every call. ``timeout_at_ns`` and ``pace_at_ns`` say when ``time_out`` and ``send_pending``
    are next due; its owner keeps the clock.

    Attributes:
        board: The scoreboard.
        control: The congestion control.
        timeout_at_ns: When the retransmission timer, or that of a tail-loss probe, fires; ``NEVER_NS`` if none runs.
        pace_at_ns: Before this nothing may leave, where the control paces.
        has_given_up: Too many time-outs in a row.
    """

    __slots__ = (
        "_deliver_from", "_duplicates", "_is_first_partial", "_is_probe_due", "_is_retransmission_acked",
        "_probe_end", "_recover", "_recover_active", "_reduction", "_retries_left", "_rto_ns", "_sampler", "_send",
        "_sent_ns", "_unsampled", "_wants_probe", "_was_resent", "board", "control", "has_given_up",
        "pace_at_ns", "timeout_at_ns", "timeouts",
    )  # fmt: skip

    def __init__(self, size_bytes: int, stack: Stack, control: Control, send: Callable[[int, int, int], None]) -> None:
        super().__init__(stack)
        self.board = Scoreboard(size_bytes, stack.mss_bytes, stack.duplicate_threshold)
        self.timeout_at_ns = NEVER_NS
        self.pace_at_ns = 0
        self.has_given_up = False
        self.timeouts = 0
        self._send = send
        self.control = control
        self._sampler = RateSampler(self.board.count) if control.rules_window else None
        self._recover = 0
        self._recover_active = False
        self._duplicates = 0
        self._is_first_partial = True
        self._is_retransmission_acked = False
        self._reduction = RateReduction(stack.mss_bytes, wraps_at_32_bits=stack.wraps_at_32_bits)
        self._retries_left = stack.data_retries
        self._rto_ns = to_ns(stack.syn_rto_s)
        self._unsampled: deque[int] = deque()  # first transmissions whose RTT was not taken
        self._was_resent = bytearray(self.board.count)
        self._wants_probe = False  # something was sent or acknowledged since the timer was last set
        self._is_probe_due = False  # what the timer waits for is a tail-loss probe, no time-out
        self._probe_end = -1  # while one is out, the segment after the last that was sent by then
        self._sent_ns = array("q", bytes(8 * self.board.count))

    # -- events -------------------------------------------------------------------------------------------------------

    def open(self, now_ns: int, rtt_s: float) -> None:
        """Begin to send; the handshake measured ``rtt_s``."""
        self.rtt.add(rtt_s, 0, 0)
        self._rto_ns = to_ns(self.rtt.timeout_s())
        self.control.opened(self, to_s(now_ns))
        self.send_pending(now_ns)

    def take_over_state(self, state: SocketState, control: Control) -> None:
        """Go on with the window, the round-trip times and the control of a solo."""
        self.cwnd, self.ssthresh, self.rtt, self.control = state.cwnd, state.ssthresh, state.rtt, control

    def take_over(self, una: int, sent_ns: Sequence[int], rto_ns: int, timer_ns: int) -> None:
        """Go on from where segments below ``una`` were acknowledged and others sent, none lost, at the times given."""
        self.board.una, self.board.nxt = una, len(sent_ns)
        self.last_acked, self.highest_sent = una, len(sent_ns)
        self._sent_ns[: len(sent_ns)] = array("q", sent_ns)
        self._rto_ns, self.timeout_at_ns = rto_ns, timer_ns
        self._is_probe_due = self.stack.probes_tail
        if not self.stack.samples_resent:
            self._unsampled.extend(range(una, len(sent_ns)))

    def take(self, now_ns: int, ack: Ack) -> None:
        """Process an ACK and send what it allows."""
        board = self.board
        acknowledged = ack.next_index
        self._measure(now_ns, acknowledged, ack.echo_ms)
        if acknowledged < board.una:
            return
        sampler = self._sampler
        if sampler:
            prior_lost, prior_flight, delivered_before = board.lost_bytes, board.in_flight(), sampler.delivered_bytes
        fresh = board.sack(ack.blocks) if ack.blocks else []
        delivered = self._count_sacked(fresh, now_ns) if fresh else 0
        before = board.una
        if acknowledged > before:
            delivered += self._discard(now_ns, acknowledged)
        if sampler:
            delivered = sampler.delivered_bytes - delivered_before
        self.newly_delivered = delivered
        self.flight = board.in_flight()
        self._process(now_ns, acknowledged, before, bool(fresh), delivered)
        self._is_retransmission_acked = False
        if sampler:
            lost = abs(board.lost_bytes - prior_lost)
            sample = sampler.take(delivered, lost, prior_flight, self.rtt.smallest_s)
            self.control.control(self, sample, sampler.delivered_bytes, to_s(now_ns))
        self.send_pending(now_ns)

    def time_out(self, now_ns: int) -> None:
        """The retransmission timer fired: all is lost, start again with one segment (RFC 5681, 6298)."""
        self.timeout_at_ns = NEVER_NS
        board = self.board
        if board.una >= board.count:
            return
        if self._is_probe_due:
            self._probe_tail(now_ns)
            return
        if self.stack.data_retries and self._retries_left == 0:
            self.has_given_up = True
            return
        self._retries_left -= 1
        self.timeouts += 1
        self._duplicates = 0
        board.time_out()
        self._recover, self._recover_active = board.nxt, True
        self._probe_end = -1
        self._rto_ns = min(2 * self._rto_ns, to_ns(self.stack.max_rto_s))
        self._unsampled.clear()
        self.ssthresh = self.control.reduce(self)
        self.control.timed_out(self, to_s(now_ns))
        self.phase = LOSS
        self.cwnd = self.mss
        self.pace_at_ns = 0
        self.send_pending(now_ns)

    def send_pending(self, now_ns: int) -> None:
        """Send as much as the windows and the pacing allow."""
        self._send_allowed(now_ns)
        if self._wants_probe:
            self._wants_probe = False
            if self.phase == OPEN and self.stack.probes_tail and self.board.una < self.board.nxt:
                self._await_probe(now_ns)

    def _send_allowed(self, now_ns: int) -> None:
        """Send by the rules of RFC 6675, step C."""
        board, mss = self.board, self.mss
        if board.una >= board.count:
            return
        window = min(self.cwnd, self.stack.receive_window_bytes)
        paces = self.control.rules_window
        while True:
            self.flight = flight = board.in_flight()
            available = window - flight
            if available <= 0 or (paces and now_ns < self.pace_at_ns and self._is_pacing()):
                return
            if self.phase == OPEN and board.nxt == board.count:
                return
            index = board.next_lost()
            if index < 0:
                if board.nxt < board.count:
                    index = board.nxt
                elif self.phase != RECOVERY or (index := board.next_doubtful()) < 0:
                    return
            if available < mss and board.total_bytes - index * mss > available:
                return
            if flight == 0:
                self.control.restarted(self, to_s(now_ns))
            size = self._transmit(now_ns, index)
            if paces and now_ns >= self.pace_at_ns and self._is_pacing():
                self.pace_at_ns = now_ns + to_ns(size * 8 / self.pacing_bps)
                return

    # -- ACKs ---------------------------------------------------------------------------------------------------------

    def _measure(self, now_ns: int, acknowledged: int, echo_ms: int) -> None:
        """Take an RTT sample in whole milliseconds, where the stack may."""
        unsampled = self._unsampled
        if self.stack.samples_resent:
            may_sample = acknowledged > self.board.una
        else:
            if not unsampled or acknowledged <= unsampled[0]:
                return
            may_sample = not self._was_resent[unsampled[0]]
            while unsampled and unsampled[0] < acknowledged:
                unsampled.popleft()
        if may_sample:
            sample_ms = now_ns // MILLISECOND_NS - echo_ms
            self.rtt.add(sample_ms / 1000 if sample_ms > 0 else 1e-6, acknowledged, self.board.nxt)
            self._rto_ns = to_ns(self.rtt.timeout_s())

    def _count_sacked(self, fresh: list[int], now_ns: int) -> int:
        if self._sampler:
            for index in fresh:
                self._sampler.delivered(index, self.board.size(index), to_s(now_ns))
        return sum(self.board.size(index) for index in fresh)

    def _discard(self, now_ns: int, acknowledged: int) -> int:
        board = self.board
        before = board.una
        is_partial = acknowledged < self._recover and self.phase == RECOVERY
        delivered, indices, was_retransmitted = board.acknowledge(acknowledged)
        self._is_retransmission_acked = is_partial and was_retransmitted
        if self._sampler:
            for index in indices or range(before, acknowledged):
                self._sampler.delivered(index, board.size(index), to_s(now_ns))
        return delivered

    def _process(self, now_ns: int, acknowledged: int, before: int, is_duplicate: bool, delivered: int) -> None:
        """Act on an ACK after the scoreboard was brought up to date (RFC 6675, steps A and B)."""
        held_duplicates = self._duplicates
        self.last_acked = acknowledged
        if is_duplicate:
            self._take_duplicate(now_ns, delivered)
        if acknowledged == before:
            if acknowledged < self.board.nxt:
                self.control.acked(self, self.rtt.smoothed_s, to_s(now_ns))
            return
        segments = acknowledged - before
        if not is_duplicate:
            self._duplicates = 0
        if acknowledged < self._recover and self.phase == RECOVERY:
            self._take_partial(now_ns, delivered)
        elif acknowledged < self._recover and self.phase == LOSS:
            self.control.acked(self, self.rtt.smoothed_s, to_s(now_ns))
            self.control.grow(self, segments, to_s(now_ns))
            self._rearm(now_ns)
        else:
            self._advance(now_ns, acknowledged, segments, held_duplicates, is_duplicate)

    # -- tail-loss probes (RFC 8985, section 7, as Linux does it) -----------------------------------------------------

    def _await_probe(self, now_ns: int) -> None:
        """Set the timer for a tail-loss probe, unless one is out: after two round trips, no later than the time-out."""
        if self._probe_end > self.board.una:
            return
        self._probe_end = -1
        one_out_ns = to_ns(self.stack.min_rto_s) if self.board.nxt - self.board.una == 1 else 2 * MILLISECOND_NS
        pause_ns = 2 * to_ns(self.rtt.smoothed_s) + one_out_ns
        left_ns = self._sent_ns[self.board.una] + self._rto_ns - now_ns
        self.timeout_at_ns = now_ns + (min(pause_ns, left_ns) if left_ns > 0 else pause_ns)
        self._is_probe_due = True

    def _probe_tail(self, now_ns: int) -> None:
        """Send a new segment, window or not, or else the last one again; then the time-out runs."""
        board = self.board
        window = self.stack.receive_window_bytes - board.in_flight()
        is_new = board.nxt < board.count and board.size(board.nxt) <= window
        self._is_probe_due = False
        self._transmit(now_ns, board.nxt if is_new else board.nxt - 1)
        self._probe_end = board.nxt
        self._wants_probe = False
        self.timeout_at_ns = now_ns + self._rto_ns

    def _take_duplicate(self, now_ns: int, delivered: int) -> None:
        """An ACK SACKed something new."""
        if self.phase == LOSS:
            return
        if self.phase == RECOVERY:
            if not self.control.rules_window:
                self._reduce_rate(delivered)
            return
        self._duplicates += 1
        self.phase = DISORDER
        board = self.board
        may_enter = board.una >= self._recover or not self._recover_active
        is_due = self._duplicates == self.stack.duplicate_threshold and may_enter
        if self._probe_end >= 0:
            board.lose_below(self._probe_end - 1)
            self._probe_end = -1
            is_due = True
        if is_due or board.is_lost_above(board.una + 1):
            self._enter_recovery(now_ns, delivered)

    def _enter_recovery(self, now_ns: int, delivered: int) -> None:
        board = self.board
        if board.una < board.nxt and not board.is_head_lost():
            board.lose_head()
        self._recover, self._recover_active = board.nxt, True
        if self._is_probe_due:
            self._is_probe_due, self.timeout_at_ns = False, now_ns + self._rto_ns
        self.control.entered_recovery(self)
        self.phase = RECOVERY
        self.flight = board.in_flight()
        self.ssthresh = self.control.reduce(self)
        if not self.control.rules_window:
            self._reduction.begin(board.offset(board.nxt) - board.una * self.mss)
            self._reduce_rate(delivered)
        self._retransmit(now_ns)

    def _take_partial(self, now_ns: int, delivered: int) -> None:
        """An ACK of part of what was outstanding when recovery began."""
        board = self.board
        if not self.control.rules_window:
            self._reduce_rate(delivered)
        is_full = board.una < board.count - 1 or board.last_bytes == self.mss
        if not (is_full and board.is_retransmitted(board.una)):
            self._retransmit(now_ns)
        self.control.acked(self, self.rtt.smoothed_s, to_s(now_ns))
        if self._is_first_partial or self.stack.rearms_each_partial_ack:
            self._rearm(now_ns)
        self._retries_left = self.stack.data_retries
        self._is_first_partial = False

    def _advance(self, now_ns: int, acknowledged: int, segments: int, held_duplicates: int, is_duplicate: bool) -> None:
        """An ACK that ends recovery, or comes outside of it."""
        phase = self.phase
        if phase == OPEN:
            self.control.acked(self, self.rtt.smoothed_s, to_s(now_ns))
        elif phase == DISORDER:
            if segments >= held_duplicates:
                self.control.acked(self, self.rtt.smoothed_s, to_s(now_ns))
            if not is_duplicate:
                self.phase = OPEN
        else:
            self._is_first_partial = True
            if phase == LOSS:
                segments = acknowledged - self._recover
            self.control.acked(self, self.rtt.smoothed_s, to_s(now_ns))
            if phase == RECOVERY:
                self.control.left_recovery(self, to_s(now_ns))
                self._duplicates = 0
            self.phase = OPEN
        if acknowledged >= self._recover:
            self._recover_active = False
        if phase == RECOVERY:
            self._rearm(now_ns)
            self.cwnd = self.ssthresh
            self.flight = self.board.in_flight()
        if self.phase == OPEN:
            self.control.grow(self, segments, to_s(now_ns))
            self._rearm(now_ns)

    def _reduce_rate(self, delivered: int) -> None:
        self.cwnd = self._reduction.window(
            delivered,
            flight=self.flight,
            threshold=self.ssthresh,
            is_retransmission_acked=self._is_retransmission_acked,
        )

    # -- sending ------------------------------------------------------------------------------------------------------

    def _is_pacing(self) -> bool:
        return self.board.nxt >= self.stack.initial_window

    def _rearm(self, now_ns: int) -> None:
        """Restart the retransmission timer after an ACK of new data; stop it when nothing is outstanding."""
        self._retries_left = self.stack.data_retries
        self._rto_ns = to_ns(self.rtt.timeout_s())
        self._is_probe_due = False
        if self.board.una >= self.board.count:
            self.timeout_at_ns = NEVER_NS
        else:
            self.timeout_at_ns = now_ns + self._rto_ns
            self._wants_probe = True

    def _retransmit(self, now_ns: int) -> None:
        """Send the next lost segment, else new data, else the head again."""
        board = self.board
        index = board.next_lost()
        if index < 0:
            index = board.nxt if board.nxt < board.count else board.una
        self._transmit(now_ns, index)

    def _transmit(self, now_ns: int, index: int) -> int:
        """Send a segment and return its payload."""
        board = self.board
        self.flight = board.in_flight()
        size = board.size(index)
        is_resent = board.send(index)
        if self._sampler:
            self._sampler.sent(index, self.flight == 0, to_s(now_ns))
            if self.board.nxt - (not is_resent) >= self.stack.initial_window and now_ns >= self.pace_at_ns:
                self.pace_at_ns = now_ns + to_ns(size * 8 / self.pacing_bps)
        self._sent_ns[index] = now_ns
        if self.timeout_at_ns == NEVER_NS:
            self.timeout_at_ns = now_ns + self._rto_ns
        self._send(now_ns, index, size)
        if is_resent:
            self._was_resent[index] = 1
        else:
            self._wants_probe = True
            self.highest_sent = board.nxt
            if not self.stack.samples_resent:
                self._unsampled.append(index)
        if self.phase == RECOVERY:
            self._reduction.note_sent(size)
        return size
