"""Replays the plan's outages: nodes and links go down and come back, and what depended on them is told."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import simpy

from emulator.backends.des.state import NodeState
from emulator.plan import DOWN, UP, Link, Outage, Stream

if TYPE_CHECKING:
    from emulator.backends.des.world import World


SERVICE_RESTART_S = 10.0
"""A SuperNode that may not register ends, and its service starts it again: a pause and the start (estimate)."""


def dead_spans(link: Link, horizon_s: float) -> list[Outage]:
    """Return the times in which the link's own states let nothing pass in one direction: a request needs both."""
    changes = sorted(
        (state.from_s, index, state.rate_bps) for index, states in enumerate((link.up, link.down)) for state in states
    )
    rates, dead = [math.inf, math.inf], []
    began_s: float | None = None
    for at_s, index, rate_bps in changes:
        rates[index] = rate_bps
        if min(rates) <= 0 and began_s is None:
            began_s = at_s
        elif min(rates) > 0 and began_s is not None:
            if at_s > began_s:
                dead.append(Outage(began_s, at_s, link.name, "no signal"))
            began_s = None
    if began_s is not None and began_s < horizon_s:
        dead.append(Outage(began_s, horizon_s, link.name, "no signal"))
    return dead


class FaultReplay:
    """Outages of one world. Overlapping outages of a target count: it is up again when the last one ends."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._down: Counter[str] = Counter()
        self._clients_by_link: dict[str, list[NodeState]] = defaultdict(list)
        self._streams_on: dict[str, list[tuple[str, Stream]]] = defaultdict(list)
        self._stream_links_of: dict[str, set[str]] = defaultdict(set)
        self._path_events: dict[str, simpy.Event] = {}
        for node in world.nodes.values():
            for hop in node.up_hops:
                self._clients_by_link[hop.link].append(node)
        self._start_streams()
        outages = [
            *world.plan.outages,
            *(o for link in world.plan.links for o in dead_spans(link, world.plan.horizon_s)),
        ]
        if outages:
            world.env.process(self._replay(outages))

    def path_event(self, node: NodeState) -> simpy.Event | None:
        """Return None while every link of the node's route is up, else an event for its return."""
        if self._is_path_up(node):
            return None
        event = self._path_events.get(node.name)
        if event is None or event.triggered:
            event = self._path_events[node.name] = self._world.env.event()
        return event

    def leave(self, node: NodeState) -> Generator[simpy.Event, Any, Any]:
        """Take a node away for good."""
        yield self._world.env.timeout(0)
        self._node_down(node.name, "left for good")

    def restart(self, node: NodeState) -> Generator[simpy.Event, Any, Any]:
        """Let a SuperNode crash and its service start again."""
        yield self._world.env.timeout(0)
        self._node_down(node.name, "crash")
        self._node_up(node.name)

    def _replay(self, outages: list[Outage]) -> Generator[simpy.Event, Any, Any]:
        env = self._world.env
        changes = [(o.start_s, 0, o.target, o.cause) for o in outages]
        changes += [(o.end_s, 1, o.target, o.cause) for o in outages]
        for at_s, is_end, target, cause in sorted(changes):
            if at_s > env.now:
                yield env.timeout(at_s - env.now)
            is_link = target in self._world.plan.link_by_name
            if is_end:
                (self._link_up if is_link else self._node_up)(target)
            else:
                (self._link_down if is_link else self._node_down)(target, cause)

    # -- nodes --------------------------------------------------------------------------------------------------

    def _node_down(self, name: str, cause: str) -> None:
        self._down[name] += 1
        if self._down[name] > 1:
            return
        world = self._world
        world.log.append(world.now_s, "node_down", node=name, note=cause)
        self._set_streams(name)
        node = world.nodes.get(name)
        if node is None:
            return
        node.is_up, node.has_app, node.lanes_used_s = False, False, -math.inf
        self._world.presence.lost(node)
        if node.serving is not None:
            node.serving.interrupt(cause)

    def _node_up(self, name: str) -> None:
        self._down[name] -= 1
        if self._down[name] > 0:
            return
        self._world.log.append(self._world.now_s, "node_up", node=name)
        self._set_streams(name)
        if name in self._world.nodes:
            self._world.env.process(self._boot(self._world.nodes[name]))

    def _boot(self, node: NodeState) -> Generator[simpy.Event, Any, Any]:
        """From power-on until the SuperNode runs again and registers."""
        world = self._world
        boot_s = node.node.device.boot_s if node.node.device else None
        yield world.env.timeout(boot_s or 0.0)
        while world.presence.is_refused(node):
            yield world.env.timeout(SERVICE_RESTART_S)
        if self._down[node.name] > 0 or node.is_up:
            return  # power went again while it booted, or an earlier boot finished
        node.is_up = True
        node.poll_anchor_s = world.now_s
        if self._is_path_up(node):
            world.presence.found(node, is_started=True)
        world.wake(node)

    # -- links --------------------------------------------------------------------------------------------------

    def _link_down(self, name: str, cause: str) -> None:
        self._down[name] += 1
        if self._down[name] > 1:
            return
        self._log_link(name, cause, is_up=False)
        self._world.transfers.set_link_up(name, False)
        for node in self._clients_by_link[name]:
            self._world.presence.lost(node)

    def _link_up(self, name: str) -> None:
        self._down[name] -= 1
        if self._down[name] > 0:
            return
        self._world.transfers.set_link_up(name, True)
        self._log_link(name, "up again", is_up=True)
        for node in self._clients_by_link[name]:
            if not self._is_path_up(node):
                continue
            if node.is_up:
                self._world.presence.found(node, is_started=False)
            event = self._path_events.get(node.name)
            if event is not None and not event.triggered:
                event.succeed()

    def _log_link(self, name: str, cause: str, *, is_up: bool) -> None:
        world = self._world
        for direction in (UP, DOWN):
            rate = world.transfers.links.rate_bps(name, direction, world.now_s) if is_up else 0.0
            world.log.append(
                world.now_s, "link_changed", link=name, peer=direction, value=rate, unit="bit/s", note=cause
            )

    def _is_path_up(self, node: NodeState) -> bool:
        return all(self._down[hop.link] <= 0 for hop in node.up_hops)

    # -- sensor streams -----------------------------------------------------------------------------------------

    def _start_streams(self) -> None:
        for node in self._world.plan.nodes:
            for stream in node.streams:
                self._streams_on[stream.link].append((node.name, stream))
                for end in (node.name, stream.peer):
                    self._stream_links_of[end].add(stream.link)
        for link in self._streams_on:
            self._set_stream(link)

    def _set_streams(self, end: str) -> None:
        """Stop or restart the streams of a node that went down or came back."""
        for link in sorted(self._stream_links_of[end]):
            self._set_stream(link)

    def _set_stream(self, link: str) -> None:
        """Set the load of all streams on a link of which both ends are up; sensors stand at its leaf."""
        flowing = [
            stream.rate_bps
            for sensor, stream in self._streams_on[link]
            if self._down[sensor] <= 0 and self._down[stream.peer] <= 0
        ]
        self._world.transfers.set_background(link, "up", sum(flowing))
