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
from emulator.backends.des.tcp.connection import Connection
from emulator.backends.des.tcp.control import make
from emulator.backends.des.tcp.engine import Engine
from emulator.backends.des.tcp.lanes import Lanes
from emulator.backends.des.tcp.pipe import Pipe
from emulator.backends.des.tcp.solos import Opening, Solos
from emulator.backends.des.tcp.stack import LINUX_STACK, Stack
from emulator.backends.des.timeline import DIRECTIONS, Medium
from emulator.backends.des.transfer import INITIAL_WINDOW, PACKET_BYTES
from emulator.plan import ControlName, Direction, Hop, Link
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
        routes: Paths that will be used. Known paths let links that only one other feeds be crossed without events, and
            wide links be divided (see ``Lanes``).
        works_ahead: Whether transfers that have their path to themselves are worked out in one go (see ``Solo``).
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
        works_ahead: bool = True,
    ) -> None:
        super().__init__(links, now_s)
        paths = [tuple(route) for route in routes]
        self._stack = replace(stack, data_retries=0, syn_retries=0, closes=False)
        self._control: ControlName = control
        self._seed = seed
        self._engine = Engine()
        self._engine.now_ns = to_ns(now_s)
        self._flows: dict[str, Connection] = {}
        self._hops: dict[str, tuple[Hop, ...]] = {}
        self._users: defaultdict[str, dict[str, None]] = defaultdict(dict)  # link to flows (an ordered set)
        self._followed: set[str] = set()  # links that were used: their planned changes are in the engine
        self._lanes = Lanes(self.links, seed=seed, queue_bytes=queue_bytes, routes=paths)
        self._crossing: defaultdict[Pipe, dict[str, None]] = defaultdict(dict)  # pipe to flows not finished
        self._trailing: dict[Pipe, Connection] = {}  # the last connection that was finished; its ACKs may be under way
        self._known: set[tuple[Hop, ...]] = set()
        self._works_ahead = works_ahead
        self._solos = Solos(
            self._engine, seed, self._stack, connect=self._connect, finished=self._solo_finished, handed=self._handed
        )
        for path in paths:
            self._feed(path)

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
        self._check_new(flow_id, flow_id in self._hops, size_bytes)
        path = tuple(hops)
        rtt_s = self.links.rtt_s(path, now_s)
        self._catch_up(now_s)
        self._feed(path)
        wait_s = extra_latency_s + (extra_rtts - int(extra_rtts)) * rtt_s
        opening = Opening(
            flow_id, path, ceil(size_bytes), to_ns(self._now_s + wait_s), int(extra_rtts) if path else 0, rtt_s,
            max(1, int(initial_window)) * self._stack.mss_bytes, control or self._control_of(path),
        )  # fmt: skip
        self._engine.now_ns = max(self._engine.now_ns, to_ns(self._now_s))
        way = self._lanes.way(path)
        is_alone = self._make_room(way.pipes)
        before_ns = self._quiet_until_ns(opening)
        self._hops[flow_id] = path
        for hop in path:
            self._users[hop.link][flow_id] = None
        for pipe in way.pipes:
            self._crossing[pipe][flow_id] = None
        if is_alone and before_ns > 0:
            self._solos.book(opening, way, before_ns)
            return
        flow = self._flows[flow_id] = self._connect(opening)
        self._engine.at(opening.open_ns, flow.open)
        down = next((hop.link for hop in path if not self.links[hop.link].is_passing), "")
        if down:
            self._stall(flow, down)

    def _connect(self, opening: Opening) -> Connection:
        draw = (
            random.Random(derive_seed(self._seed, "control", opening.name)).random if opening.control == "bbr" else None
        )
        flow = Connection(
            opening.name, opening.size_bytes, self._lanes.way(opening.path).route, engine=self._engine, stack=self._stack,
            control=make(opening.control, draw or float), done=self._finished, round_trips=opening.round_trips,
            known_rtt_s=opening.rtt_s, resumed=self._resumed,
        )  # fmt: skip
        flow.sender.cwnd = opening.window_bytes
        return flow

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
        self._disturb([flow_id] if flow_id in self._solos else [])
        flow = self._flows[flow_id]
        sent_bytes = self._sent_bytes(flow)
        self._remove(flow_id)
        flow.close()
        return sent_bytes

    @property
    def events(self) -> int:
        """Events of the engine so far: the measure of the cost."""
        return self._engine.events

    def pipe(self, link: str, direction: Direction) -> Pipe:
        """Return one direction of a link in use, to look at."""
        return self._lanes.pipe(link, direction)

    def active_flows(self) -> list[str]:
        """Return the ids of the transfers in progress, in order of their start."""
        return list(self._hops)

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
        self._disturb(self._solos.names())
        now_ns = to_ns(self._now_s)
        loads: list[tuple[str, Direction, float]] = []
        for medium in self.links:
            medium.roll(self._now_s)
            for direction in DIRECTIONS:
                carried, medium.carried[direction] = medium.carried[direction], 0.0
                carried += self._lanes.sent_bytes(medium.name, direction, now_ns)
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
        if self._outbox or self._solos:
            return False
        return all(flow.is_stalled and self._is_dead(name) for name, flow in self._flows.items())

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

    # -- transfers that are alone --------------------------------------------------------------------------------------

    def _make_room(self, pipes: Iterable[Pipe]) -> bool:
        """Put the solos on ``pipes`` into the engine; return whether nobody at all is there."""
        is_alone = self._works_ahead
        for pipe in pipes:
            if self._crossing[pipe]:
                is_alone = False
                self._disturb([name for name in self._crossing[pipe] if name in self._solos])
            elif (last := self._trailing.pop(pipe, None)) and last.sender.board.una < last.sender.board.count:
                is_alone = False
                self._trailing[pipe] = last
        return is_alone

    def _disturb(self, flow_ids: Iterable[str]) -> None:
        now_ns = max(self._engine.now_ns, to_ns(self._now_s))
        for flow_id in flow_ids:
            self._solos.hand_over(flow_id, now_ns)

    def _quiet_until_ns(self, opening: Opening) -> int:
        """Return until when a solo could be worked out; 0 where that is not worth while or not to be had."""
        media = [self.links[hop.link] for hop in opening.path]
        if (
            not media
            or not opening.size_bytes
            or opening.control == "bbr"
            or any(m.is_shared or not m.is_passing for m in media)
        ):
            return 0
        change_s = min(m.next_change_s for m in media)
        if change_s == inf:
            return NEVER_NS - 1
        rate_bps = min(m.state(hop.direction).rate_bps for m, hop in zip(media, opening.path, strict=True))
        least_s = opening.round_trips * opening.rtt_s + opening.size_bytes * 8 / rate_bps
        change_ns = to_ns(change_s)
        return change_ns - 1 if opening.open_ns + to_ns(least_s) < change_ns else 0

    def _handed(self, flow: Connection) -> None:
        self._flows[flow.name] = flow

    def _solo_finished(self, flow_id: str, size_bytes: int, now_ns: int) -> None:
        self._forget(flow_id)
        self._outbox.append(FlowEvent("finished", flow_id, to_s(now_ns), float(size_bytes)))

    # -- links that change ----------------------------------------------------------------------------------------------

    def _use(self, medium: Medium) -> None:
        """Follow what is planned for a link from its first use on."""
        if medium.name not in self._followed:
            self._followed.add(medium.name)
            medium.roll(self._now_s)
            self._await_change(medium)

    def _await_change(self, medium: Medium) -> None:
        if medium.next_change_s < inf:
            self._engine.at(to_ns(medium.next_change_s), partial(self._roll, medium))

    def _roll(self, medium: Medium, now_ns: int, _: object) -> None:
        medium.roll(to_s(now_ns))
        self._changed(medium)
        self._await_change(medium)

    def _changed(self, medium: Medium) -> None:
        if medium.name not in self._followed:
            return
        self._disturb([name for name in self._users[medium.name] if name in self._solos])
        was_passing = all(pipe.is_passing for pipe in self._lanes.of(medium.name))
        is_cut = was_passing and not medium.is_passing
        if is_cut:
            for flow_id in self._users[medium.name]:
                self._stall(self._flows[flow_id], medium.name)
        self._lanes.changed(medium, max(self._engine.now_ns, to_ns(self._now_s)), is_cut=is_cut)

    def _stall(self, flow: Connection, link: str) -> None:
        if not flow.is_stalled:
            now_s = max(self._now_s, to_s(self._engine.now_ns))
            self._outbox.append(FlowEvent("stalled", flow.name, now_s, self._sent_bytes(flow), link))
        flow.cut()

    def _resumed(self, flow: Connection, now_ns: int) -> None:
        self._outbox.append(FlowEvent("resumed", flow.name, to_s(now_ns), self._sent_bytes(flow)))

    def _finished(self, flow: Connection, now_ns: int) -> None:
        if self._flows.get(flow.name) is flow:
            for pipe in self._remove(flow.name):
                self._trailing[pipe] = flow
            self._outbox.append(FlowEvent("finished", flow.name, to_s(now_ns), float(flow.sender.board.total_bytes)))

    def _remove(self, flow_id: str) -> tuple[Pipe, ...]:
        del self._flows[flow_id]
        return self._forget(flow_id)

    def _forget(self, flow_id: str) -> tuple[Pipe, ...]:
        """Take a flow from its path; return the path's pipes, there and back."""
        path = self._hops.pop(flow_id)
        for hop in path:
            self._users[hop.link].pop(flow_id, None)
        pipes = self._lanes.way(path).pipes
        for pipe in pipes:
            self._crossing[pipe].pop(flow_id, None)
        return pipes

    @staticmethod
    def _sent_bytes(flow: Connection) -> float:
        return float(flow.sender.board.offset(flow.sender.board.nxt))

    def _feed(self, path: tuple[Hop, ...]) -> None:
        """Bring a path into use; where packets then meet anew, split the paths of transfers in progress again."""
        if path in self._known:
            return
        self._known.add(path)
        is_new = self._lanes.open(path)
        for hop in path:
            self._use(self.links[hop.link])
        if is_new:
            for flow_id, flow in self._flows.items():
                flow.reroute(self._lanes.way(self._hops[flow_id]).route)
