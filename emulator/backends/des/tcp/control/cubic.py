"""CUBIC (RFC 9438) with HyStart, in the arithmetic of ns-3.37's tcp-cubic.cc, which follows Linux.

Left out, as in ns-3.37: the Reno-friendly region (RFC 9438 section 4.3). HyStart leaves slow start at the first sign
of queueing: ACKs less than 2 ms apart for longer than the smallest RTT, or an RTT above the smallest one by more than the
stack allows (Linux: an eighth of it, 4 to 16 ms; ns-3: as much again).
"""

from __future__ import annotations

from typing import Final

from emulator.backends.des.tcp.control.base import Control
from emulator.backends.des.tcp.state import SocketState

SCALE: Final = 0.4
BETA: Final = 0.7
GROWTH_CLAMP: Final = 20
"""Before the first loss the window grows by at least one segment in this many."""
SETTLE_S: Final = 0.010
"""RTT samples this soon after an epoch began are discarded."""
HYSTART_LOW_WINDOW: Final = 16
HYSTART_SAMPLES: Final = 8
HYSTART_TRAIN_S: Final = 0.002
UNKNOWN: Final = -1.0


class Cubic(Control):
    """Window growth as a cube of the time since the last loss, around the window at which it happened."""

    def __init__(self) -> None:
        self._credit = 0
        self._last_max = 0
        self._origin = 0
        self._k_s = 0.0
        self._epoch_s = UNKNOWN
        self._rtt_min_s = UNKNOWN
        self._has_left = False
        self._round_began_s = 0.0
        self._round_end = -1
        self._last_ack_s = 0.0
        self._round_rtt_s = UNKNOWN
        self._samples = 0

    def acked(self, state: SocketState, rtt_s: float, now_s: float) -> None:
        """See ``Control.acked``."""
        if self._epoch_s != UNKNOWN and now_s - self._epoch_s < SETTLE_S:
            return
        if self._rtt_min_s == UNKNOWN or self._rtt_min_s > rtt_s:
            self._rtt_min_s = rtt_s
        if not self._has_left and HYSTART_LOW_WINDOW * state.mss <= state.cwnd <= state.ssthresh:
            self._watch_queue(state, rtt_s, now_s)

    def grow(self, state: SocketState, segments: int, now_s: float) -> None:
        """See ``Control.grow``."""
        if state.cwnd < state.ssthresh:
            if state.last_acked > self._round_end:
                self._start_round(state, now_s)
            state.cwnd += segments * state.mss
        elif segments > 0:
            self._credit += segments
            needed = self._acks_per_segment(state.cwnd // state.mss, now_s)
            if self._credit >= needed:
                state.cwnd += state.mss
                self._credit -= needed

    def reduce(self, state: SocketState) -> int:
        """See ``Control.reduce``: beta 0.7; fast convergence where the window had not yet regrown."""
        window = state.cwnd // state.mss
        self._last_max = int(window * (1 + BETA) / 2) if window < self._last_max else window
        self._epoch_s = UNKNOWN
        return max(int(window * BETA), 2) * state.mss

    def timed_out(self, state: SocketState, now_s: float) -> None:
        """See ``Control.timed_out``: forget the path and start afresh."""
        self._last_max = self._origin = 0
        self._k_s = 0.0
        self._rtt_min_s = UNKNOWN
        self._has_left = False
        self._start_round(state, now_s)

    def _acks_per_segment(self, window: int, now_s: float) -> int:
        """Return after how many ACKed segments the window is to grow by one."""
        if self._epoch_s == UNKNOWN:
            self._epoch_s = now_s
            if self._last_max <= window:
                self._k_s, self._origin = 0.0, window
            else:
                self._k_s, self._origin = ((self._last_max - window) / SCALE) ** (1 / 3), self._last_max
        elapsed_s = now_s + max(0.0, self._rtt_min_s) - self._epoch_s
        step = int(SCALE * abs(elapsed_s - self._k_s) ** 3)
        target = self._origin - step if elapsed_s < self._k_s else self._origin + step
        needed = window // (target - window) if target > window else 100 * window
        if self._last_max == 0 and needed > GROWTH_CLAMP:
            needed = GROWTH_CLAMP
        return max(needed, 2)

    def _start_round(self, state: SocketState, now_s: float) -> None:
        self._round_began_s = self._last_ack_s = now_s
        self._round_end = state.highest_sent
        self._round_rtt_s = UNKNOWN
        self._samples = 0

    def _watch_queue(self, state: SocketState, rtt_s: float, now_s: float) -> None:
        """Leave slow start if ACKs come in a long train or RTTs have risen."""
        if now_s - self._last_ack_s <= HYSTART_TRAIN_S:
            self._last_ack_s = now_s
            self._has_left |= now_s - self._round_began_s > self._rtt_min_s
        if self._samples < HYSTART_SAMPLES:
            if self._round_rtt_s == UNKNOWN or self._round_rtt_s > rtt_s:
                self._round_rtt_s = rtt_s
            self._samples += 1
        else:
            low_s, high_s = state.stack.hystart_rise_s
            rise_s = min(max(state.stack.hystart_share * self._rtt_min_s, low_s), high_s)
            self._has_left |= self._round_rtt_s > self._rtt_min_s + rise_s
        if self._has_left:
            state.ssthresh = state.cwnd
