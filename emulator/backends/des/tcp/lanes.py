"""The pipes of a network's links: one for each direction, and of a wide link one for each branch that it joins."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from typing import Final, NamedTuple

from emulator.backends.des.links import Links
from emulator.backends.des.tcp.connection import Route
from emulator.backends.des.tcp.pipe import Pipe, Transmitter, requeue, stages
from emulator.backends.des.timeline import DIRECTIONS, Medium
from emulator.backends.des.transfer import GOODPUT, PACKET_BYTES
from emulator.plan import Direction, Hop, way_back
from emulator.rng import derive_seed

WIDE: Final = 2.0
"""A link is wide that carries so many times what its branches can: a window that doubles sends two segments for each one
acknowledged, so that no queue forms even while all branches are in slow start."""


class Way(NamedTuple):
    """A path: its pipes there and back, and how they are split into stages."""

    pipes: tuple[Pipe, ...]
    route: Route


class Lanes:
    """All pipes in use, by link, direction and branch.

    On a wide link the packets of different branches never wait for one another, so that each branch (the nearest link on the
    leaf's side that is not wide) gets a lane of the link's full rate. What is left out: some microseconds of waiting, and
    initial windows of many branches that meet in the same moment. Where a background stream leaves less than is wide, the
    lanes divide what is left by the rates of their branches.

    Args:
        links: All links.
        seed: Of the losses; each lane has its own stream.
        queue_bytes: Buffer of links that give none.
        routes: Paths that will be used; others find no wide link.
    """

    def __init__(self, links: Links, *, seed: int, queue_bytes: float, routes: Iterable[Sequence[Hop]]) -> None:
        self._links = links
        self._seed = seed
        self._queue_bytes = queue_bytes
        self._pipes: dict[str, dict[tuple[Direction, str], Pipe]] = {}
        self._ways: dict[tuple[Hop, ...], Way] = {}
        self._through: defaultdict[Pipe, list[tuple[Hop, ...]]] = defaultdict(list)
        self._counted: dict[Pipe, int] = {}
        self._wide = wide_links(links, routes)

    def way(self, path: tuple[Hop, ...]) -> Way:
        """Return the way along a path that is ``open``."""
        return self._ways[path]

    def open(self, path: tuple[Hop, ...]) -> bool:
        """Make a path's pipes and note which feeds which; return whether other paths were split anew by that."""
        if path in self._ways:
            return False
        forward, back = self._along(path), self._along(way_back(path))
        met: dict[tuple[Hop, ...], None] = {}
        for pipes in (forward, back):
            for feeder, pipe in zip([None, *pipes], pipes, strict=False):
                was_merging = pipe.is_merging
                pipe.feeders.add(feeder)
                if pipe.is_merging and not was_merging:
                    met.update(dict.fromkeys(self._through[pipe]))
        for known in (*met, path):
            pipes = self._along(known) + self._along(way_back(known))
            self._ways[known] = Way(pipes, Route(stages(pipes[: len(known)]), stages(pipes[len(known) :])))
        for pipe in forward + back:
            self._through[pipe].append(path)
        return bool(met)

    def _along(self, path: Sequence[Hop]) -> tuple[Pipe, ...]:
        return tuple(self._lane(hop, branch) for hop, branch in _with_branches(path, self._wide))

    def pipe(self, link: str, direction: Direction) -> Pipe:
        """Return one direction of a link in use that is not wide."""
        return self._pipes[link][direction, ""]

    def of(self, link: str) -> list[Pipe]:
        """Return the pipes of a link, none if it was never used."""
        return list(self._pipes.get(link, {}).values())

    def sent_bytes(self, link: str, direction: Direction, now_ns: int) -> int:
        """Return the bytes one direction of a link began to send since the last call."""
        fresh = 0
        for (way, _), pipe in self._pipes.get(link, {}).items():
            if way == direction:
                sent = pipe.sent_bytes(now_ns)
                fresh += sent - self._counted.get(pipe, 0)
                self._counted[pipe] = sent
        return fresh

    def follow(self, medium: Medium) -> None:
        """Give a link's pipes its present rates, less what background streams take."""
        for (direction, branch), pipe in self._pipes[medium.name].items():
            state, left = medium.state(direction), medium.resources[direction].capacity
            rate_bps = state.rate_bps * left if medium.is_shared else left / GOODPUT
            if branch:
                rate_bps *= self._share(medium.name, direction, branch, rate_bps)
            pipe.set_state(rate_bps, state.delay_s, state.loss, state.jitter_s)

    def changed(self, medium: Medium, now_ns: int, *, is_cut: bool) -> None:
        """Take over a link's new state; a cut loses what waits."""
        pipes = self.of(medium.name)
        if is_cut:
            for pipe in pipes:
                pipe.cut(now_ns)
        self.follow(medium)
        for group in [pipes] if medium.is_shared else [[pipe] for pipe in pipes]:
            requeue(group, now_ns)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _lane(self, hop: Hop, branch: str) -> Pipe:
        branch = branch if hop.link in self._wide else ""
        lanes = self._pipes.setdefault(hop.link, {})
        if (hop.direction, branch) not in lanes:
            self._add(self._links[hop.link], branch)
        return lanes[hop.direction, branch]

    def _add(self, medium: Medium, branch: str) -> None:
        shared = Transmitter(is_shared=True) if medium.is_shared else None
        limit = max(1, round((medium.queue_bytes or self._queue_bytes) / PACKET_BYTES))
        for direction in DIRECTIONS:
            names = [medium.name, direction, branch] if branch else [medium.name, direction]
            draw = (
                random.Random(derive_seed(self._seed, "loss", *names)).random if medium.has_chance(direction) else None
            )
            self._pipes[medium.name][direction, branch] = Pipe(
                " ".join(names), 0.0, 0.0, limit=limit, draw=draw, transmitter=shared
            )
        self.follow(medium)

    def _share(self, link: str, direction: Direction, branch: str, left_bps: float) -> float:
        inflow_bps = self._wide[link][direction]
        if left_bps >= WIDE * inflow_bps:
            return 1.0
        return min(1.0, self._links[branch].most_bps(direction) / inflow_bps)


def wide_links(links: Links, routes: Iterable[Sequence[Hop]]) -> dict[str, dict[Direction, float]]:
    """Return the wide links, and what their branches can bring to each of their directions (bit/s).

    Behind a wide link its branches stay apart, so that what it leads to is looked at anew until nothing is found any more.
    """
    routes = [tuple(route) for route in routes]
    wide: dict[str, dict[Direction, float]] = {}
    while True:
        branches: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for route in routes:
            for hop, branch in _with_branches(route, wide):
                if hop.link not in wide:
                    branches[hop.link][branch] = None
        fresh = {}
        for link, names in branches.items():
            if links[link].is_shared or "" in names:
                continue
            inflow_bps = {d: sum(links[name].most_bps(d) for name in names) for d in DIRECTIONS}
            if all(links[link].least_bps(d) >= WIDE * inflow_bps[d] for d in DIRECTIONS):
                fresh[link] = inflow_bps
        if not fresh:
            return wide
        wide |= fresh


def _with_branches(path: Sequence[Hop], wide: Container[str]) -> list[tuple[Hop, str]]:
    """Return each hop with the nearest link on the leaf's side that is not wide, empty where there is none."""
    pairs: list[tuple[Hop, str]] = []
    is_up = not path or path[0].direction == "up"
    branch = ""
    for hop in path if is_up else reversed(path):
        pairs.append((hop, branch))
        if hop.link not in wide:
            branch = hop.link
    return pairs if is_up else pairs[::-1]
