"""Which segments are sent, SACKed, lost and retransmitted: RFC 6675's scoreboard on byte strings.

Segments are numbered from 0; all are full except perhaps the last. Each has three flags in one byte, so that the
searches of RFC 6675 (next lost segment, newly SACKed segments) run at the speed of ``bytes.find``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

LOST: Final = 1
RETRANSMITTED: Final = 2
SACKED: Final = 4
_FRESH = b"\x00"
_LOST = b"\x01"
_TIMED_OUT: Final = bytes(code & SACKED if code & SACKED else LOST for code in range(256))


class Scoreboard:
    """The sender's view of its segments.

    A retransmitted segment that is then SACKed keeps its ``RETRANSMITTED`` flag, and counts as in flight, until the
    cumulative ACK passes it (as in ns-3).

    Attributes:
        una: First segment not acknowledged.
        nxt: First segment never sent.
        count: Segments of the transfer.
    """

    __slots__ = (
        "_high_sack", "_marked", "_sacked", "_state", "_threshold", "count", "last_bytes", "lost_bytes", "mss", "nxt",
        "retransmitted_bytes", "sacked_bytes", "total_bytes", "una",
    )  # fmt: skip

    def __init__(self, total_bytes: int, mss: int, threshold: int) -> None:
        self.mss = mss
        self.total_bytes = total_bytes
        self.count = -(-total_bytes // mss)
        self.last_bytes = total_bytes - (self.count - 1) * mss
        self._threshold = threshold
        self._state = bytearray(self.count)
        self._sacked = bytearray(self.count)
        self.una = 0
        self.nxt = 0
        self.lost_bytes = 0
        self.sacked_bytes = 0
        self.retransmitted_bytes = 0
        self._high_sack = -1
        self._marked = 0  # below this every segment is lost or SACKed

    def size(self, index: int) -> int:
        """Return the payload of a segment."""
        return self.mss if index < self.count - 1 else self.last_bytes

    def offset(self, index: int) -> int:
        """Return the payload bytes before a segment."""
        return index * self.mss if index < self.count else self.total_bytes

    def in_flight(self) -> int:
        """Return the bytes believed to be in the network: sent - SACKed - lost + retransmitted."""
        sent = self.offset(self.nxt) - self.una * self.mss if self.una < self.count else 0
        return sent - self.sacked_bytes - self.lost_bytes + self.retransmitted_bytes

    def sack(self, blocks: Sequence[tuple[int, int]]) -> list[int]:
        """Take over SACK blocks (first, past last) and return the segments they newly cover."""
        fresh: list[int] = []
        sacked, state = self._sacked, self._state
        for first, past in blocks:
            index = sacked.find(_FRESH, max(first, self.una), past)
            while index >= 0:
                size = self.size(index)
                if state[index] & LOST:
                    self.lost_bytes -= size
                state[index] = (state[index] & RETRANSMITTED) | SACKED
                sacked[index] = 1
                self.sacked_bytes += size
                if self._high_sack <= index + 1:
                    self._high_sack = index
                fresh.append(index)
                index = sacked.find(_FRESH, index + 1, past)
        if fresh:
            self._find_lost()
        return fresh

    def _find_lost(self) -> None:
        """Mark as lost what has ``threshold`` SACKed segments above it (RFC 6675 IsLost, by segments)."""
        sacked, edge = self._sacked, self._high_sack + 1
        for _ in range(self._threshold):
            edge = sacked.rfind(b"\x01", self.una, edge)
            if edge < 0:
                return
        state, start = self._state, max(self._marked, self.una)
        for unmarked in (_FRESH, b"\x02"):
            index = state.find(unmarked, start, edge)
            while index >= 0:
                self._lose(index)
                index = state.find(unmarked, index + 1, edge)
        if not state[self.una] & LOST:
            self._lose(self.una)
        self._marked = max(self._marked, edge)

    def _lose(self, index: int) -> None:
        self._state[index] |= LOST
        self.lost_bytes += self.size(index)

    def acknowledge(self, ack: int) -> tuple[int, list[int], bool]:
        """Drop all below ``ack``.

        Returns:
            Bytes that were not SACKed before, the segments that made them (empty while nothing is out of order), and
            whether one of them had been retransmitted.
        """
        una = self.una
        delivered = self.offset(ack) - una * self.mss
        self.una = ack
        if not (self.sacked_bytes or self.lost_bytes or self.retransmitted_bytes):
            return delivered, [], False
        gone = self._state[una:ack]
        sacked = gone.count(b"\x04") + gone.count(b"\x06")
        was_retransmitted = b"\x02" in gone or b"\x03" in gone
        indices = [una + k for k, code in enumerate(gone) if not code & SACKED]
        if ack == self.count:
            delivered -= self.sacked_bytes
            self.sacked_bytes = self.lost_bytes = self.retransmitted_bytes = 0
            return delivered, indices, was_retransmitted
        mss = self.mss
        self.sacked_bytes -= sacked * mss
        self.lost_bytes -= (gone.count(b"\x01") + gone.count(b"\x03")) * mss
        self.retransmitted_bytes -= (gone.count(b"\x02") + gone.count(b"\x03") + gone.count(b"\x06")) * mss
        if self._high_sack <= ack:
            self._high_sack = -1
        return delivered - sacked * mss, indices, was_retransmitted

    def next_lost(self) -> int:
        """Return the first segment lost and not yet retransmitted, -1 if none (RFC 6675 NextSeg, rule 1)."""
        return self._state.find(_LOST, self.una, self.nxt) if self.lost_bytes else -1

    def next_doubtful(self) -> int:
        """Return the first segment neither SACKed nor lost nor retransmitted, -1 if none (NextSeg, rule 3)."""
        return self._state.find(_FRESH, self.una, self.nxt)

    def is_lost_above(self, index: int) -> bool:
        """Return whether the first segment from ``index`` on that is lost or SACKed is lost."""
        if index >= self._high_sack:
            return False
        for code in self._state[index : self.nxt]:
            if code & LOST:
                return True
            if code & SACKED:
                return False
        return False

    def is_retransmitted(self, index: int) -> bool:
        """Return whether a segment was sent again and is not SACKed."""
        return index < self.nxt and self._state[index] & (RETRANSMITTED | SACKED) == RETRANSMITTED

    def lose_head(self) -> None:
        """Mark the first unacknowledged segment lost and due for retransmission."""
        code = self._state[self.una]
        if code & RETRANSMITTED:
            self.retransmitted_bytes -= self.size(self.una)
            self._state[self.una] = code & ~RETRANSMITTED
        if not code & LOST:
            self._lose(self.una)

    def lose_below(self, edge: int) -> None:
        """Mark lost all below ``edge`` that was sent once and is not SACKed."""
        index = self._state.find(_FRESH, self.una, edge)
        while index >= 0:
            self._lose(index)
            index = self._state.find(_FRESH, index + 1, edge)

    def is_head_lost(self) -> bool:
        """Return whether the first unacknowledged segment is marked lost."""
        return bool(self._state[self.una] & LOST)

    def time_out(self) -> None:
        """Mark everything not SACKed as lost and due for retransmission."""
        self._state[self.una : self.nxt] = self._state[self.una : self.nxt].translate(_TIMED_OUT)
        self.retransmitted_bytes = 0
        self.lost_bytes = self.offset(self.nxt) - self.una * self.mss - self.sacked_bytes

    def send(self, index: int) -> bool:
        """Note that a segment leaves; return whether it is a retransmission."""
        if index == self.nxt:
            self.nxt += 1
            return False
        if not self._state[index] & RETRANSMITTED:
            self._state[index] |= RETRANSMITTED
            self.retransmitted_bytes += self.size(index)
        return True
