"""What Flower's deployment protocol adds to moving bytes: polls, round trips, requests, connections (flwr 1.41).

The model, in the order of one message; recorded by ``benchmarks/flower_protocol.py``, bytes in ``emulator.flower.wire``:

1. The ServerApp pushes the message; it waits at the SuperLink (same machine, no network).
2. The SuperNode asks for work at once when it has sent its last reply, and then every ``supernode_poll_s`` plus one round trip
   (``next_poll_s``). The poll that finds the message carries back its metadata and object tree.
3. ``download``: on first contact (after every start of the SuperNode) it gets run and app bundle, one after the other; then it
   creates the task, pulls the message's objects, ``lanes`` at a time, one request each, and confirms. The poll's connection is
   open; the other lanes' are new unless they were used within ``KEEP_ALIVE_S``.
4. The SuperExec notices the task within ``superexec_poll_s`` and starts a ClientApp process (work unit ``process_starts``) while
   objects still come. The process has loaded Flower (``START_BEFORE_MESSAGE`` of its start) when it asks for the message; while
   objects are missing it asks again after 1, 2, 4, 8, 10, 10 ... s (``message_ready_s``). Then it loads the app.
5. The SuperNode looks for the reply every ``reply_poll_s`` from its confirmation on.
6. ``upload``: it announces the reply, and pushes the objects. Its connections have been closed if the ClientApp took longer than
   ``KEEP_ALIVE_S``.
7. The ServerApp's grid looks for replies every ``serverapp_poll_s``.

Heartbeats go on all the time, polls while there is nothing to do (``idle_bytes``).

What an outage does to all this is in ``emulator.backends.des.requests`` and ``retries``. Left out: jitter of the waits in 4,
heartbeats that keep a connection open for the upload, objects that the SuperLink already has from another client.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from emulator.flower import wire
from emulator.flower.adapter import ObjectSizes
from emulator.plan import FlowerSettings

KEEP_ALIVE_S: Final = 5.0
"""uvicorn and httpx close a connection that was idle for so long; recorded: the SuperLink does, after 5.0 s."""
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 10.0
"""Waits of a ClientApp for missing objects double from the first to the longest (flwr.supercore.constant, PULL_*BACKOFF*).
Recorded: a process asked 3.7 s after the poll, the objects were there after 11.0 s, and it replied after 19.2 s (here 18.7 s)."""
QUICK_ACKS: Final = 16
"""Packets at a transfer's start that the packet-level model acknowledges one by one; Linux does so on new connections only."""
START_BEFORE_MESSAGE: Final = 0.5
"""Part of a ClientApp's start until it asks for the message: 1.65 of 3.5 CPU seconds for flwr alone and flwr with torch (x86)."""


@dataclass(frozen=True)
class Exchange:
    """What one phase asks of the network.

    Attributes:
        forward_bytes: Bytes in the direction of the message, framing of the requests included.
        backward_bytes: Bytes of requests or answers in the other direction.
        round_trips: Round trips before the bulk of the data flows, handshakes included; the last byte's way comes on top.
        requests: HTTP requests.
        forward_extra_bytes: Headers of small packets in the message's direction, besides those of a stream of full packets.
        backward_extra_bytes: The same in the other direction, besides that stream's ACKs.
    """

    forward_bytes: int
    backward_bytes: int
    round_trips: float
    requests: int
    forward_extra_bytes: int = 0
    backward_extra_bytes: int = 0


