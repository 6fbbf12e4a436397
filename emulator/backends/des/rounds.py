"""Rounds as the log shows them, numbered 1, 2, 3 ... whatever the app calls them.

Where a Flower strategy runs, it says when a round begins (``begin``, also for a round in which nobody is asked). A ServerApp that
drives the Grid by hand says nothing; then training messages open a round when nothing of the one before is outstanding and
they carry another group, go to several nodes, or go to a node that this round has asked already. Other messages never do.
"""

from __future__ import annotations

from flwr.app import Message

from emulator.backends.des.state import Delivery
from emulator.backends.des.world import World


class Rounds:
    """Keeps the current round of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_open = False
        self._is_announced = False
        self._has_strategy = False
        self._group = ""
        self._asked: set[int] = set()
        self._answered: set[str] = set()
        self._outstanding: list[Delivery] = []

    def begin(self) -> None:
        """A strategy begins its next round; it opens with its first messages, or empty when the next one begins."""
        self._finish_announced()
        self.close()
        self._is_announced = True

    def enter(self, messages: list[Message], *, addressed: int) -> int:
        """Return the round these messages belong to, opening it where it is new, with ``addressed`` nodes."""
        training = [message for message in messages if message.metadata.message_type.startswith("train")]
        if self._is_announced:
            if messages:
                self._is_announced = False
                self.open(addressed)
        elif training and not self._has_strategy and self._is_new(training):
            self.open(addressed)
        self._asked |= {message.metadata.dst_node_id for message in training}
        return self._world.round

    def trust_strategy(self, is_running: bool) -> None:
        """While a strategy runs, only it opens rounds."""
        self._finish_announced()
        self._has_strategy = is_running

    def sent(self, delivery: Delivery) -> None:
        """Note a message of the current round."""
        self._outstanding.append(delivery)

    def replied(self, delivery: Delivery, *, is_good: bool) -> None:
        """Note that the ServerApp was handed a reply."""
        world = self._world
        if is_good:
            self._answered.add(delivery.node)
        world.log.append(
            world.now_s, "reply_received", round=delivery.round, node=delivery.node, msg=delivery.key,
            size_bytes=delivery.reply_sizes.total_bytes, note="ok" if is_good else delivery.reply_note or "error",
        )  # fmt: skip

    def open(self, count: int) -> None:
        """Open the next round, addressed to ``count`` nodes; the one before is closed."""
        self.close()
        world = self._world
        world.round += 1
        self._is_open, self._answered, self._asked, self._outstanding = True, set(), set(), []
        world.log.append(world.now_s, "round_opened", round=world.round, value=count)

    def close(self) -> None:
        """Close the round that is open, if any."""
        if not self._is_open:
            return
        self._is_open = False
        world = self._world
        world.loads.write()
        world.log.append(world.now_s, "round_closed", round=world.round, value=len(self._answered))
        world.log.flush()
        world.measurements.save()

    def end(self) -> None:
        """The run is over: close what is open, and log an announced round in which nobody was asked."""
        self._finish_announced()
        self.close()

    def _finish_announced(self) -> None:
        if self._is_announced:
            self._is_announced = False
            self.open(0)

    def _is_new(self, training: list[Message]) -> bool:
        if not self._is_open:
            self._group = training[0].metadata.group_id
            return True
        if any(not (d.is_pulled or d.is_abandoned) for d in self._outstanding):
            return False
        group, before = training[0].metadata.group_id, self._group
        self._group = group
        asks_again = any(message.metadata.dst_node_id in self._asked for message in training)
        return group != before or len(training) > 1 or asks_again
