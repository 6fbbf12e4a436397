"""BBR version 1, in the arithmetic of ns-3.37's tcp-bbr.cc.

It follows ns-3 also where that differs from Linux, since both the numbers and the failures then agree with the
reference: after fast recovery the window is the slow-start threshold (32-bit, so that it may wrap), a fall in the bytes
marked lost counts as a loss, and the RTT filter sees smoothed RTTs. Under random loss this BBR is far slower than
Linux's. Left out: app-limited samples (a transfer has all its data at once).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from emulator.backends.des.tcp.control.base import Control
from emulator.backends.des.tcp.control.windowed import WindowedMax
from emulator.backends.des.tcp.rate import RateSample
from emulator.backends.des.tcp.state import RECOVERY, WINDOW_LIMIT_BYTES, SocketState

STARTUP: Final = 0
DRAIN: Final = 1
PROBE_BANDWIDTH: Final = 2
PROBE_RTT: Final = 3
HIGH_GAIN: Final = 2.89
CYCLE: Final = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
BANDWIDTH_ROUNDS: Final = 10
RTT_WINDOW_S: Final = 10.0
PROBE_RTT_S: Final = 0.2
MAX_PACING_BPS: Final = 4_000_000_000
MIN_WINDOW_SEGMENTS: Final = 4
AGGREGATION_ROUNDS: Final = 5
AGGREGATION_RESET_BYTES: Final = 1 << 12


class Bbr(Control):
    """Paces at the largest delivery rate seen, with a window of twice its product with the smallest RTT."""

    rules_window = True

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._mode = STARTUP
        self._pacing_gain = self._window_gain = HIGH_GAIN
        self._bandwidth = WindowedMax(BANDWIDTH_ROUNDS)
        self._is_full = False
        self._full_bps = 0
        self._full_count = 0
        self._rounds = 0
        self._is_round_start = False
        self._round_ends = 0
        self._rtt_s = inf
        self._rtt_at_s = 0.0
        self._is_rtt_old = False
        self._probe_done_s = 0.0
        self._probe_round_done = False
        self._conserves = False
        self._prior_window = 0
        self._is_restarting = False
        self._limited_bytes = 0
        self._cycle_at_s = 0.0
        self._cycle = 0
        self._delivered = 0
        self._extra = [0, 0]
        self._extra_index = 0
        self._extra_age = 0
        self._epoch_s = 0.0
        self._epoch_bytes = 0

    # -- what the connection tells -----------------------------------------------------------------------------------

    def opened(self, state: SocketState, now_s: float) -> None:
        """See ``Control.opened``."""
        self._rtt_s, self._rtt_at_s = state.rtt.smoothed_s, now_s
        self._prior_window = state.cwnd
        self._epoch_s = now_s
        rtt_s = max(int(state.rtt.smallest_s * 1000), 1) / 1000
        nominal_bps = int(state.cwnd * 8 / rtt_s)
        state.pacing_bps = int(HIGH_GAIN * nominal_bps)
        self._bandwidth = WindowedMax(BANDWIDTH_ROUNDS, nominal_bps)

    def reduce(self, state: SocketState) -> int:
        """See ``Control.reduce``: the threshold stays."""
        self._save_window(state)
        return state.ssthresh

    def entered_recovery(self, state: SocketState) -> None:
        """See ``Control.entered_recovery``: packet conservation for one round."""
        self._save_window(state)
        state.cwnd = state.flight + max(state.newly_delivered, state.mss)
        self._conserves = True

    def left_recovery(self, state: SocketState, now_s: float) -> None:
        """See ``Control.left_recovery``."""
        self._conserves = False
        state.cwnd = max(self._prior_window, state.cwnd)

    def timed_out(self, state: SocketState, now_s: float) -> None:
        """See ``Control.timed_out``."""
        self._save_window(state)
        self._is_round_start = True

    def restarted(self, state: SocketState, now_s: float) -> None:
        """See ``Control.restarted``; matters only once the minimum RTT has been probed for."""
        if not self._limited_bytes:
            return
        self._is_restarting = True
        self._epoch_s, self._epoch_bytes = now_s, 0
        if self._mode == PROBE_BANDWIDTH:
            self._set_pacing(state, 1.0)
        elif self._mode == PROBE_RTT and self._probe_round_done and now_s > self._probe_done_s:
            self._end_rtt_probe(state, now_s)

    def control(self, state: SocketState, sample: RateSample, delivered_bytes: int, now_s: float) -> None:
        """See ``Control.control``."""
        self._delivered = delivered_bytes
        self._measure_bandwidth(sample)
        self._measure_aggregation(state, sample, now_s)
        if self._mode == PROBE_BANDWIDTH and self._is_phase_over(state, sample, now_s):
            self._next_phase(now_s)
        self._check_full()
        self._check_drained(state, now_s)
        self._measure_rtt(state, now_s)
        self._check_rtt_probe(state, sample, now_s)
        self._set_pacing(state, self._pacing_gain)
        self._set_window(state, sample)

    # -- the model of the path ---------------------------------------------------------------------------------------

    def _measure_bandwidth(self, sample: RateSample) -> None:
        if sample.rate_bps == 0:
            return
        if sample.prior_delivered >= self._round_ends:
            self._round_ends = self._delivered
            self._rounds += 1
            self._is_round_start = True
            self._conserves = False
        else:
            self._is_round_start = False
        self._bandwidth.update(sample.rate_bps, self._rounds)

    def _measure_rtt(self, state: SocketState, now_s: float) -> None:
        self._is_rtt_old = now_s > self._rtt_at_s + RTT_WINDOW_S
        if state.rtt.smoothed_s <= self._rtt_s or self._is_rtt_old:
            self._rtt_s, self._rtt_at_s = state.rtt.smoothed_s, now_s

    def _measure_aggregation(self, state: SocketState, sample: RateSample, now_s: float) -> None:
        """Track how many bytes arrive in bunches beyond the estimated rate."""
        if sample.newly_delivered <= 0 or sample.delivered_bytes < 0:
            return
        if self._is_round_start:
            self._extra_age = min(31, self._extra_age + 1)
            if self._extra_age >= AGGREGATION_ROUNDS:
                self._extra_age = 0
                self._extra_index = 1 - self._extra_index
                self._extra[self._extra_index] = 0
        expected = self._bandwidth.best * int(now_s - self._epoch_s) // 8  # whole seconds, as in ns-3
        if self._epoch_bytes <= expected or self._epoch_bytes + sample.newly_delivered >= AGGREGATION_RESET_BYTES:
            self._epoch_bytes, self._epoch_s, expected = 0, now_s, 0
        self._epoch_bytes += sample.newly_delivered
        extra = min(self._epoch_bytes - expected, state.cwnd)
        self._extra[self._extra_index] = max(self._extra[self._extra_index], extra)

    def _target_flight(self, state: SocketState, gain: float) -> int:
        """Return ``gain`` times the bandwidth-delay product plus three segments, in bytes."""
        if self._rtt_s == inf:
            return state.stack.initial_window * state.mss
        target = gain * (self._bandwidth.best * self._rtt_s / 8) + 3 * state.mss
        if self._mode == PROBE_BANDWIDTH and self._cycle == 0:
            target += 2 * state.mss
        return int(target)

    # -- the state machine -------------------------------------------------------------------------------------------

    def _check_full(self) -> None:
        """Leave start-up once the bandwidth has grown by less than a quarter in three rounds."""
        if self._is_full or not self._is_round_start:
            return
        if self._bandwidth.best >= self._full_bps * 1.25:
            self._full_bps, self._full_count = self._bandwidth.best, 0
            return
        self._full_count += 1
        self._is_full = self._full_count >= 3

    def _check_drained(self, state: SocketState, now_s: float) -> None:
        if self._mode == STARTUP and self._is_full:
            self._mode, self._pacing_gain, self._window_gain = DRAIN, 1 / HIGH_GAIN, HIGH_GAIN
            state.ssthresh = self._target_flight(state, 1.0)
        if self._mode == DRAIN and state.flight <= self._target_flight(state, 1.0):
            self._probe_bandwidth(now_s)

    def _probe_bandwidth(self, now_s: float) -> None:
        self._mode, self._window_gain = PROBE_BANDWIDTH, 2.0
        self._cycle = len(CYCLE) - 1 - int(6 * self._draw())
        self._next_phase(now_s)

    def _next_phase(self, now_s: float) -> None:
        self._cycle_at_s = now_s
        self._cycle = (self._cycle + 1) % len(CYCLE)
        self._pacing_gain = CYCLE[self._cycle]

    def _is_phase_over(self, state: SocketState, sample: RateSample, now_s: float) -> bool:
        is_long = now_s - self._cycle_at_s > self._rtt_s
        if self._pacing_gain == 1:
            return is_long
        if self._pacing_gain > 1:
            has_filled = sample.prior_flight >= self._target_flight(state, self._pacing_gain)
            return is_long and (sample.lost_bytes > 0 or has_filled)
        return is_long or sample.prior_flight <= self._target_flight(state, 1.0)

    def _check_rtt_probe(self, state: SocketState, sample: RateSample, now_s: float) -> None:
        """Every ten seconds without a smaller RTT, drain the pipe to measure it."""
        if self._mode != PROBE_RTT and self._is_rtt_old and not self._is_restarting:
            self._mode, self._pacing_gain, self._window_gain = PROBE_RTT, 1.0, 1.0
            self._save_window(state)
            self._probe_done_s = 0.0
        if self._mode == PROBE_RTT:
            self._limited_bytes = self._delivered + state.flight or 1
            if self._probe_done_s == 0 and state.flight <= MIN_WINDOW_SEGMENTS * state.mss:
                self._probe_done_s = now_s + PROBE_RTT_S
                self._probe_round_done = False
                self._round_ends = self._delivered
            elif self._probe_done_s != 0:
                self._probe_round_done |= self._is_round_start
                if self._probe_round_done and now_s > self._probe_done_s:
                    self._end_rtt_probe(state, now_s)
        if sample.delivered_bytes:
            self._is_restarting = False

    def _end_rtt_probe(self, state: SocketState, now_s: float) -> None:
        self._rtt_at_s = now_s
        state.cwnd = max(self._prior_window, state.cwnd)
        if self._is_full:
            self._pacing_gain = 1.0
            self._probe_bandwidth(now_s)
        else:
            self._mode, self._pacing_gain, self._window_gain = STARTUP, HIGH_GAIN, HIGH_GAIN

    # -- what it sets ------------------------------------------------------------------------------------------------

    def _save_window(self, state: SocketState) -> None:
        if state.phase != RECOVERY and self._mode != PROBE_RTT:
            self._prior_window = state.cwnd
        else:
            self._prior_window = max(self._prior_window, state.cwnd)

    def _set_pacing(self, state: SocketState, gain: float) -> None:
        rate_bps = min(int(gain * self._bandwidth.best), MAX_PACING_BPS)
        if self._is_full or rate_bps > state.pacing_bps:
            state.pacing_bps = rate_bps

    def _set_window(self, state: SocketState, sample: RateSample) -> None:
        newly = sample.newly_delivered
        if newly and not (state.phase == RECOVERY and self._recover_window(state, sample)):
            target = self._target_flight(state, self._window_gain)
            if self._is_full:
                target += min(max(self._extra), self._bandwidth.best // 80)
                state.cwnd = min((state.cwnd + newly) & WINDOW_LIMIT_BYTES, target)
            elif state.cwnd < target or self._delivered < state.stack.initial_window * state.mss:
                state.cwnd = (state.cwnd + newly) & WINDOW_LIMIT_BYTES
            state.cwnd = max(state.cwnd, MIN_WINDOW_SEGMENTS * state.mss)
        if self._mode == PROBE_RTT:
            state.cwnd = min(state.cwnd, MIN_WINDOW_SEGMENTS * state.mss)

    def _recover_window(self, state: SocketState, sample: RateSample) -> bool:
        """Take losses off the window; return True while it only follows what is delivered."""
        if sample.lost_bytes > 0:
            signed = state.cwnd - (1 << 32) if state.cwnd >> 31 else state.cwnd
            state.cwnd = max(signed - sample.lost_bytes, state.mss)
        if self._conserves:
            state.cwnd = max(state.cwnd, state.flight + sample.newly_delivered)
        return self._conserves
