"""Round-trip times and the retransmission time-out: RFC 6298 as written, and as Linux has it."""

from __future__ import annotations

from emulator.backends.des.tcp.stack import Stack


class RttEstimator:
    """Smoothed RTT and its deviation, gains 1/8 and 1/4, with every sample (RFC 6298, ns-3).

    Attributes:
        smoothed_s: Smoothed RTT; 1 s before the first sample.
        deviation_s: Smoothed mean deviation.
        smallest_s: Least smoothed RTT seen.
    """

    __slots__ = ("_stack", "deviation_s", "has_sample", "smallest_s", "smoothed_s")

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.smoothed_s = 1.0
        self.deviation_s = 0.0
        self.smallest_s = float("inf")
        self.has_sample = False

    def add(self, sample_s: float, acknowledged: int, highest_sent: int) -> None:
        """Take over a measurement, made when all segments below the second number were acknowledged."""
        if self.has_sample:
            error_s = sample_s - self.smoothed_s
            self.smoothed_s += error_s / 8
            self.deviation_s += (abs(error_s) - self.deviation_s) / 4
        else:
            self.has_sample = True
            self.smoothed_s, self.deviation_s = sample_s, sample_s / 2
        self.smallest_s = min(self.smallest_s, self.smoothed_s)

    def timeout_s(self) -> float:
        """Return the time-out before any doubling: ``srtt + max(clock, 4 * rttvar)``, at least the stack's floor."""
        margin_s = max(self._stack.clock_s, 4 * self.deviation_s)
        return max(self.smoothed_s + margin_s, self._stack.min_rto_s)


class LinuxRttEstimator(RttEstimator):
    """As Linux's ``tcp_rtt_estimator``: the margin is the largest deviation of a round trip, and falls once a round trip.

    It falls by a quarter of what it is above the present one's, and never below the floor. A deviation from samples
    below the mean counts an eighth.
    """

    __slots__ = ("_largest_s", "_margin_s", "_round_end")

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self._margin_s = self._largest_s = stack.min_rto_s
        self._round_end = 0

    def add(self, sample_s: float, acknowledged: int, highest_sent: int) -> None:
        """See ``RttEstimator.add``."""
        if not self.has_sample:
            super().add(sample_s, acknowledged, highest_sent)
            self._margin_s = self._largest_s = max(4 * self.deviation_s, self._stack.min_rto_s)
            self._round_end = highest_sent
            return
        error_s = sample_s - self.smoothed_s
        self.smoothed_s += error_s / 8
        surplus_s = abs(error_s) - self.deviation_s
        self.deviation_s += surplus_s / (32 if error_s < 0 < surplus_s else 4)
        self.smallest_s = min(self.smallest_s, self.smoothed_s)
        if 4 * self.deviation_s > self._largest_s:
            self._largest_s = 4 * self.deviation_s
            self._margin_s = max(self._margin_s, self._largest_s)
        if acknowledged > self._round_end:
            self._margin_s -= max(0.0, self._margin_s - self._largest_s) / 4
            self._round_end = highest_sent
            self._largest_s = self._stack.min_rto_s

    def timeout_s(self) -> float:
        """Return the time-out before any doubling: smoothed RTT and margin."""
        return self.smoothed_s + self._margin_s


def make_estimator(stack: Stack) -> RttEstimator:
    """Return the estimator of a stack."""
    return LinuxRttEstimator(stack) if stack.floors_variance else RttEstimator(stack)
