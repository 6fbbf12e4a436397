"""What is done with faults once drawn: held to the contract, and joined per target."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

from emulator.hostility import Hostility
from emulator.models.failures.view import View
from emulator.plan import Hop, Link, Outage, PlacedFault

MOST_FAULTS: Final = 200_000
"""More than this from one block is a mistake in a unit, or a model without an end."""


def take(faults: Iterable[Outage | PlacedFault | Hostility], view: View) -> list[Outage | PlacedFault | Hostility]:
    """Return what a failure model yields, held to its contract (``check_drawn``) and to ``MOST_FAULTS``.

    Raises:
        ValueError: It breaks either.
    """
    drawn = list(islice(faults, MOST_FAULTS + 1))
    if len(drawn) > MOST_FAULTS:
        raise ValueError(
            f"gives more than {MOST_FAULTS:,} faults up to the horizon of {view.horizon_s / 3600:g} h; make them "
            "rarer, name fewer targets, or shorten clock.horizon"
        )
    check_drawn(drawn, view)
    return drawn


def check_drawn(drawn: Iterable[Outage | PlacedFault | Hostility], view: View) -> None:
    """Hold a failure model to its contract; a plug-in from outside is not trusted to keep it.

    Raises:
        ValueError: An unknown target, a start before 0 s or out of order, no length, or a round before 1.
    """
    nodes = {node.name for node in view.nodes}
    targets = nodes | {link.name for link in view.links}
    last_s = 0.0
    for fault in drawn:
        if isinstance(fault, PlacedFault):
            if fault.node not in nodes or fault.round < 1:
                raise ValueError(f"the failure model gave a fault at no node, or before round 1: {fault}")
            continue
        if isinstance(fault, Hostility):
            if fault.node not in nodes or fault.from_round < 1:
                raise ValueError(f"the failure model made hostile no node, or before round 1: {fault}")
            continue
        if fault.target not in targets:
            raise ValueError(f"the failure model gave an outage of an unknown target: {fault}")
        if not last_s <= fault.start_s < fault.end_s:
            raise ValueError(f"the failure model gave an outage before 0 s, out of order, or without length: {fault}")
        last_s = fault.start_s


def spread_to_links(
    outages: Iterable[Outage], links: Iterable[Link], routes: Mapping[str, tuple[Hop, ...]]
) -> list[Outage]:
    """Return ``outages`` and, for each node that others' traffic passes or ends at, the same outage of its links.

    A router, a gateway that relays for its neighbours, or the server forwards nothing while it is down: the links next
    to it on the routes of other clients are down with it. A client's outage needs no more where it only speaks for
    itself. ``routes`` are those of the clients: what a sensor sends ends where its client is down.
    """
    by_name = {link.name: link for link in links}
    behind: dict[str, set[str]] = defaultdict(set)
    for client, hops in routes.items():
        for hop in hops:
            for end in {by_name[hop.link].leaf, by_name[hop.link].root} - {client}:
                behind[end].add(hop.link)
    found = list(outages)
    for outage in list(found):
        for link in sorted(behind.get(outage.target, ())):
            found.append(replace(outage, target=link, cause=f"{outage.target}: {outage.cause}"))
    return found


def close_outages(outages: Iterable[Outage], horizon_s: float) -> list[Outage]:
    """Return ``outages`` with those that never end cut off at the horizon, which a run may not pass."""
    return [replace(outage, end_s=horizon_s) if math.isinf(outage.end_s) else outage for outage in outages]


def join_outages(outages: Iterable[Outage]) -> list[Outage]:
    """Return ``outages`` in order of time, with those of one target that overlap or touch joined into one.

    A backend sees each target go down and come up in turn; the causes of joined outages are named together.
    """
    joined: dict[str, list[Outage]] = {}
    for outage in sorted(outages):
        of_target = joined.setdefault(outage.target, [])
        if of_target and outage.start_s <= of_target[-1].end_s:
            last = of_target[-1]
            causes = last.cause.split(" + ")
            cause = last.cause if outage.cause in causes else f"{last.cause} + {outage.cause}"
            of_target[-1] = replace(last, end_s=max(last.end_s, outage.end_s), cause=cause)
        else:
            of_target.append(outage)
    return sorted(outage for of_target in joined.values() for outage in of_target)
