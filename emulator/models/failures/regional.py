"""Outages that sites of a region have in common: a feeder, a fibre, a storm; and their own besides."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence

from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.renewal import renewals
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams


def regional(
    view: View,
    streams: Streams,
    *,
    sites: Names | None = None,
    links: Names | None = None,
    common_mtbf: str,
    common_mttr: str,
    hit: str | float = "100 %",
    own_mtbf: str | None = None,
    own_mttr: str | None = None,
    cause: str = "regional outage",
    own_cause: str = "power cut",
) -> Iterator[Outage]:
    """Yield the outages of one region: common ones that hit its members at once, and each member's own.

    Marshall and Olkin's common-cause model: shocks come after ``Exp(common_mtbf)`` and last ``Exp(common_mttr)``; a
    member is hit by each with probability ``hit``. Its own outages are an independent process of ``own_mtbf`` and
    ``own_mttr``. A member is a site (all its nodes that run on mains) or a link. A block is one region; write one block
    for each. The shocks have one stream, every member has its own, so that further members change nothing.

    Args:
        view: The network.
        streams: Random streams of this block.
        sites: Names or patterns of the region's sites.
        links: Names or patterns of the region's links.
        common_mtbf: Mean time between the end of a common outage and the start of the next.
        common_mttr: Mean length of a common outage.
        hit: Probability that a common outage reaches a member.
        own_mtbf: Mean time up between a member's own outages; none without it.
        own_mttr: Mean length of a member's own outage.
        cause: For people: common outages.
        own_cause: For people: own outages.

    Raises:
        ParameterError: No such site or link or none at all, a time not above 0, one of ``own_mtbf`` and ``own_mttr``.

    Leaves out repair crews: all members of a common outage come back at once.
    """
    reader = Reader()
    if not sites and not links:
        reader.refuse("", "names no member of the region; give sites: or links:")
    members = {name: view.mains_nodes(name) for name in reader.names(view.match_sites, "sites", sites)}
    members.update({name: [name] for name in reader.names(view.match_links, "links", links)})
    common = reader.value("common_mtbf", common_mtbf), reader.value("common_mttr", common_mttr)
    share = reader.value("hit", hit, "fraction", most=1.0)
    own: tuple[float, float] | None = None
    if (own_mtbf is None) != (own_mttr is None):
        reader.refuse("own_mttr" if own_mttr is None else "own_mtbf", "give own_mtbf and own_mttr, or neither")
    elif own_mtbf is not None:
        own = reader.value("own_mtbf", own_mtbf), reader.value("own_mttr", own_mttr)
    reader.done()
    shocks = _renewals("", common, view, streams=streams, stream=("shocks",), cause=cause)
    parts = [_hits(shocks, members, share, streams=streams)]
    if own is not None:
        for name, nodes in members.items():
            drawn = _renewals(name, own, view, streams=streams, stream=("own", name), cause=own_cause)
            parts.append(_spread(drawn, nodes))
    yield from heapq.merge(*parts)


def _renewals(
    name: str, means: tuple[float, float], view: View, *, streams: Streams, stream: tuple[str, ...], cause: str
) -> Iterator[Outage]:
    rng = streams(*stream)
    up_s, down_s = means
    yield from renewals(
        name, lambda: rng.exponential(up_s), lambda: rng.exponential(down_s), horizon_s=view.horizon_s, cause=cause
    )


def _hits(
    shocks: Iterator[Outage], members: Mapping[str, list[str]], share: float, *, streams: Streams
) -> Iterator[Outage]:
    for number, shock in enumerate(shocks):
        reached = [
            target
            for name, targets in members.items()
            if share >= 1 or streams("hit", number, name).random() < share
            for target in targets
        ]
        yield from (Outage(shock.start_s, shock.end_s, target, shock.cause) for target in sorted(reached))


def _spread(outages: Iterator[Outage], nodes: Sequence[str]) -> Iterator[Outage]:
    for outage in outages:
        yield from (Outage(outage.start_s, outage.end_s, node, outage.cause) for node in nodes)
