"""What every congestion control answers to; most does nothing here, so that each control states only what it does."""

from __future__ import annotations

from emulator.backends.des.tcp.rate import RateSample
from emulator.backends.des.tcp.state import SocketState


class Control:
    """A congestion control of one connection.

    Attributes:
        rules_window: It sets window and pacing rate itself on every ACK (BBR), so that proportional rate reduction is
            not applied and delivery rates are sampled.
    """

    rules_window = False

    def opened(self, state: SocketState, now_s: float) -> None:
        """The connection is established."""

    def acked(self, state: SocketState, rtt_s: float, now_s: float) -> None:
        """An ACK came in, with the smoothed RTT at this time; called before ``grow``."""

    def grow(self, state: SocketState, segments: int, now_s: float) -> None:
        """``segments`` were acknowledged in order outside of recovery."""

    def reduce(self, state: SocketState) -> int:
        """A loss was found: return the new slow-start threshold in bytes."""
        return max(2 * state.mss, state.cwnd // 2)

    def entered_recovery(self, state: SocketState) -> None:
        """Fast recovery begins."""

    def left_recovery(self, state: SocketState, now_s: float) -> None:
        """Fast recovery is over."""

    def timed_out(self, state: SocketState, now_s: float) -> None:
        """The retransmission timer fired."""

    def restarted(self, state: SocketState, now_s: float) -> None:
        """A segment is about to leave while nothing is in flight."""

    def control(self, state: SocketState, sample: RateSample, delivered_bytes: int, now_s: float) -> None:
        """Set window and pacing rate after an ACK; only where ``rules_window``."""
