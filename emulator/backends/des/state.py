"""What the world knows about each node and each message while a run goes on."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import simpy
from flwr.app.metadata import Metadata

from emulator.flower.adapter import ObjectSizes
from emulator.models import thermal
from emulator.plan import Hop, Node, way_back


@dataclass
class Delivery:
    """One message on its way to a node, and its reply on the way back.

    Attributes:
        key: ``node#n``, the n-th message to that node; names it in the log.
        node: Name of the receiver.
        metadata: Flower metadata of the instruction.
        message: The serialised instruction.
        sizes: Objects in which it travels.
        round: Round it belongs to.
        pushed_s: When the ServerApp pushed it.
        done: Triggers when a reply (or Flower's error reply) is at the SuperLink.
        reply: The serialised reply once there.
        reply_sizes: Objects in which the reply travelled.
        arrived_s: When the reply was complete at the SuperLink.
        announced_s: When the SuperLink knew of the reply, which may then still be on its way.
        session_ends_s: From when on the SuperLink refuses further objects of the reply, as far as that is known.
        is_withdrawn: The ServerApp was told that there will be no reply: the SuperLink forgets the message.
        is_pulled: The ServerApp has the reply.
        is_abandoned: The ServerApp stopped waiting.
        original: For a message to a client that only stands in for a trained one: the trained client's message.
    """

    key: str
    node: str
    metadata: Metadata
    message: bytes
    sizes: ObjectSizes
    round: int
    pushed_s: float
    done: simpy.Event
    reply: bytes | None = None
    reply_sizes: ObjectSizes = field(default_factory=lambda: ObjectSizes(0, 0))
    reply_note: str = ""
    arrived_s: float = float("inf")
    announced_s: float = float("inf")
    session_ends_s: float = float("inf")
    is_withdrawn: bool = False
    is_pulled: bool = False
    is_abandoned: bool = False
    original: Delivery | None = None

    @property
    def expires_s(self) -> float:
        """When its time to live is over."""
        return self.pushed_s + float(self.metadata.ttl)


@dataclass
class NodeState:
    """A client's SuperNode.

    Attributes:
        node: The node in the plan.
        node_id: Flower's number for it.
        up_hops: Route towards the server.
        poll_anchor_s: When it last became free to poll; polls follow at the poll period.
        state: Serialised ``Context.state``.
        sent: Messages addressed to it so far.
        inbox: Messages waiting at the SuperLink.
        unanswered: All messages to it that have no answer yet.
        current: The message in hand.
        serving: SimPy process that handles the inbox, None while there is nothing to do.
        is_up: Powered and booted.
        has_app: It has fetched the run's app bundle since it started.
        unreachable_since_s: When power or path was lost, None while reachable.
        reachable_from_s: Since when it has had both.
        reached_s: Seconds with power and path since the links' loads were last written.
        heard_s: Its last heartbeat before it was lost sight of.
        beat_s: Its first heartbeat that got through since then; from then on they come regularly.
        beat_due_s: When it sent the first heartbeat that found it cut off.
        superexec_phase: Where in its period its SuperExec looks for tasks, 0 to 1; drawn when first needed.
        lanes_used_s: When all its connections to the SuperLink were last in use.
        busy_from_s: Since when it has had a message in hand, None while it polls.
        busy_s: Seconds with a message in hand since the links' loads were last written.
        phase: What it is doing with the message in hand, for the log.
        heat: How warm its device was at ``heat_s`` (see ``emulator.models.thermal``).
    """

    node: Node
    node_id: int
    up_hops: tuple[Hop, ...]
    poll_anchor_s: float
    state: bytes
    sent: int = 0
    inbox: deque[Delivery] = field(default_factory=deque)
    unanswered: dict[str, Delivery] = field(default_factory=dict)
    current: Delivery | None = None
    serving: Any = None
    is_up: bool = True
    has_app: bool = False
    unreachable_since_s: float | None = None
    reachable_from_s: float = 0.0
    reached_s: float = 0.0
    heard_s: float = -math.inf
    beat_s: float = 0.0
    beat_due_s: float = 0.0
    lanes_used_s: float = -math.inf
    busy_from_s: float | None = None
    busy_s: float = 0.0
    phase: str = ""
    compute_started_s: float = 0.0
    superexec_phase: float | None = None
    heat: float = 0.0
    heat_s: float = 0.0

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def down_hops(self) -> tuple[Hop, ...]:
        """Route from the server."""
        return way_back(self.up_hops)

    def compute_s(self, work_s: float, now_s: float) -> float:
        """Return the seconds that ``work_s`` at full speed take from ``now_s`` on, and warm the device by them."""
        limits = None if self.node.device is None else self.node.device.thermal
        if limits is None:
            return work_s
        cooled = thermal.rest(limits, self.heat, max(0.0, now_s - self.heat_s))
        took_s, self.heat = thermal.work(limits, cooled, work_s)
        self.heat_s = now_s + took_s
        return took_s

    def take_up(self, delivery: Delivery, now_s: float) -> None:
        """Begin with a message: no polls from here on."""
        self.current, self.phase, self.busy_from_s = delivery, "download", now_s

    def put_down(self, now_s: float) -> None:
        """Be done with the message in hand, one way or another."""
        self.current, self.phase = None, ""
        if self.busy_from_s is not None:
            self.busy_s += now_s - self.busy_from_s
            self.busy_from_s = None

    def take_busy_s(self, now_s: float) -> float:
        """Return the seconds it had a message in hand since the last call."""
        total_s, self.busy_s = self.busy_s, 0.0
        if self.busy_from_s is not None:
            total_s, self.busy_from_s = total_s + now_s - self.busy_from_s, now_s
        return total_s

    def take_reached_s(self, now_s: float) -> float:
        """Return the seconds it had power and path since the last call."""
        open_s = now_s - self.reachable_from_s if self.unreachable_since_s is None else 0.0
        total_s, self.reached_s, self.reachable_from_s = self.reached_s + open_s, 0.0, now_s
        return total_s
