"""What one TCP connection does, as pure functions: set-up, slow start, loss, idle, outage.

Rates are bits per second at the IP layer, sizes are payload bytes. ``transfer_time`` is the closed form for a flow
alone on its path and serves as an oracle for the fluid engine. Left out: delayed ACKs, receive-window limits,
HyStart, and BBR. Sources: D.1-D.7 of the project's modelling notes, RFC 5681, 6298, 6928, 8446, 8985, 9438; Mathis et
al. 1997; Cardwell, Savage and Anderson 2000.
"""

from __future__ import annotations

import math
from math import inf
from typing import Final

MSS_BYTES: Final = 1448
"""Payload of a full segment: 1500 minus IPv4 (20), TCP (20) and timestamps (12)."""
PACKET_BYTES: Final = 1500
"""A full segment at the IP layer."""
GOODPUT: Final = MSS_BYTES / PACKET_BYTES
"""Payload bytes per byte on the link. Full segments assumed throughout; a link layer's own framing is not counted."""
INITIAL_WINDOW: Final = 10.0
"""Segments sent before the first ACK (RFC 6928)."""
TCP_HANDSHAKE_RTTS: Final = 1.0
TLS_HANDSHAKE_RTTS: Final = 1.0
"""TLS 1.3 full handshake (RFC 8446)."""
CONTROL_PACKET_BYTES: Final = 60
"""A SYN with its options."""
MIN_RTO_VARIANCE_S: Final = 0.2
"""Linux adds at least TCP_RTO_MIN (200 ms) to the smoothed RTT."""
MAX_RTO_S: Final = 120.0
SYN_RTO_S: Final = 1.0
SYN_LINEAR_RETRIES: Final = 4
"""Linux ``tcp_syn_linear_timeouts``: this many SYN time-outs are repeated before they double."""


def setup_rtts(*, is_new_connection: bool, is_tls: bool) -> float:
    """Return the round trips before the first payload byte may leave: TCP 1, TLS 1.3 1, a kept connection 0."""
    return (TCP_HANDSHAKE_RTTS + TLS_HANDSHAKE_RTTS * is_tls) * is_new_connection


def transfer_time(
    size_bytes: float, rate_bps: float, rtt_s: float, owd_s: float, is_new_connection: bool = True, tls: bool = False
) -> float:
    """Return the seconds from opening the connection to the last payload byte at the receiver, alone on the path.

    Slow start sends ``w`` segments per round of ``rtt + seg`` with ``w`` doubling from 10; once ``w * seg >= rtt +
    seg`` the pipe stays full; the last window leaves at the full rate. ``seg`` is the time one full packet takes at
    ``rate_bps``.

    Args:
        size_bytes: Payload.
        rate_bps: Rate of the slowest link at the IP layer.
        rtt_s: Round-trip propagation; add the packet time of every other link on the way.
        owd_s: One-way propagation forwards; add the same packet times.
        is_new_connection: Pays the TCP (and TLS) handshake.
        tls: TLS 1.3 on a new connection.
    """
    seg_s = PACKET_BYTES * 8 / rate_bps
    elapsed_s = setup_rtts(is_new_connection=is_new_connection, is_tls=tls) * rtt_s
    if is_new_connection:
        elapsed_s += 2 * CONTROL_PACKET_BYTES * 8 / rate_bps
    remaining, window = size_bytes / MSS_BYTES, INITIAL_WINDOW
    while remaining > window and window * seg_s < rtt_s + seg_s:
        remaining -= window
        elapsed_s += rtt_s + seg_s
        window *= 2
    return elapsed_s + owd_s + remaining * seg_s


def loss_window(loss: float, rtt_s: float) -> float:
    """Return the mean congestion window in segments under independent loss: the larger of CUBIC's and Reno's.

    CUBIC ``1.054 (rtt/p)^0.75`` (RFC 9438, C = 0.4, beta = 0.7); Reno-friendly ``1.22 / sqrt(p)`` (Mathis, one ACK per
    segment). Infinite without loss, one segment at the least.
    """
    if loss <= 0:
        return inf
    return max(1.054 * math.pow(rtt_s / loss, 0.75), math.sqrt(1.5 / loss), 1.0)


