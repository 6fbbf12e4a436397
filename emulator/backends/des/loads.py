"""Bytes per link, direction and interval, as ``link_load`` rows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from emulator.flower.protocol import idle_load_bps
from emulator.plan import DOWN, UP, Direction

if TYPE_CHECKING:
    from emulator.backends.des.world import World


class LinkLoads:
    """Writes what the links carried since the last call; called when a round closes and when the run ends.

    Polls and heartbeats of idle SuperNodes are a closed-form load, counted for the time a node has power and path, and
    never events. They take no capacity from transfers, about 2 kbit/s for each node, and fill at most what those left.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._since_s = 0.0

    def write(self) -> None:
        """Append one row per link, direction and kind of traffic that carried anything."""
        world = self._world
        world.transfers.settle()
        carried: Counter[tuple[str, Direction]] = Counter()
        for link, direction, count in world.transfers.network.take_loads(world.now_s):
            carried[link, direction] = round(count)
            self._row(link, direction, round(count), "traffic")
        for (link, direction), count in sorted(self._polls().items()):
            left = self._capacity_bytes(link, direction) - carried[link, direction]
            self._row(link, direction, min(round(count), int(left)), "polls and heartbeats")
        self._since_s = world.now_s

    def _polls(self) -> dict[tuple[str, Direction], float]:
        world = self._world
        total: dict[tuple[str, Direction], float] = defaultdict(float)
        for node in world.nodes.values():
            seconds = node.take_reached_s(world.now_s)
            up_bps, down_bps = idle_load_bps(world.plan.flower, world.round_trip_s(node))
            for hop in node.up_hops:
                total[hop.link, UP] += up_bps * seconds / 8
                total[hop.link, DOWN] += down_bps * seconds / 8
        return total

    def _capacity_bytes(self, name: str, direction: Direction) -> float:
        """Return what the link's planned states allow since the last rows; half of it where both directions share it."""
        link = self._world.plan.link_by_name[name]
        states = link.up if direction == UP else link.down
        ends = [*(state.from_s for state in states[1:]), math.inf]
        bits = sum(
            state.rate_bps * max(0.0, min(end_s, self._world.now_s) - max(state.from_s, self._since_s))
            for state, end_s in zip(states, ends, strict=True)
        )
        return bits / 8 / (2 if link.is_shared_medium else 1)

    def _row(self, link: str, direction: Direction, count: int, note: str) -> None:
        world = self._world
        if count > 0:
            world.log.append(
                world.now_s, "link_load", link=link, peer=direction, size_bytes=count,
                value=world.now_s - self._since_s, unit="s", note=note,
            )  # fmt: skip
