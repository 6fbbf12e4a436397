"""Bytes per link, direction and interval, as ``link_load`` rows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from emulator.flower.protocol import idle_bytes
from emulator.plan import DOWN, UP, Direction, Hop

if TYPE_CHECKING:
    from emulator.backends.des.world import World


class LinkLoads:
    """Writes what the links carried since the last call; called when a round closes and when the run ends.

    Polls and heartbeats are a closed-form load, counted for the time a node has power and path (polls while it has no message in
    hand), and never events; so are the requests of a download and the answers to an upload, once it is over, all with the headers
    of their packets. They take no capacity from transfers, about 3 kbit/s for each idle node, and fill at most what those left.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._since_s = 0.0
        self._control: defaultdict[tuple[str, Direction], int] = defaultdict(int)

    def add(self, hops: Iterable[Hop], size_bytes: int) -> None:
        """Count what went along ``hops`` beside a transfer's own packets."""
        for hop in hops:
            self._control[hop.link, hop.direction] += size_bytes

    def write(self) -> None:
        """Append one row per link, direction and kind of traffic that carried anything."""
        world = self._world
        carried: defaultdict[tuple[str, Direction], int] = defaultdict(int)
        for link, direction, count in world.transfers.take_loads():
            carried[link, direction] = round(count)
            self._row(link, direction, round(count), "traffic")
        for (link, direction), count in sorted(self._small().items()):
            fitting = min(round(count), int(self._left_bytes(link, direction, carried)))
            carried[link, direction] += max(0, fitting)
            self._row(link, direction, fitting, "protocol")
        self._since_s = world.now_s

    def _small(self) -> dict[tuple[str, Direction], float]:
        world = self._world
        total: dict[tuple[str, Direction], float] = defaultdict(float, self._control)
        self._control.clear()
        for node in world.nodes.values():
            reached_s, busy_s = node.take_reached_s(world.now_s), node.take_busy_s(world.now_s)
            busy_s = min(busy_s, reached_s)  # an outage may have passed with a message in hand
            up, down = idle_bytes(
                world.plan.flower, reached_s - busy_s, busy_s, world.round_trip_s(node), with_headers=True
            )
            for hop in node.up_hops:
                total[hop.link, hop.direction] += up
                total[hop.link, DOWN if hop.direction == UP else UP] += down
        return total

    def _left_bytes(self, name: str, direction: Direction, carried: Mapping[tuple[str, Direction], int]) -> float:
        """Return what a direction could still have carried since the last rows, by air time where both share a medium."""
        capacity_bytes = self._capacity_bytes(name, direction)
        if not self._world.plan.link_by_name[name].is_shared_medium:
            return capacity_bytes - carried.get((name, direction), 0)
        taken = sum(carried[name, d] / self._capacity_bytes(name, d) for d in (UP, DOWN) if carried.get((name, d)))
        return capacity_bytes * (1 - taken)

    def _capacity_bytes(self, name: str, direction: Direction) -> float:
        """Return what the link's planned states allow since the last rows."""
        link = self._world.plan.link_by_name[name]
        states = link.up if direction == UP else link.down
        if len(states) == 1:
            return states[0].rate_bps * (self._world.now_s - max(states[0].from_s, self._since_s)) / 8
        ends = [*(state.from_s for state in states[1:]), math.inf]
        bits = sum(
            state.rate_bps * max(0.0, min(end_s, self._world.now_s) - max(state.from_s, self._since_s))
            for state, end_s in zip(states, ends, strict=True)
        )
        return bits / 8

    def _row(self, link: str, direction: Direction, count: int, note: str) -> None:
        world = self._world
        if count > 0:
            world.log.append(
                world.now_s, "link_load", link=link, peer=direction, size_bytes=count,
                value=world.now_s - self._since_s, unit="s", note=note,
            )  # fmt: skip
