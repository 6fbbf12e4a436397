"""The receiving end: reassembly, delayed ACKs (RFC 5681), SACK blocks (RFC 2018), timestamps (RFC 7323)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from emulator.backends.des.tcp.clock import NEVER_NS, to_ns
from emulator.backends.des.tcp.stack import SACK_BLOCKS, Stack

KEPT_BLOCKS = 4
"""SACK blocks a receiver remembers; the oldest is dropped."""


class Ack(NamedTuple):
    """An ACK: all below ``next_index`` has arrived, and what is in ``blocks``; ``echo_ms`` is the sender's clock."""

    next_index: int
    blocks: tuple[tuple[int, int], ...]
    echo_ms: int


class Receiver:
    """Takes segments in any order and says when to acknowledge.

    Attributes:
        next_index: First segment missing.
        delayed_until_ns: When a delayed ACK falls due; ``NEVER_NS`` if none is held back.
    """

    __slots__ = (
        "_arrived", "_blocks", "_echo_ms", "_held", "_highest_acked", "_highest_ms", "_out_of_order", "_quick_left",
        "_send", "_stack", "count", "delayed_until_ns", "next_index",
    )  # fmt: skip

    def __init__(self, count: int, stack: Stack, send: Callable[[int, Ack], None]) -> None:
        self.count = count
        self.next_index = 0
        self.delayed_until_ns = NEVER_NS
        self._stack = stack
        self._send = send
        self._arrived = bytearray(count)
        self._out_of_order = 0
        self._held = 0
        self._quick_left = stack.quick_acks
        self._echo_ms = 0
        self._highest_ms = 0
        self._highest_acked = 0
        self._blocks: list[tuple[int, int]] = []

    def take(self, now_ns: int, index: int, sent_ms: int) -> None:
        """Take a data segment sent at ``sent_ms`` on the sender's clock."""
        if sent_ms >= self._highest_ms:
            self._highest_ms = sent_ms
            if index == self.next_index and index <= self._highest_acked:
                self._echo_ms = sent_ms
        if index < self.next_index or self._arrived[index]:
            self.acknowledge(now_ns)
            return
        self._arrived[index] = 1
        if index > self.next_index:
            self._out_of_order += 1
            self._remember(index, index + 1)
            self.acknowledge(now_ns)
            return
        past = self._arrived.find(b"\x00", index)
        self.next_index = past if past >= 0 else self.count
        filled = self.next_index - index - 1
        if filled:
            self._out_of_order -= filled
            self._blocks = [block for block in self._blocks if block[1] > self.next_index]
        self._held += 1
        self._quick_left -= 1
        is_due = self._held >= self._stack.ack_every or self._quick_left >= 0 or self.next_index == self.count
        if filled and self.next_index == self.count and self._stack.closes:
            return  # the FIN that follows acknowledges it
        if self._out_of_order or filled or is_due:
            self.acknowledge(now_ns)
        elif self.delayed_until_ns == NEVER_NS:
            self.delayed_until_ns = now_ns + to_ns(self._stack.delayed_ack_s)

    def take_over(
        self, next_index: int, held: int, quick_left: int, highest_acked: int, echo_ms: int, delayed_ns: int
    ) -> None:
        """Go on from where all below ``next_index`` has arrived in order."""
        self.next_index, self._held, self._quick_left = next_index, held, quick_left
        self._highest_acked, self._echo_ms, self.delayed_until_ns = highest_acked, echo_ms, delayed_ns
        self._arrived[:next_index] = b"\x01" * next_index

    @property
    def arrived(self) -> int:
        """Segments that have arrived."""
        return self.next_index + self._out_of_order

    def acknowledge(self, now_ns: int) -> None:
        """Send an ACK for all that has arrived."""
        self._held = 0
        self.delayed_until_ns = NEVER_NS
        if self.next_index > self._highest_acked:
            self._highest_acked = self.next_index
        self._send(now_ns, Ack(self.next_index, tuple(self._blocks[:SACK_BLOCKS]), self._echo_ms))

    def last_ack(self) -> Ack:
        """Return the acknowledgement a FIN carries."""
        return Ack(self.next_index, (), self._echo_ms)

    def _remember(self, first: int, past: int) -> None:
        """Put the block with the newest segment first and join it with its neighbours."""
        kept: list[tuple[int, int]] = []
        for block in self._blocks:
            if block[1] == first:
                first = block[0]
            elif block[0] == past:
                past = block[1]
            else:
                kept.append(block)
        self._blocks = [(first, past), *kept][:KEPT_BLOCKS]
