"""How long Flower's deployment protocol takes besides moving bytes: polls, round trips, process starts (flwr 1.41).

The model, named ``poll-and-pull``, in the order of one message:

1. The ServerApp pushes the message; it waits at the SuperLink (same machine, no network).
2. The SuperNode asks for work when it has finished its last message and then every ``supernode_poll_s`` plus one round trip
   (``next_poll_s``). The poll that finds the message carries back the message's object tree.
3. ``download``: on first contact (after every start of the SuperNode) it fetches run and app bundle; then the message's objects,
   ``lanes`` at a time, one request each, and confirms. All of it is one transfer on a fresh TCP (and TLS) connection: Flower
   closes idle connections after 5 s.
4. The SuperExec notices the task within ``superexec_poll_s`` and starts a ClientApp process (work unit ``process_starts``).
5. The SuperNode looks for the reply every ``reply_poll_s`` (``reply_poll_delay_s``).
6. ``upload``: it announces the reply's object tree and pushes the objects.
7. The ServerApp's grid looks for replies every ``serverapp_poll_s``.

Left out here: time-outs and retries of single requests above 30 s of outage, heartbeat jitter, overlap of process start with the
download, and overload of the SuperLink.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from emulator.flower.adapter import ObjectSizes
from emulator.plan import FlowerSettings

HTTP_REQUEST_BYTES = 500
"""Estimate: request line, headers with the node's signature, and a small protobuf body."""
HTTP_RESPONSE_BYTES = 250
"""Estimate: status line, headers, and a small protobuf body."""
TREE_BYTES_PER_OBJECT = 70
"""A SHA-256 in hexadecimal and its protobuf framing, for each object in an object tree."""
TLS_HANDSHAKE_BYTES = 4000
"""Estimate for a typical certificate chain (link_profiles.yaml, transport_overhead)."""


@dataclass(frozen=True)
class Exchange:
    """What one phase asks of the network.

    Attributes:
        forward_bytes: Bytes in the direction of the message, framing of the requests included.
        backward_bytes: Bytes of requests or answers in the other direction.
        round_trips: Round trips during which no bulk data flows, TCP and TLS handshakes included.
    """

    forward_bytes: int
    backward_bytes: int
    round_trips: int


def download(sizes: ObjectSizes, settings: FlowerSettings, *, first_contact_bytes: int | None) -> Exchange:
    """Return the exchange that brings a message to a SuperNode.

    Args:
        sizes: The message's objects.
        settings: Protocol constants.
        first_contact_bytes: Size of the app bundle where this SuperNode has not seen the run yet, else None.
    """
    requests = 1 + sizes.objects + 1  # poll, objects, confirmation
    trips = _handshake_trips(settings) + 1 + math.ceil(sizes.objects / settings.lanes)
    forward = sizes.total_bytes + sizes.objects * TREE_BYTES_PER_OBJECT
    if first_contact_bytes is not None:
        requests, trips, forward = requests + 2, trips + 2, forward + first_contact_bytes
    return _exchange(forward, requests, trips, HTTP_RESPONSE_BYTES, HTTP_REQUEST_BYTES, settings)


def upload(sizes: ObjectSizes, settings: FlowerSettings) -> Exchange:
    """Return the exchange that brings a reply to the SuperLink."""
    requests = 1 + sizes.objects
    trips = _handshake_trips(settings) + 1 + math.ceil(sizes.objects / settings.lanes)
    forward = sizes.total_bytes + sizes.objects * TREE_BYTES_PER_OBJECT
    return _exchange(forward, requests, trips, HTTP_REQUEST_BYTES, HTTP_RESPONSE_BYTES, settings)


def _exchange(
    payload: int, requests: int, trips: int, forward_each: int, backward_each: int, settings: FlowerSettings
) -> Exchange:
    tls = TLS_HANDSHAKE_BYTES // 2 if settings.is_tls else 0
    return Exchange(payload + requests * forward_each + tls, requests * backward_each + tls, trips)


def _handshake_trips(settings: FlowerSettings) -> int:
    return 2 if settings.is_tls else 1


def next_poll_s(anchor_s: float, now_s: float, period_s: float) -> float:
    """Return the first instant ``anchor_s + k * period_s`` (k = 0, 1, ...) not before ``now_s``."""
    if now_s <= anchor_s:
        return anchor_s
    polls = math.ceil((now_s - anchor_s) / period_s - 1e-9)
    return max(now_s, anchor_s + polls * period_s)


def reply_poll_delay_s(compute_s: float, settings: FlowerSettings) -> float:
    """Return how long a finished reply waits for the SuperNode's next look, which come every ``reply_poll_s``."""
    if settings.reply_poll_s <= 0:
        return 0.0
    polls = math.ceil(compute_s / settings.reply_poll_s - 1e-9)
    return max(0.0, polls * settings.reply_poll_s - compute_s)


def idle_load_bps(settings: FlowerSettings, round_trip_s: float) -> tuple[float, float]:
    """Return mean load (up, down) in bit/s of an idle SuperNode's polls and heartbeats; never simulated as events."""
    rate = 1 / (settings.supernode_poll_s + round_trip_s) + 1 / settings.heartbeat_s
    return rate * HTTP_REQUEST_BYTES * 8, rate * HTTP_RESPONSE_BYTES * 8
