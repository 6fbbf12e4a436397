"""What the end hosts and the framing are: the constants of one TCP implementation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

NETWORK_HEADER_BYTES: Final = 20
"""IPv4 without options."""
TRANSPORT_HEADER_BYTES: Final = 20
TIMESTAMP_BYTES: Final = 10
SYN_OPTION_BYTES: Final = 16
"""Timestamps, window scale and SACK-permitted, padded to a multiple of four."""
SACK_BLOCKS: Final = 3
"""Most SACK blocks that fit beside a timestamp (RFC 2018)."""


MAX_SYN_RTO_S: Final = 120.0


@dataclass(frozen=True)
class Stack:
    """One TCP implementation and the framing below it.

    The defaults are Linux's. ``NS3_STACK`` is ns-3.37 as the packet-level reference sets it up.

    Attributes:
        mss_bytes: Payload of a full segment.
        frame_bytes: Bytes a link adds to each IP packet, counted against its rate; 0 where rates are IP rates.
        initial_window: Segments sent before the first ACK (RFC 6928).
        min_rto_s: Floor of the retransmission time-out.
        max_rto_s: Ceiling of the doubled time-out.
        floors_variance: The floor applies to the margin above the RTT, which Linux keeps for a round trip at a time;
            else to the whole time-out (RFC 6298).
        syn_rto_s: First time-out of a SYN.
        syn_linear: Time-outs of a SYN of that length before they double (``tcp_syn_linear_timeouts``).
        syn_retries: Times a SYN, or its answer, is sent before that end gives up; 0 for never.
        delayed_ack_s: Longest an ACK is held back.
        ack_every: Full segments per ACK in order (RFC 5681 allows 2).
        quick_acks: Segments at the start that are acknowledged one by one (Linux's quick-ACK mode; ns-3: the first).
        duplicate_threshold: SACKed segments above a hole that make it lost.
        rearms_each_partial_ack: Every partial ACK restarts the time-out (Linux); else only the first of a recovery
            does (RFC 6582's impatient variant, ns-3).
        probes_tail: Two round trips without an ACK are followed by a tail-loss probe (RFC 8985, Linux).
        samples_resent: Timestamps give the RTT of segments sent twice as well (RFC 7323, Linux); else these give none.
        data_retries: Time-outs in a row after which the connection is given up; 0 for never.
        receive_window_bytes: Largest window the receiver announces.
        wraps_at_32_bits: Products in proportional rate reduction overflow as in ns-3.37, which starves recoveries from
            windows above some 64 KB.
        repeated_answer_resets: A repeated SYN-ACK puts the window back to the initial one (ns-3.37).
        shares_choices: All BBR flows draw the same phases (ns-3.37).
        closes: The connection is closed behind the transfer (a FIN and its ACK), else kept open.
        hystart_share: Rise of the round trip, as a share of the smallest one, at which HyStart leaves slow start.
        hystart_rise_s: Least and largest such rise.
        clock_s: Granularity of the time-out's variance term.
    """

    mss_bytes: int = 1448
    frame_bytes: int = 0
    initial_window: int = 10
    min_rto_s: float = 0.2
    max_rto_s: float = 120.0
    floors_variance: bool = True
    syn_rto_s: float = 1.0
    syn_linear: int = 4
    syn_retries: int = 6
    delayed_ack_s: float = 0.04
    ack_every: int = 2
    quick_acks: int = 16
    duplicate_threshold: int = 3
    rearms_each_partial_ack: bool = True
    probes_tail: bool = True
    samples_resent: bool = True
    data_retries: int = 15
    receive_window_bytes: int = 16 << 20
    wraps_at_32_bits: bool = False
    repeated_answer_resets: bool = False
    shares_choices: bool = False
    closes: bool = False
    hystart_share: float = 1 / 8
    hystart_rise_s: tuple[float, float] = (0.004, 0.016)
    clock_s: float = 0.001

    def data_bytes(self, payload_bytes: int) -> int:
        """Return the bytes a data segment takes on a link."""
        return payload_bytes + self.ack_bytes(0)

    def ack_bytes(self, sack_blocks: int) -> int:
        """Return the bytes an ACK with ``sack_blocks`` SACK blocks takes on a link."""
        return self._ack_sizes[sack_blocks]

    @cached_property
    def _ack_sizes(self) -> tuple[int, ...]:
        headers = NETWORK_HEADER_BYTES + TRANSPORT_HEADER_BYTES + self.frame_bytes
        options = [TIMESTAMP_BYTES + (2 + 8 * blocks if blocks else 0) for blocks in range(SACK_BLOCKS + 1)]
        return tuple(headers + (size + 3) // 4 * 4 for size in options)

    def syn_wait_s(self, sent: int) -> float:
        """Return how long a SYN that was sent ``sent`` times before waits for its answer."""
        return min(MAX_SYN_RTO_S, self.syn_rto_s * 2.0 ** min(32, max(0, sent - self.syn_linear)))

    @property
    def syn_bytes(self) -> int:
        """Bytes a SYN takes on a link."""
        return NETWORK_HEADER_BYTES + TRANSPORT_HEADER_BYTES + SYN_OPTION_BYTES + self.frame_bytes


LINUX_STACK: Final = Stack()
NS3_STACK: Final = Stack(
    frame_bytes=2, max_rto_s=60.0, floors_variance=False, syn_rto_s=3.0, syn_linear=0, delayed_ack_s=0.2, quick_acks=1,
    rearms_each_partial_ack=False, probes_tail=False, samples_resent=False, data_retries=6, wraps_at_32_bits=True,
    repeated_answer_resets=True, shares_choices=True, closes=True, hystart_share=1.0, hystart_rise_s=(0.004, 1.0),
)  # fmt: skip
"""ns-3.37 over PPP links, minimum RTO 200 ms, SACK: tcp-socket-base.cc and its attribute defaults."""
