"""The packet-level model behind the fluid engine's calls: transfers start, links change and fail as time goes on.

Same calls as ``emulator.backends.des.network.Network``. Sizes are payload bytes, bytes on links IP bytes (headers, ACKs
and retransmissions included). Left out: that packets past a link survive its cut (all packets of the transfers that
cross it are lost), a background stream's own queueing (it takes its rate off the link), and that a change of rate also
changes when the packets leave that wait.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from math import ceil, inf
from typing import Final

from emulator.backends.des.network import FlowEvent
from emulator.backends.des.tcp.clock import NEVER_NS, to_ns, to_s
from emulator.backends.des.tcp.connection import Connection, Route
from emulator.backends.des.tcp.control import make
from emulator.backends.des.tcp.engine import Engine
from emulator.backends.des.tcp.pipe import Pipe, Transmitter, stages
from emulator.backends.des.tcp.stack import LINUX_STACK, ControlName, Stack
from emulator.backends.des.timeline import DIRECTIONS, TICK_S, Medium
from emulator.backends.des.transfer import GOODPUT, PACKET_BYTES
from emulator.plan import Direction, Hop, Link
from emulator.rng import derive_seed

DEFAULT_QUEUE_PACKETS: Final = 100
"""Buffer of a link whose profile gives none."""
OPPOSITE: Final[dict[Direction, Direction]] = {"up": "down", "down": "up"}


class PacketNetwork:
    """All links and all transfers in progress, packet by packet.

    Connections never give up: how long to wait is the application's business, as in the fluid engine.

    Args:
        links: All links.
        seed: Of the losses and of BBR's phases; each link direction and each flow has its own stream.
        stack: The end hosts.
        control: Congestion control of transfers that name none.
        routes: Paths that will be used. Known paths let links that only one other feeds be crossed without events.
    """

    def __init__(
        self,
        links: Iterable[Link],
        *,
        seed: int = 0,
        stack: Stack = LINUX_STACK,
        control: ControlName = "cubic",
        routes: Iterable[Sequence[Hop]] = (),
    ) -> None:
        self._media = {link.name: Medium(link, index) for index, link in enumerate(links)}
        self._stack = replace(stack, data_retries=0, syn_retries=0, closes=False)
        self._control: ControlName = control
        self._seed = seed
        self._engine = Engine()
        self._now_s = 0.0
        self._outbox: list[FlowEvent] = []
        self._flows: dict[str, Connection] = {}
        self._hops: dict[str, tuple[Hop, ...]] = {}
        self._counted: dict[tuple[str, Direction], int] = {}
        self._pipes: dict[tuple[str, Direction], Pipe] = {}
        for medium in self._media.values():
            self._add_pipes(medium)
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
        initial_window: float = 10.0,
        control: ControlName | None = None,
    ) -> None:
        """Begin a transfer along ``hops``, from sender to receiver.

        It waits ``extra_latency_s``, exchanges ``extra_rtts`` small packets (a fraction is waited for), and sends in
        slow start from ``initial_window`` segments. It is finished when the last byte has arrived.

        Raises:
            ValueError: The id is in use, the size is negative, or a hop names an unknown link.
        """
        if flow_id in self._flows:
            raise ValueError(f"flow {flow_id!r} is already in progress")
        if not 0 <= size_bytes < inf:
            raise ValueError(f"flow {flow_id!r}: size must be 0 bytes or more, got {size_bytes}")
        self._catch_up(now_s)
        path = tuple(hops)
        self._feed(path)
        rtt_s = self.rtt_s(path, self._now_s)
        draw = random.Random(derive_seed(self._seed, "control", flow_id)).random
        flow = Connection(
            flow_id, ceil(size_bytes), self._route(path), engine=self._engine, stack=self._stack,
            control=make(control or self._control, draw), done=self._finished,
            round_trips=int(extra_rtts) if path else 0, known_rtt_s=rtt_s, resumed=self._resumed,
        )  # fmt: skip
        flow.sender.cwnd = max(1, int(initial_window)) * self._stack.mss_bytes
        self._flows[flow_id], self._hops[flow_id] = flow, path
        wait_s = extra_latency_s + (extra_rtts - int(extra_rtts)) * rtt_s
        self._engine.now_ns = max(self._engine.now_ns, to_ns(self._now_s))
        self._engine.at(to_ns(self._now_s + wait_s), flow.open)
        down = next((hop.link for hop in path if not self._media[hop.link].is_passing), "")
        if down:
            self._stall(flow, down)

    def abort(self, flow_id: str, now_s: float) -> float:
        """End a transfer and return the payload bytes that had left the sender.

        Raises:
            KeyError: No such transfer is in progress.
        """
        self._catch_up(now_s)
        flow = self._flows.pop(flow_id)
        del self._hops[flow_id]
        sent_bytes = self._sent_bytes(flow)
        flow.close()
        return sent_bytes

    def active_flows(self) -> list[str]:
        """Return the ids of the transfers in progress, in order of their start."""
        return list(self._flows)

    # -- links --------------------------------------------------------------------------------------------------------

    def set_link_up(self, link: str, is_up: bool, now_s: float) -> None:
        """Bring a link up or down in both directions; saying so twice changes nothing."""
        self._catch_up(now_s)
        medium = self._medium(link)
        medium.roll(self._now_s)
        if medium.is_up != is_up:
            medium.set_up(is_up)
            self._changed(medium)

    def set_background(self, link: str, direction: Direction, rate_bps: float, now_s: float) -> None:
        """Set the constant load (IP bit/s) on one direction of a link; it goes before all flows."""
        self._catch_up(now_s)
        medium = self._medium(link)
        medium.roll(self._now_s)
        medium.set_background(direction, rate_bps)
        self._changed(medium)

    def take_loads(self, now_s: float) -> list[tuple[str, Direction, float]]:
        """Return the IP bytes each link and direction carried since the last call, with background, where above 0."""
        self._run(now_s)
        loads: list[tuple[str, Direction, float]] = []
        for (name, direction), pipe in self._pipes.items():
            medium = self._media[name]
            medium.roll(self._now_s)
            carried = pipe.carried_bytes - self._counted.get((name, direction), 0) + medium.carried[direction]
            self._counted[name, direction] = pipe.carried_bytes
            medium.carried[direction] = 0.0
            if carried > 0:
                loads.append((name, direction, float(carried)))
        return loads

    def delay_s(self, hop: Hop, now_s: float) -> float:
        """Return the one-way propagation delay of a hop in the link's state at ``now_s``."""
        return self._medium(hop.link).state_at(hop.direction, now_s).delay_s

    def rate_bps(self, link: str, direction: Direction, now_s: float) -> float:
        """Return the rate of one direction of a link at ``now_s``, at the IP layer; 0 while the link is down."""
        medium = self._medium(link)
        return medium.state_at(direction, now_s).rate_bps if medium.is_up else 0.0

    def rtt_s(self, hops: Sequence[Hop], now_s: float) -> float:
        """Return the propagation round trip over ``hops`` in the links' states at ``now_s``."""
        return sum(self.delay_s(Hop(hop.link, direction), now_s) for hop in hops for direction in DIRECTIONS)

    def is_path_up(self, hops: Sequence[Hop], now_s: float) -> bool:
        """Return whether every link of ``hops`` is up and has a rate in both directions at ``now_s``."""
        return all(self.rate_bps(hop.link, direction, now_s) > 0 for hop in hops for direction in DIRECTIONS)

    # -- time ---------------------------------------------------------------------------------------------------------

    def next_event_s(self) -> float | None:
        """Return when ``advance`` is next needed; None if nothing will happen without a further call.

        It is a lower bound: a transfer cannot end before what was not yet sent has passed its slowest link and what has
        not arrived its last. So most packets are simulated without a call for each.
        """
        if self._outbox:
            return self._now_s
        next_ns = self._engine.next_ns()
        if next_ns == NEVER_NS or not self._flows:
            return None
        soonest_ns = min((self._soonest_ns(flow) for flow in self._flows.values()), default=NEVER_NS)
        return max(self._now_s, to_s(max(next_ns, min(soonest_ns, NEVER_NS))))

    def advance(self, to_s: float) -> list[FlowEvent]:
        """Let everything up to ``to_s`` happen and return it in order of time, then of flow id."""
        self._run(to_s)
        events, self._outbox = self._outbox, []
        return sorted(events, key=lambda event: (event.t_s, event.flow_id))

    def _soonest_ns(self, flow: Connection) -> int:
        """Return the earliest time at which something about a flow can have to be told."""
        now_ns = max(self._engine.now_ns, to_ns(self._now_s))
        path = [self._pipes[hop.link, hop.direction] for hop in self._hops[flow.name]]
        if flow.is_stalled or not path:
            return now_ns
        size_bytes, board = self._stack.data_bytes(self._stack.mss_bytes), flow.sender.board
        unsent_ns = max(pipe.packet_ns(size_bytes) for pipe in path) * max(0, board.count - board.nxt - 1)
        missing = board.count - flow.receiver.arrived
        return now_ns + max(unsent_ns, path[-1].packet_ns(size_bytes) * max(0, missing - 2))

    def _catch_up(self, now_s: float) -> None:
        if now_s < self._now_s - TICK_S:
            raise ValueError(f"time would fall from {self._now_s} s to {now_s} s")
        self._run(now_s)

    def _run(self, to_s: float) -> None:
        if to_s < self._now_s - TICK_S:
            raise ValueError(f"time would fall from {self._now_s} s to {to_s} s")
        engine, until_ns = self._engine, to_ns(to_s)
        while engine.next_ns() <= until_ns:
            engine.step()
        self._now_s = max(self._now_s, to_s)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _medium(self, link: str) -> Medium:
        try:
            return self._media[link]
        except KeyError:
            raise ValueError(f"unknown link {link!r}; known: {', '.join(self._media) or 'none'}") from None

    def _add_pipes(self, medium: Medium) -> None:
        shared = Transmitter(is_shared=True) if medium.is_shared else None
        limit = max(1, round(medium.queue_bytes / PACKET_BYTES)) if medium.queue_bytes else DEFAULT_QUEUE_PACKETS
        for direction in DIRECTIONS:
            draw = random.Random(derive_seed(self._seed, "loss", medium.name, direction)).random
            self._pipes[medium.name, direction] = Pipe(
                f"{medium.name} {direction}", 0.0, 0.0, limit=limit, draw=draw, transmitter=shared
            )
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
        was_passing = all(self._pipes[medium.name, direction].is_passing for direction in DIRECTIONS)
        self._follow(medium)
        if was_passing and not medium.is_passing:
            for direction in DIRECTIONS:
                self._pipes[medium.name, direction].cut(max(self._engine.now_ns, to_ns(self._now_s)))
            for flow in self._flows.values():
                if any(hop.link == medium.name for hop in self._hops[flow.name]):
                    self._stall(flow, medium.name)

    def _stall(self, flow: Connection, link: str) -> None:
        if not flow.is_stalled:
            now_s = max(self._now_s, to_s(self._engine.now_ns))
            self._outbox.append(FlowEvent("stalled", flow.name, now_s, self._sent_bytes(flow), link))
        flow.cut()

    def _resumed(self, flow: Connection, now_ns: int) -> None:
        self._outbox.append(FlowEvent("resumed", flow.name, to_s(now_ns), self._sent_bytes(flow)))

    def _finished(self, flow: Connection, now_ns: int) -> None:
        if self._flows.get(flow.name) is flow:
            del self._flows[flow.name], self._hops[flow.name]
            self._outbox.append(FlowEvent("finished", flow.name, to_s(now_ns), float(flow.sender.board.total_bytes)))

    @staticmethod
    def _sent_bytes(flow: Connection) -> float:
        return float(flow.sender.board.offset(flow.sender.board.nxt))

    def _route(self, path: tuple[Hop, ...]) -> Route:
        forward, back = self._ways(path)
        return Route(stages(forward), stages(back))

    def _ways(self, path: tuple[Hop, ...]) -> tuple[list[Pipe], list[Pipe]]:
        for hop in path:
            self._medium(hop.link)
        forward = [self._pipes[hop.link, hop.direction] for hop in path]
        return forward, [self._pipes[hop.link, OPPOSITE[hop.direction]] for hop in reversed(path)]

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
