"""A message's requests on a network that fails: what a time-out interrupts, who tries again, what is then refused.

As long as TCP gets a transfer going again within ``REQUEST_TIMEOUT_S`` it is one flow. A longer standstill fails the
requests under way: each lane drops its connection, pauses, connects anew, and fetches or sends its object again from
the start. The first lane to get through carries the rest as well. Bytes of interrupted objects were sent in vain and
count on the links.

An upload belongs to a push session: an object that arrives more than ``PUSH_SESSION_S`` after the one before (or
after the announcement) is refused, and so is one that had been stored when only its answer was lost. The SuperNode
then gives the reply up.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import simpy

from emulator.backends.des.carrier import TimedOut
from emulator.backends.des.retries import (
    PUSH_SESSION_S,
    REQUEST_TIMEOUT_S,
    completion_marks,
    gets_through_s,
    unfinished,
)
from emulator.backends.des.state import Delivery, NodeState
from emulator.flower.protocol import Exchange, handshake_trips
from emulator.plan import Hop

if TYPE_CHECKING:
    from emulator.backends.des.world import World

Steps = Generator[simpy.Event, Any, Any]


@dataclass
class Carriage:
    """One message on its way in one direction.

    Attributes:
        direction: ``download`` or ``upload``.
        delivery: The message.
        exchange: Bytes and round trips of the whole.
        parts: Bytes of each object with its framing, in order.
        handshakes: Round trips of ``exchange`` that only open connections.
        rest: Objects that no lane has begun.
        stored_s: When the SuperLink last stored an object of the upload, or its announcement.
        is_refused: The upload has failed for good.
    """

    direction: str
    delivery: Delivery
    exchange: Exchange
    parts: list[int]
    handshakes: float
    rest: list[int] = field(default_factory=list)
    stored_s: float = math.inf
    is_refused: bool = False

    @property
    def flow_id(self) -> str:
        """Name of the transfer."""
        return f"{self.direction}/{self.delivery.key}"

    def take(self, own: list[int]) -> list[int]:
        """Return what a lane that got through carries: its own object, and the rest if nobody has it yet."""
        load, self.rest = own + self.rest, []
        return load


def carry(world: World, node: NodeState, carriage: Carriage) -> Steps:
    """Move a message; returns whether all of it arrived and was accepted."""
    began_s, is_upload = world.now_s, carriage.direction == "upload"
    hops = node.up_hops if is_upload else node.down_hops
    ends = (node.name, world.plan.server.name) if is_upload else (world.plan.server.name, node.name)
    doom = _doom(world, carriage, hops) if is_upload else None
    size_bytes = carriage.exchange.forward_bytes if doom is None else int(doom[0])
    if doom is not None:
        carriage.delivery.session_ends_s = began_s + doom[1]
    cut: TimedOut | None = yield world.transfers.start(
        carriage.flow_id, hops, size_bytes, round_trips=carriage.exchange.round_trips,
        round_number=carriage.delivery.round, source=ends[0], target=ends[1], note=carriage.direction,
        timeout_s=REQUEST_TIMEOUT_S,
    )  # fmt: skip
    round_trip_s = world.round_trip_s(node)
    if cut is None:
        moving_s = world.now_s - began_s - carriage.exchange.round_trips * round_trip_s
        return doom is None and not (is_upload and _longest_gap_s(world, carriage, moving_s) > PUSH_SESSION_S)
    lost_answer = _lost_answer(cut.cut_s - began_s, round_trip_s, carriage)
    if lost_answer and not is_upload:
        world.transfers.abort(carriage.flow_id, "the answer to the poll was lost")
        return False
    carriage.is_refused = lost_answer or doom is not None
    carriage.stored_s = _last_stored_s(world, carriage, cut, began_s + carriage.exchange.round_trips * round_trip_s)
    yield from _try_again(world, node, carriage, cut, hops)
    world.transfers.finish(carriage.flow_id)
    return not carriage.is_refused


def announce_in(world: World, node: NodeState, delivery: Delivery, after_s: float) -> None:
    """Let the SuperLink know of a reply after so long, unless the path is dead by then."""

    def arrive(_event: simpy.Event) -> None:
        if delivery.announced_s == math.inf and node.current is delivery and world.path_back(node) is None:
            delivery.announced_s = world.now_s
            world.post.put(delivery)

    world.env.timeout(after_s).callbacks.append(arrive)


def _doom(world: World, carriage: Carriage, hops: tuple[Hop, ...]) -> tuple[float, float] | None:
    """Return where an upload must fail even alone on its links, None where it may get through.

    First the bytes until an object is refused, then the seconds until the session ends.
    """
    rates = [world.transfers.links.rate_bps(hop.link, hop.direction, world.now_s) for hop in hops]
    slowest_bps = min(rates, default=math.inf)
    before = 0.0
    for moved, _ in completion_marks(carriage.parts, world.plan.flower.lanes) if slowest_bps > 0 else ():
        if 8 * (moved - before) / slowest_bps > PUSH_SESSION_S:
            return moved, 8 * before / slowest_bps + PUSH_SESSION_S
        before = moved
    return None


def _longest_gap_s(world: World, carriage: Carriage, moving_s: float) -> float:
    """Return the longest time between two objects stored, at an even rate."""
    marks = [0.0, *(moved for moved, _ in completion_marks(carriage.parts, world.plan.flower.lanes))]
    longest = max((after - before for before, after in pairwise(marks)), default=0.0)
    return moving_s * longest / max(1.0, marks[-1])


def _last_stored_s(world: World, carriage: Carriage, cut: TimedOut, moving_from_s: float) -> float:
    """Return when the last object was stored before a cut, at an even rate from ``moving_from_s`` on."""
    marks = [
        moved for moved, _ in completion_marks(carriage.parts, world.plan.flower.lanes) if moved <= cut.moved_bytes
    ]
    if cut.moved_bytes <= 0 or cut.cut_s <= moving_from_s:
        return cut.cut_s
    return moving_from_s + (cut.cut_s - moving_from_s) * max(marks, default=0.0) / cut.moved_bytes


def _lost_answer(elapsed_s: float, round_trip_s: float, carriage: Carriage) -> bool:
    """Whether the cut met the answer to a request that must not be made twice: the poll, or the push of an object.

    Requests go up in the first half of a round trip, answers down in the second. Known only while round trips rule.
    """
    if round_trip_s <= 0 or elapsed_s >= carriage.exchange.round_trips * round_trip_s:
        return False
    trips = elapsed_s / round_trip_s - carriage.handshakes
    is_answer = trips % 1 >= 0.5
    return is_answer and (trips >= 1 if carriage.direction == "upload" else 0 <= trips < 1)


def _try_again(world: World, node: NodeState, carriage: Carriage, cut: TimedOut, hops: tuple[Hop, ...]) -> Steps:
    """Let every lane whose request failed get through again; ends when all have nothing left."""
    lanes = world.plan.flower.lanes if cut.moved_bytes > 0 else 1
    own, carriage.rest = unfinished(carriage.parts, lanes, cut.moved_bytes)
    if carriage.direction == "upload" and carriage.delivery.announced_s <= cut.cut_s:
        carriage.delivery.session_ends_s = carriage.stored_s + PUSH_SESSION_S
    pauses = [next(world.presence.pauses(node)) for _ in own]
    running = [
        world.env.process(
            _lane(world, node, carriage, [size], hops=hops, asked_s=world.now_s + sum(pauses[: index + 1]))
        )
        for index, size in enumerate(own)  # the retry of one lane waits for the pause of the one before
    ]
    try:
        yield world.env.all_of(running)
    except simpy.Interrupt:
        for lane in running:
            if lane.is_alive:
                lane.interrupt("the SuperNode is gone")
        raise


def _lane(
    world: World, node: NodeState, carriage: Carriage, own: list[int], *, hops: tuple[Hop, ...], asked_s: float
) -> Steps:
    """Connect, and move this lane's object, and what nobody has begun; again after every further time-out."""
    pauses = world.presence.pauses(node)
    next(pauses)  # the one before ``asked_s``
    try:
        while own and not carriage.is_refused:
            yield from reach(world, node, asked_s, pauses)
            if carriage.direction == "upload" and carriage.delivery.announced_s == math.inf:
                carriage.stored_s = world.now_s
                announce_in(
                    world, node, carriage.delivery, handshake_trips(world.plan.flower) * world.round_trip_s(node)
                )
            is_late = world.now_s - carriage.stored_s > PUSH_SESSION_S and carriage.direction == "upload"
            load = own if is_late else carriage.take(own)
            trips = handshake_trips(world.plan.flower) + len(load) - (1.0 if carriage.direction == "upload" else 0.5)
            began_s = world.now_s
            cut: TimedOut | None = yield world.transfers.go_on(
                carriage.flow_id, hops, sum(load), round_trips=trips, timeout_s=REQUEST_TIMEOUT_S
            )
            if cut is None:
                _note_stored(world, carriage, load, began_s)
                return
            own, carriage.rest = unfinished(load, 1, cut.moved_bytes)
            pauses = world.presence.pauses(node)
            asked_s = world.now_s + next(pauses)
    except simpy.Interrupt:
        return


def _note_stored(world: World, carriage: Carriage, load: list[int], began_s: float) -> None:
    """Account for objects that a lane has sent since ``began_s``: the first must have come before the session's end."""
    if carriage.direction != "upload":
        return
    first_s = began_s + (world.now_s - began_s) * load[0] / max(1, sum(load))
    if first_s - carriage.stored_s > PUSH_SESSION_S:
        carriage.is_refused = True
    else:
        carriage.stored_s = world.now_s
        carriage.delivery.session_ends_s = world.now_s + PUSH_SESSION_S


def reach(world: World, node: NodeState, asked_s: float, pauses: Iterator[float]) -> Steps:
    """Wait until a request on a new connection gets through that is first made at ``asked_s``."""
    while True:
        if asked_s > world.now_s:
            yield world.env.timeout(asked_s - world.now_s)
        back = world.path_back(node)
        if back is None:
            return
        yield back
        asked_s = gets_through_s(asked_s, world.now_s, pauses, timeout_s=REQUEST_TIMEOUT_S)
