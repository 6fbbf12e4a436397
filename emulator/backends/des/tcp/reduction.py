"""Proportional rate reduction with the slow-start reduction bound (RFC 6937)."""

from __future__ import annotations

from math import ceil

from emulator.backends.des.tcp.state import WINDOW_LIMIT_BYTES


class RateReduction:
    """Sets the window during fast recovery, so that it falls to the threshold as ACKs come in.

    Args:
        mss: Bytes of a full segment.
        wraps_at_32_bits: See ``Stack``.
    """

    __slots__ = ("_delivered", "_flight", "_mss", "_sent", "_wraps")

    def __init__(self, mss: int, *, wraps_at_32_bits: bool) -> None:
        self._mss = mss
        self._wraps = wraps_at_32_bits
        self._delivered = self._flight = self._sent = 0

    def begin(self, flight_bytes: int) -> None:
        """Recovery begins with so many bytes sent and not acknowledged."""
        self._delivered = self._sent = 0
        self._flight = flight_bytes

    def note_sent(self, size_bytes: int) -> None:
        """A segment was sent during recovery."""
        self._sent += size_bytes

    def window(self, delivered: int, *, flight: int, threshold: int, is_retransmission_acked: bool) -> int:
        """Return the window after an ACK that delivered so many bytes."""
        self._delivered += delivered
        if flight > threshold:
            share = self._delivered * threshold
            if self._wraps:
                share &= WINDOW_LIMIT_BYTES
            allowed = ceil(share / max(1, self._flight)) - self._sent
        else:
            limit = delivered
            if is_retransmission_acked:
                surplus = self._delivered - self._sent
                is_wrapped = surplus < 0 and self._wraps
                limit = (surplus if is_wrapped else max(surplus, delivered)) + self._mss
            allowed = min(limit, threshold - flight)
        return flight + max(allowed, 0 if self._sent > 0 else self._mss)