@lru_cache(maxsize=1024)
def download(
    sizes: ObjectSizes, settings: FlowerSettings, *, first_contact_bytes: int | None, new_connections: int
) -> Exchange:
    """Return the exchange that brings a message to a SuperNode, from the poll that finds it to its confirmation.

    The confirmation's round trip is not in it: nothing waits for it but the look for the reply.

    Args:
        sizes: The message's objects.
        settings: Protocol constants.
        first_contact_bytes: Size of the app bundle where this SuperNode has not seen the run yet, else None.
        new_connections: How many of the lanes have no open connection.
    """
    is_tls, objects = settings.is_tls, sizes.objects
    each = math.ceil((sizes.total_bytes + wire.INSTRUCTION_IDS_BYTES) / max(1, objects))
    parts = [
        wire.finding_poll(objects, is_tls=is_tls),
        wire.pull_object(each, is_tls=is_tls).times(objects),
        wire.confirm(is_tls=is_tls),
        wire.connection(is_tls=is_tls).times(new_connections),
    ]
    requests, trips = 2 + objects, 1 + _object_trips(objects, settings, min(new_connections, settings.lanes - 1))
    if new_connections >= settings.lanes:
        trips += handshake_trips(settings)
    if first_contact_bytes is not None:
        parts += [wire.get_run(is_tls=is_tls), wire.get_bundle(first_contact_bytes, is_tls=is_tls)]
        requests, trips = requests + 2, trips + 2
    both = wire.total(parts)
    # The network adds the last byte's way to the SuperNode, which is the second half of the last round trip.
    extra = _extra_bytes(both.down, both.down_packets, both.up_packets)
    return Exchange(both.down, both.up, trips - 0.5, requests, *extra)


@lru_cache(maxsize=1024)
def upload(sizes: ObjectSizes, settings: FlowerSettings, *, new_connections: int) -> Exchange:
    """Return the exchange that brings a reply to the SuperLink; see ``download``."""
    is_tls, objects = settings.is_tls, sizes.objects
    each = math.ceil((sizes.total_bytes + wire.REPLY_IDS_BYTES) / max(1, objects))
    parts = [
        wire.announce(objects, is_tls=is_tls),
        wire.push_object(each, is_tls=is_tls).times(objects),
        wire.connection(is_tls=is_tls).times(new_connections),
    ]
    trips = 1 + _object_trips(objects, settings, min(new_connections, settings.lanes - 1))
    if new_connections >= settings.lanes:
        trips += handshake_trips(settings)
    both = wire.total(parts)
    # The reply is complete when the last object arrives: its answer's round trip is only the network's last way.
    extra = _extra_bytes(both.up, both.up_packets, both.down_packets)
    return Exchange(both.up, both.down, trips - 1, 1 + objects, *extra)


def _extra_bytes(forward_bytes: int, forward_packets: int, backward_packets: int) -> tuple[int, int]:
    """Return headers (forward, backward) that the network's own packets and ACKs for ``forward_bytes`` do not have."""
    stream = math.ceil(forward_bytes / wire.PACKET_CONTENT_BYTES)
    acks = math.ceil((stream + min(stream, QUICK_ACKS)) / 2)
    each = wire.PACKET_HEADER_BYTES
    return each * max(0, forward_packets - stream), each * max(0, backward_packets - acks)


def new_connections(idle_s: float, settings: FlowerSettings, *, is_polling: bool) -> int:
    """Return how many lanes need a new connection after all of them were unused for ``idle_s``.

    Args:
        idle_s: Seconds since all lanes were last in use.
        settings: Protocol constants.
        is_polling: The SuperNode polled meanwhile, which keeps one connection open if polls come often enough.
    """
    if idle_s <= KEEP_ALIVE_S:
        return 0
    return settings.lanes - (is_polling and settings.supernode_poll_s < KEEP_ALIVE_S)


def _object_trips(objects: int, settings: FlowerSettings, new_lanes: int) -> int:
    """Return the round trips of one request for each object; a lane with a new connection joins after its handshake."""
    late = handshake_trips(settings)
    trips = math.ceil((objects + new_lanes * late) / settings.lanes)
    return trips if trips > late else math.ceil(objects / max(1, settings.lanes - new_lanes))


def handshake_trips(settings: FlowerSettings) -> int:
    """Return the round trips of opening a connection."""
    return 2 if settings.is_tls else 1


