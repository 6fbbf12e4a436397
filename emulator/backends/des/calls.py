"""Where the outcome of a ClientApp call comes from: from the real ClientApp in a worker, or as given by the scenario."""

from __future__ import annotations

import math
from typing import Protocol

from emulator.backends.des.hostilities import Hostilities
from emulator.backends.des.state import Delivery, NodeState
from emulator.compute.recorded import CallRecorder
from emulator.flower.adapter import ObjectSizes
from emulator.flower.executor import Executor
from emulator.flower.nodeconfig import partition_configs
from emulator.flower.worker import Job, Outcome
from emulator.plan import FlowerSettings, Plan, RecordedCall, TimingOnly
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
        self._partitions = partition_configs(plan)
        self._hostilities = Hostilities(plan)
        self.recorder = CallRecorder()

    def begin(self, node: NodeState, delivery: Delivery) -> None:
        """Hand the call to a worker."""
        self._executor.submit(self._job(node, delivery.key, delivery.message))

    def outcome(self, node: NodeState, delivery: Delivery) -> Outcome:
        """Return the worker's answer, or what a hostile client makes of it."""
        outcome = self._executor.result(self._job(node, delivery.key, delivery.message))
        if delivery.metadata.message_type.startswith("train") and not outcome.error:
            self.recorder.add(node.name, _recorded(delivery, outcome))
        return self._hostilities.sent(node.name, delivery, outcome)

    def outcome_for_others(self, node: NodeState, key: str, message: bytes) -> Outcome:
        """Return what a call of ``node`` would give now, without it being the node's own."""
        return self._executor.result(self._job(node, f"{key}~", message))

    def _job(self, node: NodeState, key: str, message: bytes) -> Job:
        return Job(
            key=key,
            node_id=node.node_id,
            node_config={
                **self._partitions[node.name],
                **self._hostilities.told(node.name),
            },
            message=message,
            state=node.state,
            seed=derive_seed(self._plan.seed, "clientapp", key),
        )


def _recorded(delivery: Delivery, outcome: Outcome) -> RecordedCall:
    work = None if outcome.work is None else dict(outcome.work)
    memory_bytes = outcome.peak_bytes if work is None else work.pop("peak_memory_bytes", 0.0)
    return RecordedCall(
        delivery.sizes.total_bytes, delivery.sizes.objects, outcome.sizes.total_bytes, outcome.sizes.objects,
        work, memory_bytes, 0.0 if work is not None else outcome.cpu_s,
    )  # fmt: skip


class GivenCalls:
    """Outcomes as a scenario gives them, the same for every client in a round: timing without learning."""

    def __init__(self, spec: TimingOnly, flower: FlowerSettings) -> None:
        self._spec = spec
        self._flower = flower
        self._made: dict[int, Outcome] = {}

    def begin(self, node: NodeState, delivery: Delivery) -> None:
        """Nothing has to be computed."""

    def outcome(self, node: NodeState, delivery: Delivery) -> Outcome:
        """Return the round's outcome."""
        if delivery.round not in self._made:
            self._made = {delivery.round: given_outcome(self._spec.call(delivery.round), self._flower)}
        return self._made[delivery.round]


RECORD_OBJECTS = 5
"""Objects of a message besides its arrays and their chunks: itself, its content, and three records."""


def given_sizes(objects: int, size_bytes: float, flower: FlowerSettings) -> ObjectSizes:
    """Return the objects of a message: as many as given, with arrays fused or cut into chunks as the settings say."""
    chunks = math.ceil(size_bytes / flower.chunk_bytes)
    fused = RECORD_OBJECTS + 1 + chunks
    return ObjectSizes(min(objects, fused) if flower.is_fused else max(objects, chunks), int(size_bytes))


def given_outcome(call: RecordedCall, flower: FlowerSettings) -> Outcome:
    """Return the outcome of a call: a reply of the given size after the given work, and nothing in it."""
    work = None if call.work is None else {**call.work, "peak_memory_bytes": call.memory_bytes}
    return Outcome(
        reply=b"", state=b"", sizes=given_sizes(call.upload_objects, call.upload_bytes, flower), work=work, cpu_s=call.cpu_s,
        peak_bytes=int(call.memory_bytes), error="", metrics={},
    )  # fmt: skip
