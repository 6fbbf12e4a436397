"""The packet-level model behind the transfer models' calls: transfers start, links change and fail as time goes on.

Bytes on links are IP bytes, with headers, ACKs and retransmissions. Left out: that packets past a link survive its cut
(all packets of the transfers that cross it are lost), a background stream's own queueing (it takes its rate off the
link), and that a change of rate also changes when the packets leave that wait.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from math import ceil, inf
from typing import Final

from emulator.backends.des.links import Links
from emulator.backends.des.model import FlowEvent, TransferModel
from emulator.backends.des.tcp.clock import NEVER_NS, to_ns, to_s
from emulator.backends.des.tcp.connection import Connection, Route
from emulator.backends.des.tcp.control import make
from emulator.backends.des.tcp.engine import Engine
from emulator.backends.des.tcp.pipe import Pipe, Transmitter, requeue, stages
from emulator.backends.des.tcp.stack import LINUX_STACK, Stack
from emulator.backends.des.timeline import DIRECTIONS, Medium
from emulator.backends.des.transfer import GOODPUT, INITIAL_WINDOW, PACKET_BYTES
from emulator.plan import ControlName, Direction, Hop, Link, way_back
from emulator.rng import derive_seed

DEFAULT_QUEUE_BYTES: Final = 100 * PACKET_BYTES
"""Buffer of a link whose profile gives none."""


class PacketNetwork(TransferModel):
    """All links and all transfers in progress, packet by packet (see ``TransferModel``).

    Connections never give up: how long to wait is the application's business, as in the fluid model.

    Args:
        links: All links.
        now_s: Present time.
        seed: Of the losses and of BBR's phases; each link direction and each flow has its own stream.
        stack: The end hosts.
        control: Congestion control of transfers over links that name none.
        queue_bytes: Buffer of links that give none.
        routes: Paths that will be used. Known paths let links that only one other feeds be crossed without events.
    """

    def __init__(
        self,
        links: Links | Iterable[Link],
        now_s: float = 0.0,
        *,
        seed: int = 0,
        stack: Stack = LINUX_STACK,
        control: ControlName = "cubic",
        queue_bytes: float = DEFAULT_QUEUE_BYTES,
        routes: Iterable[Sequence[Hop]] = (),
    ) -> None:
        super().__init__(links, now_s)
        self._stack = replace(stack, data_retries=0, syn_retries=0, closes=False)
        self._control: ControlName = control
        self._queue_bytes = queue_bytes
        self._seed = seed
        self._engine = Engine()
        self._engine.now_ns = to_ns(now_s)
        self._flows: dict[str, Connection] = {}
        self._hops: dict[str, tuple[Hop, ...]] = {}
        self._users: defaultdict[str, dict[str, None]] = defaultdict(dict)  # link to flows (an ordered set)
        self._counted: dict[tuple[str, Direction], int] = {}
        self._pipes: dict[tuple[str, Direction], Pipe] = {}  # of links that were used
        for route in routes:
            self._feed(tuple(route))

    # -- transfers ----------------------------------------------------------------------------------------------------

    def start(
        self,
        flow_id: str,
        hops: Sequence[Hop],
        size_bytes: float,
        now_s: float,
        *,
        extra_rtts: float = 2.0,
        extra_latency_s: float = 0.0,
        initial_window: float = INITIAL_WINDOW,
        control: ControlName | None = None,
    ) -> None:
        """Begin a transfer along ``hops``, from sender to receiver.

        It waits ``extra_latency_s``, exchanges ``extra_rtts`` small packets (a fraction is waited for), and sends in
        slow start from ``initial_window`` segments. It is finished when the last byte has arrived.

        Raises:
            ValueError: The id is in use, the size is negative, or a hop names an unknown link.
        """
        self._check_new(flow_id, flow_id in self._flows, size_bytes)
        path = tuple(hops)
        rtt_s = self.links.rtt_s(path, now_s)
        self._catch_up(now_s)
        self._feed(path)
        draw = random.Random(derive_seed(self._seed, "control", flow_id)).random
        flow = Connection(
            flow_id, ceil(size_bytes), self._route(path), engine=self._engine, stack=self._stack,
            control=make(control or self._control_of(path), draw), done=self._finished,
            round_trips=int(extra_rtts) if path else 0, known_rtt_s=rtt_s, resumed=self._resumed,
        )  # fmt: skip
        flow.sender.cwnd = max(1, int(initial_window)) * self._stack.mss_bytes
        self._flows[flow_id], self._hops[flow_id] = flow, path
        for hop in path:
            self._users[hop.link][flow_id] = None
        wait_s = extra_latency_s + (extra_rtts - int(extra_rtts)) * rtt_s
        self._engine.now_ns = max(self._engine.now_ns, to_ns(self._now_s))
        self._engine.at(to_ns(self._now_s + wait_s), flow.open)
        down = next((hop.link for hop in path if not self.links[hop.link].is_passing), "")
        if down:
            self._stall(flow, down)

    def _control_of(self, path: tuple[Hop, ...]) -> ControlName:
        """Return the control that the path's link nearest to the leaf names, else the default."""
        from_leaf = path if path and path[0].direction == "up" else path[::-1]
        named = (self.links[hop.link].congestion_control for hop in from_leaf)
        return next((name for name in named if name), self._control)

    def abort(self, flow_id: str, now_s: float) -> float:
        """End a transfer and return the payload bytes that had left the sender.

        Raises:
            KeyError: No such transfer is in progress.
        """
        self._catch_up(now_s)
        flow = self._flows[flow_id]
        sent_bytes = self._sent_bytes(flow)
        self._remove(flow_id)
        flow.close()
        return sent_bytes

    def pipe(self, link: str, direction: Direction) -> Pipe:
        """Return one direction of a link in use, to look at."""
        return self._pipes[link, direction]

    def active_flows(self) -> list[str]:
        """Return the ids of the transfers in progress, in order of their start."""
        return list(self._flows)

    # -- links --------------------------------------------------------------------------------------------------------

    def set_link_up(self, link: str, is_up: bool, now_s: float) -> None:
        """Bring a link up or down in both directions; saying so twice changes nothing."""
        medium = self._present(link, now_s)
        if medium.is_up != is_up:
            medium.set_up(is_up)
            self._changed(medium)

    def set_background(self, link: str, direction: Direction, rate_bps: float, now_s: float) -> None:
        """Set the constant load (IP bit/s) on one direction of a link; it goes before all flows."""
        medium = self._present(link, now_s)
        medium.set_background(direction, rate_bps)
        self._changed(medium)

    def take_loads(self, now_s: float) -> list[tuple[str, Direction, float]]:
        """Return the IP bytes each link and direction carried since the last call, with background, where above 0."""
        self._forward(now_s)
        loads: list[tuple[str, Direction, float]] = []
        for medium in self.links:
            medium.roll(self._now_s)
            for direction in DIRECTIONS:
                carried, medium.carried[direction] = medium.carried[direction], 0.0
                key = medium.name, direction
                if key in self._pipes:
                    sent_bytes = self._pipes[key].sent_bytes(to_ns(self._now_s))
                    carried += sent_bytes - self._counted.get(key, 0)
                    self._counted[key] = sent_bytes
                if carried > 0:
                    loads.append((medium.name, direction, float(carried)))
        return loads

    # -- time ---------------------------------------------------------------------------------------------------------

    def next_event_s(self, before_s: float = inf) -> float | None:
        """Return when ``advance`` is next needed; None if nothing will happen by ``before_s`` without a further call."""
        if not self._outbox and not self.is_idle():
            self._engine.run(to_ns(before_s) if before_s < inf else NEVER_NS - 1, self._outbox)
        return max(self._now_s, self._outbox[0].t_s) if self._outbox else None

    def is_idle(self) -> bool:
        """Return whether nothing will ever happen without a further call."""
        return not self._outbox and all(flow.is_stalled and self._is_dead(name) for name, flow in self._flows.items())

    def _is_dead(self, flow_id: str) -> bool:
        """Return whether a link of a flow's path lets nothing pass and has no change ahead."""
        media = [self.links[hop.link] for hop in self._hops[flow_id]]
        return any(not (m.is_passing or (m.is_up and m.next_change_s < inf)) for m in media)

    def _run(self, to_s: float) -> None:
        engine, until_ns = self._engine, to_ns(to_s)
        if until_ns < engine.now_ns - 1:
            raise ValueError(f"time would fall from {engine.now_ns / 1e9} s to {to_s} s")
        engine.run(until_ns)
        self._now_s = max(self._now_s, to_s)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _present(self, link: str, now_s: float) -> Medium:
        """Return a link as it is at ``now_s``."""
        medium = self.links[link]
        self._catch_up(now_s)
        medium.roll(self._now_s)
        return medium

    def _add_pipes(self, medium: Medium) -> None:
        shared = Transmitter(is_shared=True) if medium.is_shared else None
        limit = max(1, round((medium.queue_bytes or self._queue_bytes) / PACKET_BYTES))
        for direction in DIRECTIONS:
            draw = random.Random(derive_seed(self._seed, "loss", medium.name, direction)).random
            self._pipes[medium.name, direction] = Pipe(
                f"{medium.name} {direction}", 0.0, 0.0, limit=limit, draw=draw, transmitter=shared
            )
        medium.roll(self._now_s)
        self._follow(medium)
        self._await_change(medium)

    def _await_change(self, medium: Medium) -> None:
        if medium.next_change_s < inf:
            self._engine.at(to_ns(medium.next_change_s), partial(self._roll, medium))

    def _roll(self, medium: Medium, now_ns: int, _: object) -> None:
        medium.roll(to_s(now_ns))
        self._changed(medium)
        self._await_change(medium)

    def _follow(self, medium: Medium) -> None:
        """Give the link's pipes its present rates, less what background streams take."""
        for direction in DIRECTIONS:
            state, left = medium.state(direction), medium.resources[direction].capacity
            rate_bps = state.rate_bps * left if medium.is_shared else left / GOODPUT
            self._pipes[medium.name, direction].set_state(rate_bps, state.delay_s, state.loss, state.jitter_s)

    def _changed(self, medium: Medium) -> None:
        if (medium.name, "up") not in self._pipes:
            return
        pipes = [self._pipes[medium.name, direction] for direction in DIRECTIONS]
        was_passing = all(pipe.is_passing for pipe in pipes)
        now_ns = max(self._engine.now_ns, to_ns(self._now_s))
        if was_passing and not medium.is_passing:
            for pipe in pipes:
                pipe.cut(now_ns)
            for flow_id in self._users[medium.name]:
                self._stall(self._flows[flow_id], medium.name)
        self._follow(medium)
        for group in [pipes] if medium.is_shared else [[pipe] for pipe in pipes]:
            requeue(group, now_ns)

    def _stall(self, flow: Connection, link: str) -> None:
        if not flow.is_stalled:
            now_s = max(self._now_s, to_s(self._engine.now_ns))
            self._outbox.append(FlowEvent("stalled", flow.name, now_s, self._sent_bytes(flow), link))
        flow.cut()

    def _resumed(self, flow: Connection, now_ns: int) -> None:
        self._outbox.append(FlowEvent("resumed", flow.name, to_s(now_ns), self._sent_bytes(flow)))

    def _finished(self, flow: Connection, now_ns: int) -> None:
        if self._flows.get(flow.name) is flow:
            self._remove(flow.name)
            self._outbox.append(FlowEvent("finished", flow.name, to_s(now_ns), float(flow.sender.board.total_bytes)))

    def _remove(self, flow_id: str) -> None:
        del self._flows[flow_id]
        for hop in self._hops.pop(flow_id):
            self._users[hop.link].pop(flow_id, None)

    @staticmethod
    def _sent_bytes(flow: Connection) -> float:
        return float(flow.sender.board.offset(flow.sender.board.nxt))

    def _route(self, path: tuple[Hop, ...]) -> Route:
        forward, back = self._ways(path)
        return Route(stages(forward), stages(back))

    def _ways(self, path: tuple[Hop, ...]) -> tuple[list[Pipe], list[Pipe]]:
        for hop in path:
            if (hop.link, hop.direction) not in self._pipes:
                self._add_pipes(self.links[hop.link])
        forward = [self._pipes[hop.link, hop.direction] for hop in path]
        return forward, [self._pipes[hop.link, hop.direction] for hop in way_back(path)]

    def _feed(self, path: tuple[Hop, ...]) -> None:
        """Note which link feeds which; where that makes packets meet anew, split the paths in use again."""
        is_new = False
        for way in self._ways(path):
            for feeder, pipe in zip([None, *way], way, strict=False):
                is_new |= feeder not in pipe.feeders
                pipe.feeders.add(feeder)
        if is_new:
            for flow_id, flow in self._flows.items():
                flow.reroute(self._route(self._hops[flow_id]))