def refused_reply(settings: FlowerSettings, objects: int, *, new_connections: int) -> Exchange:
    """Return the exchange of a reply that the SuperLink no longer wants: it is announced, and no object is asked for."""
    both = wire.total(
        [
            wire.announce(objects, is_tls=settings.is_tls),
            wire.connection(is_tls=settings.is_tls).times(new_connections > 0),
        ]
    )
    trips = handshake_trips(settings) if new_connections >= settings.lanes else 0
    return Exchange(both.up, both.down, trips, 1, *_extra_bytes(both.up, both.up_packets, both.down_packets))


def object_bytes(exchange: Exchange, sizes: ObjectSizes, first_contact_bytes: int | None = None) -> list[int]:
    """Return what a message's requests carry one by one, framing included; the app bundle comes first where it is fetched."""
    bundle = [] if first_contact_bytes is None else [first_contact_bytes]
    parts = sizes.parts or (sizes.total_bytes // max(1, sizes.objects),) * sizes.objects
    framing = (exchange.forward_bytes - sum(bundle) - sum(parts)) / max(1, len(parts))
    return [*bundle, *(max(1, round(part + framing)) for part in parts)]


def announcement_s(duration_s: float, exchange: Exchange, bundle_bytes: int | None, round_trip_s: float) -> float:
    """Return how many of a download's seconds pass until the SuperNode creates the task: poll, and run and bundle if needed."""
    if bundle_bytes is None:
        return min(duration_s, round_trip_s)
    moving_s = max(0.0, duration_s - exchange.round_trips * round_trip_s)
    return min(duration_s, 3 * round_trip_s + moving_s * bundle_bytes / max(1, exchange.forward_bytes))


def message_ready_s(asks_from_s: float, there_s: float) -> float:
    """Return when a ClientApp that asks from ``asks_from_s`` on has a message that is complete at ``there_s``."""
    ask_s, wait_s = asks_from_s, FIRST_RETRY_S
    while ask_s < there_s:
        if wait_s == LONGEST_RETRY_S:  # equal waits from here on: downloads may last for days
            return ask_s + wait_s * math.ceil((there_s - ask_s) / wait_s)
        ask_s, wait_s = ask_s + wait_s, min(2 * wait_s, LONGEST_RETRY_S)
    return ask_s


def next_poll_s(anchor_s: float, now_s: float, period_s: float) -> float:
    """Return the first instant ``anchor_s + k * period_s`` (k = 0, 1, ...) not before ``now_s``."""
    if now_s <= anchor_s:
        return anchor_s
    if period_s <= 0:
        return now_s
    polls = math.ceil((now_s - anchor_s) / period_s - 1e-9)
    return max(now_s, anchor_s + polls * period_s)


def idle_bytes(
    settings: FlowerSettings, idle_s: float, busy_s: float, round_trip_s: float, *, with_headers: bool = False
) -> tuple[float, float]:
    """Return bytes (up, down) of the polls of ``idle_s`` seconds and of the heartbeats of those and ``busy_s`` more.

    A heartbeat while the SuperNode waits for its ClientApp finds no open connection. ``with_headers`` gives bytes of IP packets
    with their ACKs, else payload.
    """
    is_tls = settings.is_tls
    polls = idle_s / (settings.supernode_poll_s + round_trip_s)
    beats, lonely = (idle_s + busy_s) / settings.heartbeat_s, busy_s / settings.heartbeat_s
    kinds = (
        (polls, wire.empty_poll(is_tls=is_tls)), (beats, wire.heartbeat(is_tls=is_tls)),
        (lonely, wire.connection(is_tls=is_tls)),
    )  # fmt: skip
    if with_headers:
        return sum(n * each.up_ip_bytes for n, each in kinds), sum(n * each.down_ip_bytes for n, each in kinds)
    return sum(n * each.up for n, each in kinds), sum(n * each.down for n, each in kinds)
