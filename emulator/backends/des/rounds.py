"""Rounds as the log shows them: opened by the first messages of a new group, closed by those of the next or by the end.

Flower's strategies put the round's number into ``group_id``. An app that uses other groups, or none, gets a new round for
each new group of training messages.
"""

from __future__ import annotations

from flwr.app import Message

from emulator.backends.des.state import Delivery
from emulator.backends.des.world import World


class Rounds:
    """Keeps the current round of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._group: str | None = None
        self._answered: set[str] = set()

    def enter(self, messages: list[Message]) -> int:
        """Return the round these messages belong to, opening it where it is new."""
        if messages:
            group = messages[0].metadata.group_id
            if group != self._group or (not group and messages[0].metadata.message_type.startswith("train")):
                self.open(group, len(messages))
        return self._world.round

    def replied(self, delivery: Delivery, *, is_good: bool) -> None:
        """Note that the ServerApp was handed a reply."""
        world = self._world
        if is_good:
            self._answered.add(delivery.node)
        world.log.append(
            world.now_s, "reply_received", round=delivery.round, node=delivery.node, msg=delivery.key,
            size_bytes=delivery.reply_sizes.total_bytes, note="ok" if is_good else delivery.reply_note or "error",
        )  # fmt: skip

    def close(self) -> None:
        """Close the round that is open, if any."""
        world = self._world
        if self._group is None:
            return
        self._group = None
        world.loads.write()
        world.log.append(world.now_s, "round_closed", round=world.round, value=len(self._answered))
        world.log.flush()
        world.measurements.save()

    def open(self, group: str, count: int) -> None:
        """Open the round of a new group, addressed to ``count`` nodes; the one before is closed."""
        self.close()
        world = self._world
        world.round = int(group) if group.isdigit() else world.round + 1
        self._group, self._answered = group, set()
        world.log.append(world.now_s, "round_opened", round=world.round, value=count)
