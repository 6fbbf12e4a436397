"""What a congestion control sees of its connection, and may change."""

from __future__ import annotations

from typing import Final

from emulator.backends.des.tcp.rtt import make_estimator
from emulator.backends.des.tcp.stack import Stack

OPEN: Final = 0
DISORDER: Final = 1
RECOVERY: Final = 2
LOSS: Final = 3
"""Congestion states, as in Linux: normal, duplicate ACKs seen, fast recovery, after a time-out."""

WINDOW_LIMIT_BYTES: Final = (1 << 32) - 1
"""Stands for an infinite slow-start threshold."""


class SocketState:
    """Windows in bytes, sequence numbers in segments.

    Attributes:
        mss: Bytes of a full segment.
        cwnd: Congestion window.
        ssthresh: Slow-start threshold.
        phase: ``OPEN``, ``DISORDER``, ``RECOVERY`` or ``LOSS``.
        flight: Bytes in flight when last counted.
        newly_delivered: Bytes the present ACK delivered, cumulatively or by SACK.
        last_acked: First segment not acknowledged, by the present ACK.
        highest_sent: First segment never sent.
        rtt: Round-trip times.
        pacing_bps: Payload rate at which a pacing control lets segments leave.
    """

    __slots__ = (
        "cwnd", "flight", "highest_sent", "last_acked", "mss", "newly_delivered", "pacing_bps", "phase", "rtt",
        "ssthresh", "stack",
    )  # fmt: skip

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.mss = stack.mss_bytes
        self.cwnd = stack.initial_window * stack.mss_bytes
        self.ssthresh = WINDOW_LIMIT_BYTES
        self.phase = OPEN
        self.flight = 0
        self.newly_delivered = 0
        self.last_acked = 0
        self.highest_sent = 0
        self.rtt = make_estimator(stack)
        self.pacing_bps = float("inf")