def loss_bound_bps(loss: float, rtt_s: float) -> float:
    """Return the payload rate random loss allows in the long run: ``loss_window * MSS * 8 / rtt``.

    An upper bound: time-outs, which rule above some 3 % of loss, are left out.
    """
    if loss <= 0:
        return inf
    return loss_window(loss, rtt_s) * MSS_BYTES * 8 / rtt_s


def segments_before_loss(loss: float, segments: float) -> float:
    """Return how many of ``segments`` slow start is expected to send before the first loss ends it.

    ``(1 - (1-p)^d) (1-p)/p + 1``, at most ``d`` (Cardwell, Savage and Anderson 2000, equation 5).
    """
    if loss <= 0:
        return segments
    return min(segments, (1 - math.pow(1 - loss, segments)) * (1 - loss) / loss + 1)


def path_loss(losses: list[float]) -> float:
    """Return the loss of hops in series: ``1 - prod(1 - p)``."""
    passed = 1.0
    for loss in losses:
        passed *= 1 - loss
    return 1 - passed


def rto_s(rtt_s: float, jitter_s: float = 0.0) -> float:
    """Return Linux's retransmission time-out: ``rtt + max(200 ms, 4 * jitter)`` (RFC 6298 with Linux's floor)."""
    return min(MAX_RTO_S, rtt_s + max(MIN_RTO_VARIANCE_S, 4 * jitter_s))


def tail_probe_s(rtt_s: float, timeout_s: float) -> float:
    """Return the time from the last ACK to the tail-loss probe: two round trips, no later than the time-out (RFC 8985).

    The time-out counts from the oldest segment out, which was sent about a round trip before.
    """
    return min(2 * rtt_s, max(0.0, timeout_s - rtt_s))


def window_after_idle(window: float, idle_s: float, timeout_s: float) -> float:
    """Return the window an idle connection goes on with: 10 after one RTO (``tcp_slow_start_after_idle``)."""
    return min(window, INITIAL_WINDOW) if idle_s > timeout_s else window


def probe_time(outage_s: float, first_s: float, timeout_s: float) -> float:
    """Return when, after the cut, the first retransmission finds the path up again.

    Probes leave at ``first_s`` and then after gaps ``2 * timeout_s`` doubling up to 120 s, so the overshoot is up to
    the length of the outage itself.

    Args:
        outage_s: How long the path is down, counted from the cut.
        first_s: First time-out: tail probe plus RTO.
        timeout_s: RTO at the cut; above 0.
    """
    probe_s, gap_s = first_s, 2 * timeout_s
    while probe_s < outage_s:
        gap_s = min(gap_s, MAX_RTO_S)
        if gap_s == MAX_RTO_S:  # equal gaps from here on: jump, as outages may last for days
            probe_s += gap_s * max(1.0, -((probe_s - outage_s) // gap_s))
        else:
            probe_s += gap_s
            gap_s *= 2
    return probe_s


def syn_time(outage_s: float) -> float:
    """Return when, after the first SYN, one finds the path up: 0, 1, 2, 3, 4, 5, 7, 11, 19 ... s, gaps up to 120 s.

    Linux since 6.5: four linear repeats, then doubling (kernel documentation, ip-sysctl,
    ``tcp_syn_linear_timeouts``). That connecting gives up after ``tcp_syn_retries`` is left to the application's own
    time-out.
    """
    if outage_s <= 0:
        return 0.0
    linear_s = SYN_RTO_S * (1 + SYN_LINEAR_RETRIES)
    for count in range(1, 2 + SYN_LINEAR_RETRIES):
        if count * SYN_RTO_S >= outage_s:
            return count * SYN_RTO_S
    return probe_time(outage_s, linear_s, SYN_RTO_S)
