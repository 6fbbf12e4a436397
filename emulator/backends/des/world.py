"""The world in virtual time: nodes, links, faults and messages, driven by SimPy on the ServerApp's thread.

The ServerApp's Grid calls move the world (``run_until``); between them it stands still. Nothing here knows wall time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import simpy
from flwr.app.metadata import Metadata

from emulator.backends.des.calls import Calls
from emulator.backends.des.carrier import Transfers
from emulator.backends.des.faults import FaultReplay
from emulator.backends.des.loads import LinkLoads
from emulator.backends.des.presence import Presence
from emulator.backends.des.serverside import ServerSide
from emulator.backends.des.state import Delivery, NodeState
from emulator.backends.des.supernode import lose, serve
from emulator.backends.des.tcp.tier import choose_for_run
from emulator.backends.des.waiting import Post
from emulator.compute.costs import seconds
from emulator.compute.measured import Measurements
from emulator.errors import RunFailed
from emulator.events import EventLog
from emulator.flower import adapter
from emulator.flower.adapter import ObjectSizes
from emulator.flower.clock import EPOCH_S
from emulator.flower.worker import Outcome
from emulator.interrupts import raise_if_interrupted
from emulator.plan import Device, PlacedFault, Plan
from emulator.rng import Streams, derive_seed
from emulator.units import format_duration


class World:
    """Carries out a plan.

    Args:
        plan: What to carry out.
        log: Where every event goes.
        calls: Gives the outcomes of ClientApp calls.
        measurements: CPU seconds of apps that report no work.
        bundle_bytes: Size of the app bundle a SuperNode fetches on first contact.
    """

    def __init__(self, plan: Plan, log: EventLog, calls: Calls, measurements: Measurements, bundle_bytes: int) -> None:
        self.plan = plan
        self.log = log
        self.calls = calls
        self.measurements = measurements
        self.bundle_bytes = bundle_bytes
        self.env = simpy.Environment()
        self.transfers = Transfers(self.env, plan, log)
        self.loads = LinkLoads(self)
        self.stream = Streams(plan.seed)
        self.post = Post(self.env)
        self.presence = Presence(self)
        self.nodes = self._make_nodes()
        self.node_by_id = {node.node_id: node for node in self.nodes.values()}
        self.faults = FaultReplay(self)
        self.round = 0
        self.server = ServerSide(self)

    def _make_nodes(self) -> dict[str, NodeState]:
        empty = adapter.content_to_bytes(adapter.empty_content())
        nodes = {}
        for node in self.plan.clients:
            phase = float(self.stream("poll", node.name).uniform(0, self.plan.flower.supernode_poll_s))
            node_id = derive_seed(self.plan.seed, "node-id", node.name) >> 1
            nodes[node.name] = NodeState(node, node_id, tuple(self.plan.routes[node.name]), phase, empty)
        return nodes

    # -- time ---------------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Virtual seconds since the run began."""
        return float(self.env.now)

    def epoch_s(self) -> float:
        """Virtual time as a Unix timestamp."""
        return EPOCH_S + self.now_s

    def run_until(self, until_s: float, stop: simpy.Event | None = None) -> None:
        """Let the world run to ``until_s``, or to the moment ``stop`` triggers.

        Raises:
            RunFailed: The plan's horizon would be passed.
        """
        if until_s > self.plan.horizon_s:
            self.transfers.look_ahead(min(self.env.peek(), self.plan.horizon_s))
            if self.env.peek() > self.plan.horizon_s:
                self._past_horizon()
            until_s = math.nextafter(self.plan.horizon_s, math.inf)
        env = self.env
        while stop is None or not stop.triggered:
            self.transfers.look_ahead(min(env.peek(), until_s))
            if env.peek() > until_s:
                break
            env.step()
            raise_if_interrupted()
        else:
            return
        if until_s > self.plan.horizon_s:
            self._past_horizon()
        if until_s > env.now:
            env.timeout(until_s - env.now)  # nothing else is due by then
            env.step()

    def has_stopped(self) -> bool:
        """Return whether nothing more will happen by itself."""
        return self.env.peek() == math.inf and self.transfers.is_idle()

    def _past_horizon(self) -> None:
        horizon = format_duration(self.plan.horizon_s)
        raise RunFailed(
            f"virtual time passed the scenario's horizon of {horizon}; faults are drawn only up to there. "
            f"Raise clock.horizon, or give the app a deadline it can meet"
        )

    # -- messages -----------------------------------------------------------------------------------------------

    def send(
        self,
        metadata: Metadata,
        message: bytes,
        sizes: ObjectSizes,
        node: NodeState,
        round_number: int,
        *,
        original: Delivery | None = None,
    ) -> Delivery:
        """Leave a message at the SuperLink for ``node``, which stands in for the receiver of ``original`` where that is given.

        The run's first message decides how its transfers are modelled.
        """
        if not self.transfers.is_chosen:
            self.transfers.choose(choose_for_run(self.plan, sizes.total_bytes))
        node.sent += 1
        delivery = Delivery(
            key=f"{node.name}#{node.sent}", node=node.name, metadata=metadata, message=message, sizes=sizes,
            round=round_number, pushed_s=self.now_s, done=self.env.event(), original=original,
        )  # fmt: skip
        self.row("message_pushed", node, delivery, size_bytes=sizes.total_bytes, note=metadata.message_type)
        is_idle = node.current is None and not node.inbox
        node.inbox.append(delivery)
        node.unanswered[delivery.key] = delivery
        if is_idle and node.is_up:
            self.calls.begin(node, delivery)  # the call's inputs are settled: start it early
        self.wake(node)
        self.presence.watch(node)
        return delivery

    def wake(self, node: NodeState) -> None:
        """Start the SuperNode's work on its inbox if it is up and idle."""
        if node.is_up and node.inbox and node.serving is None:
            node.serving = self.env.process(serve(self, node))

    def arrive(self, delivery: Delivery, reply: bytes, sizes: ObjectSizes, note: str) -> None:
        """A reply is complete at the SuperLink."""
        delivery.reply, delivery.reply_sizes, delivery.reply_note = reply, sizes, note
        delivery.arrived_s = self.now_s
        node = self.nodes[delivery.node]
        node.unanswered.pop(delivery.key, None)
        if node.current is not delivery or not delivery.is_withdrawn:
            delivery.message = b""  # no longer needed; thousands of them would add up
        if delivery.is_abandoned:
            self.row("reply_late", node, delivery, size_bytes=sizes.total_bytes)
        delivery.done.succeed()
        self.post.put(delivery)

    def end(self) -> None:
        """The ServerApp is gone: SuperNodes drop what they have in hand, and the links' last bytes are logged."""
        for node in self.nodes.values():
            lose(self, node, "run ended")
        self.loads.write()

    # -- what nodes ask -----------------------------------------------------------------------------------------

    def round_trip_s(self, node: NodeState) -> float:
        """Return propagation there and back between the node and the server, now."""
        return self.transfers.links.rtt_s(node.up_hops, self.now_s)

    def path_back(self, node: NodeState) -> simpy.Event | None:
        """Return None while the node reaches the server, else an event for when it may again."""
        return self.faults.path_event(node)

    def superexec_look_s(self, node: NodeState, task_s: float) -> float:
        """Return when the SuperExec notices a task of ``task_s``: every ``superexec_poll_s`` from the node's own phase."""
        period_s = self.plan.flower.superexec_poll_s
        if period_s <= 0:
            return task_s
        if node.superexec_phase is None:
            node.superexec_phase = float(self.stream("superexec", node.name).uniform(0, 1))
        return task_s + (node.superexec_phase * period_s - task_s) % period_s

    def placed_fault(self, node: NodeState, delivery: Delivery, phase: str) -> PlacedFault | None:
        """Return the fault the plan places here, if any."""
        for fault in self.plan.placed:
            if (fault.round, fault.node, fault.phase) == (delivery.round, node.name, phase):
                return fault
        return None

    def obey(self, node: NodeState, fault: PlacedFault) -> None:
        """Carry out what a placed fault does beyond the ClientApp's own end."""
        if fault.action == "leave":
            self.env.process(self.faults.leave(node))
        elif fault.phase == "upload":
            self.env.process(self.faults.restart(node))

    def device_s(self, device: Device, work: Mapping[str, float]) -> float:
        """Return the seconds ``work`` takes on ``device``.

        Raises:
            RunFailed: The app reported a unit the device's cost table does not know.
        """
        try:
            return seconds(device, work)
        except ValueError as error:
            raise RunFailed(str(error)) from error

    def measured_s(self, key: str, outcome: Outcome, device: Device) -> float:
        """Return device seconds of a call that reported no work: measured CPU seconds, scaled."""
        factor = device.cpu_time_factor
        if factor is None:
            raise RunFailed(
                f"device profile {device.profile!r} has no cpu_time_factor, needed for apps that report no work"
            )
        return self.measurements.value(f"{key} cpu_s", outcome.cpu_s) * factor

    def server_work_s(self, work: Mapping[str, float]) -> float:
        """Return seconds of ``work`` on the server."""
        device = self.plan.server.device
        return 0.0 if device is None or not work else self.device_s(device, work)

    def listed_nodes(self) -> list[NodeState]:
        """Return the nodes the SuperLink would name, in the plan's order."""
        return [node for node in self.nodes.values() if self.presence.is_listed(node)]

    def waiting_for(self) -> str:
        """Say what is under way, for messages about a clock that stands still."""
        phases = Counter(node.phase for node in self.nodes.values() if node.phase)
        down = [node.name for node in self.nodes.values() if not node.is_up]
        listed = len(self.listed_nodes())
        return f"{listed} of {len(self.nodes)} nodes listed, down: {', '.join(down) or 'none'}, busy: {dict(phases) or 'none'}"

    def row(self, kind: str, node: NodeState, delivery: Delivery, **fields: Any) -> None:
        """Append a log row about a message at a node."""
        if "value" in fields:
            fields.setdefault("unit", "s")
        self.log.append(self.now_s, kind, round=delivery.round, node=node.name, msg=delivery.key, **fields)
