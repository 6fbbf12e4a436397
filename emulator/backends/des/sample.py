"""Real training of a sample: some clients train, the others stand in for the crowd with the sizes and work of theirs.

The ServerApp knows the trained clients only: it lists, asks and averages nobody else. Every message to one of them goes to the
clients behind it as well (each belongs to one trained client; where that one is not listed, to others in turn), and they answer
with replies of the size of its reply, after its amounts of work on their own devices, over their own links and outages.
What is in those replies is nobody's update and reaches no ServerApp; that they came is in the log, and the server's work grows by
them. A call to ``send_and_receive`` waits for all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.backends.des.calls import RealCalls
from emulator.backends.des.state import Delivery, NodeState
from emulator.flower.worker import Outcome

if TYPE_CHECKING:
    from emulator.backends.des.rounds import Rounds
    from emulator.backends.des.serverwork import ServerWork
    from emulator.backends.des.world import World


class SampledCalls:
    """Calls of trained clients are real; a stand-in's call costs what the call behind its message cost.

    Where the trained client has not begun with that message (it is down, or busy with another), the call is computed for the
    stand-ins alone, with the state the trained client has now.
    """

    def __init__(self, real: RealCalls) -> None:
        self._real = real
        self._begun: set[str] = set()
        self._costs: dict[str, Outcome] = {}  # by message of the trained client, without reply
        self._waiting: dict[str, Outcome] = {}  # fetched for a stand-in before the trained client needed it
        self.nodes: Mapping[str, NodeState] = {}

    def begin(self, node: NodeState, delivery: Delivery) -> None:
        """Hand a trained client's call to a worker; a stand-in's needs none."""
        if delivery.original is None:
            self._begun.add(delivery.key)
            self._real.begin(node, delivery)

    def outcome(self, node: NodeState, delivery: Delivery) -> Outcome:
        """Return the worker's answer; for a stand-in an empty reply of its size, after its work."""
        if delivery.original is not None:
            return replace(self._cost(delivery.original, delivery.message), state=node.state)
        self._begun.add(delivery.key)
        outcome = self._waiting.pop(delivery.key, None) or self._real.outcome(node, delivery)
        self._costs.setdefault(delivery.key, _without_content(outcome))
        return outcome

    def _cost(self, original: Delivery, message: bytes) -> Outcome:
        if original.key not in self._costs:
            node = self.nodes[original.node]
            if original.key in self._begun:
                outcome = self._waiting[original.key] = self._real.outcome(node, original)
            else:
                outcome = self._real.outcome_for_others(node, original.key, message)
            self._costs[original.key] = _without_content(outcome)
        return self._costs[original.key]


def _without_content(outcome: Outcome) -> Outcome:
    return replace(outcome, reply=b"", state=b"", metrics={})


class Crowd:
    """The clients behind the trained ones, as the Grid meets them; empty where all clients train."""

    def __init__(self, world: World, rounds: Rounds, server_work: ServerWork) -> None:
        self._world = world
        self._rounds = rounds
        self._server_work = server_work
        self._trained = frozenset(world.plan.app.trained)
        others = [node.name for node in world.plan.clients if node.name not in self._trained]
        count = len(world.plan.app.trained)
        self._home = {name: world.plan.app.trained[i % count] for i, name in enumerate(others)} if count else {}
        self._open: dict[str, Delivery] = {}

    def visible(self, nodes: Sequence[NodeState]) -> list[NodeState]:
        """Return the nodes the ServerApp may know of."""
        return [node for node in nodes if node.name in self._trained] if self._trained else list(nodes)

    def behind(self, asked: Iterable[str]) -> dict[str, list[NodeState]]:
        """Return the listed stand-ins behind each of the trained clients ``asked``."""
        if not self._home:
            return {}
        listed = self._world.listed_nodes()
        homes = [node.name for node in listed if node.name in self._trained]
        groups: defaultdict[str, list[NodeState]] = defaultdict(list)
        strays = 0
        for node in listed:
            home = self._home.get(node.name)
            if home is not None and home not in homes and homes:
                home, strays = homes[strays % len(homes)], strays + 1
            if home is not None:
                groups[home].append(node)
        return {name: groups[name] for name in asked}

    def send(self, original: Delivery, nodes: Sequence[NodeState]) -> None:
        """Leave the message at the SuperLink for the stand-ins too."""
        for node in nodes:
            delivery = self._world.send(
                original.metadata, original.message, original.sizes, node, original.round, original=original
            )
            self._open[delivery.key] = delivery

    def open(self) -> list[Delivery]:
        """Return the stand-ins' messages that wait for an answer."""
        return list(self._open.values())

    def take(self, keys: Iterable[str]) -> None:
        """Hand over the answers to these messages of stand-ins: they are counted, and nobody reads them."""
        for key in keys:
            delivery = self._open.pop(key, None)
            if delivery is not None:
                delivery.is_pulled = True
                self._rounds.replied(delivery, is_good=not delivery.reply_note)
                self._server_work.received_as_before()

    def abandon(self) -> None:
        """Nobody waits for the rest any more."""
        for delivery in self._open.values():
            delivery.is_abandoned = True
        self._open.clear()
