"""Completion times of many transfers over shared links, packet by packet, as one pure function."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from emulator.backends.des.tcp.clock import NEVER_NS, to_ns, to_s
from emulator.backends.des.tcp.connection import Connection, Route
from emulator.backends.des.tcp.control import make
from emulator.backends.des.tcp.engine import Engine
from emulator.backends.des.tcp.pipe import Pipe, Transmitter, stages
from emulator.backends.des.tcp.stack import LINUX_STACK, Stack
from emulator.plan import ControlName, Direction, Hop, way_back
from emulator.rng import derive_seed

DEFAULT_EVENT_BUDGET = 50_000_000


@dataclass(frozen=True)
class LinkSpec:
    """A link whose state does not change.

    Attributes:
        name: Unique.
        up_bps: Rate in direction ``up``, counting IP bytes and the stack's frame bytes.
        down_bps: Rate in direction ``down``.
        delay_s: One-way propagation delay, the same in both directions.
        loss: Probability that a packet is lost, per direction.
        queue_packets: Packets that may wait at each end beside the one being sent.
        is_shared_medium: Both directions share one transmitter (half duplex).
    """

    name: str
    up_bps: float
    down_bps: float
    delay_s: float
    loss: float = 0.0
    queue_packets: float = 1000
    is_shared_medium: bool = False


@dataclass(frozen=True)
class FlowSpec:
    """A transfer.

    Attributes:
        name: Unique; orders transfers that start at one time.
        hops: Links from sender to receiver with the direction in which each is crossed.
        size_bytes: Payload.
        start_s: When the connection is opened.
        control: Congestion control.
        round_trips: Exchanges before the first data: TCP 1, TLS 1.3 one more, 0 on an open connection.
    """

    name: str
    hops: tuple[Hop, ...]
    size_bytes: int
    start_s: float = 0.0
    control: ControlName = "cubic"
    round_trips: int = 1


@dataclass(frozen=True)
class Outcome:
    """What came of a simulation.

    Attributes:
        completion_s: Seconds from a flow's start to its last byte at the receiver; infinite if it never got there.
        events: Events simulated.
        is_cut_short: The event budget was spent before all flows were through.
        carried_bytes: Bytes sent by each link and direction.
        dropped_packets: Packets each queue refused.
        ended_s: Time of the last event.
    """

    completion_s: Mapping[str, float]
    events: int
    is_cut_short: bool
    carried_bytes: Mapping[tuple[str, Direction], int]
    dropped_packets: Mapping[tuple[str, Direction], int]
    ended_s: float


def simulate(
    links: Iterable[LinkSpec],
    flows: Sequence[FlowSpec],
    *,
    seed: int,
    stack: Stack = LINUX_STACK,
    max_events: int = DEFAULT_EVENT_BUDGET,
) -> Outcome:
    """Simulate TCP segment by segment until every transfer is complete.

    Each link direction draws its losses, and each flow its random choices, from a stream of its own, derived from
    ``seed``.

    Raises:
        ValueError: Names are not unique, or a hop names an unknown link.
    """
    pipes = _pipes(links, seed)
    names = [flow.name for flow in flows]
    if len(set(names)) < len(names):
        raise ValueError("flow names must be unique")
    routes = [(_way(flow.hops, pipes), _way(way_back(flow.hops), pipes)) for flow in flows]
    for forward, back in routes:
        for way in (forward, back):
            for feeder, pipe in zip([None, *way], way, strict=False):
                pipe.feeders.add(feeder)
    engine, waiting = Engine(), set(names)
    connections = []
    for flow, (forward, back) in sorted(zip(flows, routes, strict=True), key=lambda pair: pair[0].name):
        connection = Connection(
            flow.name, flow.size_bytes, Route(stages(forward), stages(back)), engine=engine, stack=stack,
            control=make(flow.control, _choices(flow.name, seed, stack)),
            done=lambda connection, _: waiting.discard(connection.name), round_trips=flow.round_trips,
        )  # fmt: skip
        connections.append(connection)
        engine.at(to_ns(flow.start_s), connection.open)
    while waiting and engine.events < max_events and engine.next_ns() < NEVER_NS:
        engine.step()
    start_ns = {flow.name: to_ns(flow.start_s) for flow in flows}
    return Outcome(
        {c.name: to_s(c.finished_ns - start_ns[c.name]) if c.finished_ns < NEVER_NS else inf for c in connections},
        engine.events, bool(waiting) and engine.next_ns() < NEVER_NS,
        {key: pipe.carried_bytes for key, pipe in pipes.items()},
        {key: pipe.dropped for key, pipe in pipes.items()}, to_s(engine.now_ns),
    )  # fmt: skip


def _choices(flow: str, seed: int, stack: Stack) -> Callable[[], float]:
    """Return the random stream of a flow's congestion control."""
    return random.Random(derive_seed(seed, "control", "" if stack.shares_choices else flow)).random


def _pipes(links: Iterable[LinkSpec], seed: int) -> dict[tuple[str, Direction], Pipe]:
    pipes: dict[tuple[str, Direction], Pipe] = {}
    for link in links:
        if (link.name, "up") in pipes:
            raise ValueError(f"link name {link.name!r} is not unique")
        shared = Transmitter(is_shared=True) if link.is_shared_medium else None
        directions: tuple[tuple[Direction, float], ...] = (("up", link.up_bps), ("down", link.down_bps))
        for direction, rate_bps in directions:
            draw = random.Random(derive_seed(seed, "loss", link.name, direction)).random
            pipes[link.name, direction] = Pipe(
                f"{link.name} {direction}", rate_bps, link.delay_s, loss=link.loss, limit=link.queue_packets,
                draw=draw, transmitter=shared,
            )  # fmt: skip
    return pipes


def _way(hops: Iterable[Hop], pipes: Mapping[tuple[str, Direction], Pipe]) -> list[Pipe]:
    try:
        return [pipes[hop.link, hop.direction] for hop in hops]
    except KeyError as error:
        raise ValueError(f"unknown link {error.args[0][0]!r}") from None
