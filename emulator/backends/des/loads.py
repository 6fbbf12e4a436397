"""Bytes per link, direction and interval, as ``link_load`` rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.backends.des.world import World


class LinkLoads:
    """Writes what the links carried since the last call; called when a round closes and when the run ends."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._since_s = 0.0

    def write(self) -> None:
        """Append one row per link and direction that carried anything."""
        world = self._world
        covered_s = world.now_s - self._since_s
        world.transfers.settle()
        for link, direction, count in world.transfers.network.take_loads(world.now_s):
            if count > 0:
                world.log.append(
                    world.now_s, "link_load", link=link, peer=direction, size_bytes=round(count), value=covered_s,
                    unit="s", note="traffic",
                )  # fmt: skip
        self._since_s = world.now_s
