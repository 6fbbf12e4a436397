"""Where the outcome of a ClientApp call comes from: from the real ClientApp in a worker, or as given by the scenario."""

from __future__ import annotations

from typing import Protocol

from emulator.backends.des.state import Delivery, NodeState
from emulator.flower.executor import Executor
from emulator.flower.tamper import INSIDE_APP, is_active, node_config, tampered
from emulator.flower.worker import Job, Outcome
from emulator.plan import Plan
from emulator.rng import derive_seed


class Calls(Protocol):
    """Gives the outcome of a call when the world needs it."""

    def begin(self, node: NodeState, delivery: Delivery) -> None:
        """The inputs of a call are settled: it may be computed from now on."""

    def outcome(self, node: NodeState, delivery: Delivery) -> Outcome:
        """Return what the call gave, waiting for it where it must be."""


class RealCalls:
    """Calls of the real ClientApp in worker processes."""

    def __init__(self, plan: Plan, executor: Executor) -> None:
        self._plan = plan
        self._executor = executor
        self._hostile = {item.node: item for item in plan.hostile}
        self._received: dict[str, list[bytes]] = {}
        self._first_reply: dict[str, bytes] = {}

    def begin(self, node: NodeState, delivery: Delivery) -> None:
        """Hand the call to a worker."""
        self._executor.submit(self._job(node, delivery))

    def outcome(self, node: NodeState, delivery: Delivery) -> Outcome:
        """Return the worker's answer, or what a hostile client makes of it."""
        outcome = self._executor.result(self._job(node, delivery))
        hostility = self._hostile.get(node.name)
        is_training = delivery.metadata.message_type.split(".")[0] == "train"
        if hostility is None or outcome.error or not is_training:
            return outcome
        messages = self._received.setdefault(node.name, [])
        messages.append(delivery.message)
        del messages[: -1 - int(hostility.strength)]
        if not is_active(hostility, delivery.round):
            return outcome
        return tampered(
            outcome,
            hostility,
            messages=messages,
            first_reply=self._first_reply.setdefault(node.name, outcome.reply),
            turn=delivery.round,
            seed=derive_seed(self._plan.seed, "hostile", delivery.key),
        )

    def _job(self, node: NodeState, delivery: Delivery) -> Job:
        return Job(
            key=delivery.key,
            node_id=node.node_id,
            node_config=self._node_config(node),
            message=delivery.message,
            state=node.state,
            seed=derive_seed(self._plan.seed, "clientapp", delivery.key),
        )

    def _node_config(self, node: NodeState) -> dict[str, str | int | float]:
        config: dict[str, str | int | float] = {
            "partition-id": node.node.partition_id or 0, "num-partitions": len(self._plan.clients),
        }  # fmt: skip
        hostility = self._hostile.get(node.name)
        if hostility is not None and hostility.attack in INSIDE_APP:
            config.update(node_config(hostility))
        return config


class GivenCalls:
    """The same outcome for every call: timing without learning."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def begin(self, node: NodeState, delivery: Delivery) -> None:
        """Nothing has to be computed."""

    def outcome(self, node: NodeState, delivery: Delivery) -> Outcome:
        """Return the given outcome."""
        return self._outcome
