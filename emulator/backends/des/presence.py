"""Who the SuperLink can hear: heartbeats, the list of nodes, and polls that find their way back after an outage.

A node is listed for ``offline_after_s`` after its last heartbeat that got through. Heartbeats of a node within reach
are not followed one by one: they matter only when it is lost from sight and when it is heard again. What the
SuperLink answers in the name of a node that fell off the list is in ``waiting``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.backends.des import retries
from emulator.backends.des.state import NodeState
from emulator.flower.protocol import KEEP_ALIVE_S, next_poll_s

if TYPE_CHECKING:
    from emulator.backends.des.world import World


class Presence:
    """Follows the nodes of one world into outages and back."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._draws: dict[str, retries.Draw] = {}

    def draw(self, node: NodeState) -> retries.Draw:
        """Return the node's own stream of pauses and intervals."""
        if node.name not in self._draws:
            self._draws[node.name] = self._world.stream("retries", node.name).random
        return self._draws[node.name]

    def pauses(self, node: NodeState) -> Iterator[float]:
        """Return the pauses before the retries of a new request."""
        return retries.backoffs(self.draw(node))

    # -- what the SuperLink knows -------------------------------------------------------------------------------

    def is_listed(self, node: NodeState) -> bool:
        """Whether the SuperLink would name this node to the ServerApp now."""
        now_s = self._world.now_s
        return now_s <= self.offline_s(node) or (node.unreachable_since_s is None and now_s >= node.beat_s)

    def offline_s(self, node: NodeState) -> float:
        """Return when the node falls (or fell) off the list unless it is heard; only of use once it was lost from sight."""
        return node.heard_s + self._world.plan.flower.offline_after_s

    # -- lost and found -----------------------------------------------------------------------------------------

    def lost(self, node: NodeState) -> None:
        """The node has lost power or path."""
        if node.unreachable_since_s is not None:
            return
        world, now_s = self._world, self._world.now_s
        node.unreachable_since_s = now_s
        node.reached_s += now_s - node.reachable_from_s
        if now_s > 0 and now_s >= node.beat_s:
            period_s = world.plan.flower.heartbeat_s
            node.heard_s, node.beat_due_s = retries.beats_around(node.beat_s, now_s, period_s, self.draw(node))
        node.beat_s = math.inf
        self.watch(node)

    def found(self, node: NodeState, *, is_started: bool) -> None:
        """The node has power and path again; where it has just been started it is heard at once."""
        if node.unreachable_since_s is None:
            return
        now_s = self._world.now_s
        if is_started:
            node.beat_s = now_s
        else:
            node.beat_s = retries.gets_through_s(
                node.beat_due_s, now_s, self.pauses(node), timeout_s=retries.HEARTBEAT_TIMEOUT_S,
            )  # fmt: skip
            if node.current is None:
                node.poll_anchor_s = self._poll_through_s(node)
        node.unreachable_since_s = None
        node.reachable_from_s = now_s

    def is_refused(self, node: NodeState) -> bool:
        """Whether the SuperLink would turn a SuperNode away that starts now: its predecessor is still listed (flwr 1.41)."""
        return self._world.now_s <= self.offline_s(node)

    def _poll_through_s(self, node: NodeState) -> float:
        """Return when the poll that met the outage gets through; it went over the connection of the one before."""
        world, cut_s = self._world, node.unreachable_since_s
        assert cut_s is not None
        pause_s, round_trip_s = world.plan.flower.supernode_poll_s, world.round_trip_s(node)
        asked_s = next_poll_s(node.poll_anchor_s, cut_s, pause_s + round_trip_s)
        return retries.gets_through_s(
            asked_s, world.now_s, self.pauses(node), timeout_s=retries.REQUEST_TIMEOUT_S,
            open_rtt_s=round_trip_s if pause_s < KEEP_ALIVE_S else None, closed_after_s=KEEP_ALIVE_S - pause_s,
        )  # fmt: skip

    def watch(self, node: NodeState) -> None:
        """Tell a ServerApp that waits for this node when it falls off the list."""
        world = self._world
        if node.unanswered and node.unreachable_since_s is not None:
            alarm = world.env.timeout(max(0.0, self.offline_s(node) - world.now_s) + 1e-6)
            alarm.callbacks.append(lambda _event: self._ring(node))

    def _ring(self, node: NodeState) -> None:
        if not self.is_listed(node):
            for delivery in node.unanswered.values():
                self._world.post.put(delivery)
