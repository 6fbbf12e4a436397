"""Round-trip times and the retransmission time-out (RFC 6298)."""

from __future__ import annotations

from emulator.backends.des.tcp.stack import Stack


class RttEstimator:
    """Smoothed RTT and its deviation; gains 1/8 and 1/4.

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

    def add(self, sample_s: float) -> None:
        """Take over one measurement."""
        if self.has_sample:
            error_s = sample_s - self.smoothed_s
            self.smoothed_s += error_s / 8
            self.deviation_s += (abs(error_s) - self.deviation_s) / 4
        else:
            self.has_sample = True
            self.smoothed_s, self.deviation_s = sample_s, sample_s / 2
        self.smallest_s = min(self.smallest_s, self.smoothed_s)

    def timeout_s(self) -> float:
        """Return the time-out before any doubling: ``srtt + max(clock, 4 * rttvar)`` with the stack's floor."""
        stack = self._stack
        margin_s = max(stack.clock_s, 4 * self.deviation_s)
        if stack.floors_variance:
            return self.smoothed_s + max(stack.min_rto_s, margin_s)
        return max(self.smoothed_s + margin_s, stack.min_rto_s)
