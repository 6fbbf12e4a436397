"""Real training of a sample: which clients train, whom each of them stands for, and what the others' calls cost.

Every client that does not train is assigned to one that does. Each message to a trained client goes to those it stands for as well,
and they answer with replies of the size, and after the work, of the trained client's own reply; what is in them is nobody's update
and reaches no ServerApp. Devices, links, faults and deadlines are each node's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from emulator.backends.des.calls import RealCalls
from emulator.backends.des.state import Delivery, NodeState
from emulator.flower.worker import Outcome
from emulator.plan import Plan


def stand_ins(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return for each trained client the clients it stands for; empty where all train. Sizes differ by one at most."""
    if not plan.app.trained:
        return {}
    trained = frozenset(plan.app.trained)
    others = [node.name for node in plan.clients if node.name not in trained]
    groups = len(plan.app.trained)
    return {name: tuple(others[index::groups]) for index, name in enumerate(plan.app.trained)}


class SampledCalls:
    """Calls of trained clients are real, those of the others cost what the trained client's call cost.

    A stand-in's outcome is that of the very message it shares. Where the trained client has not begun with it (it is down, or busy
    with another), the call is computed for the stand-ins alone, with the state the trained client has now.
    """

    def __init__(self, real: RealCalls, nodes: Mapping[str, NodeState]) -> None:
        self._real = real
        self._nodes = nodes
        self._begun: set[str] = set()
        self._known: dict[str, Outcome] = {}  # by message of the trained client; without reply and state

    def begin(self, node: NodeState, delivery: Delivery) -> None:
        """Hand a trained client's call to a worker."""
        if delivery.original is None:
            self._begun.add(delivery.key)
            self._real.begin(node, delivery)

    def outcome(self, node: NodeState, delivery: Delivery) -> Outcome:
        """Return the worker's answer, or for a stand-in its size and work."""
        original = delivery.original
        if original is not None:
            return replace(self._cost(original), state=node.state)
        self._begun.add(delivery.key)
        if delivery.key in self._known and delivery.key in self._kept:
            return self._kept.pop(delivery.key)
        outcome = self._real.outcome(node, delivery)
        self._known[delivery.key] = _stripped(outcome)
        return outcome
