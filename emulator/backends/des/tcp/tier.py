"""Which transfer model a run gets: packets where their number is affordable, else rates; never without saying so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from emulator.backends.des.links import Links
from emulator.backends.des.tcp.lanes import wide_links
from emulator.backends.des.transfer import MSS_BYTES
from emulator.network_settings import ModelName
from emulator.plan import Link, Plan

Tier = Literal["packet", "fluid"]

HANDSHAKE_EVENTS: Final = 12
SLOW_START_SHARE: Final = 1.9
"""A message so many times a buffer cannot overflow it: while the window doubles, half of what is sent waits."""
UNKNOWN_ROUNDS: Final = 10
"""Rounds reckoned with where the app does not say how many it takes."""


class Choice(NamedTuple):
    """A tier, the events the packet level would take, and the reason in words for the report."""

    tier: Tier
    events: int
    reason: str


def estimate_events(size_bytes: float, links: int) -> int:
    """Return an upper bound of a loss-free transfer's events over ``links`` links.

    Every data segment and every second ACK costs at most one event per link; retransmissions are left out.
    """
    segments = -(-size_bytes // MSS_BYTES)
    return HANDSHAKE_EVENTS * links + int(1.5 * segments * links)


def choose(
    transfers: Iterable[tuple[float, int, int]],
    *,
    budget_events: int,
    wanted: ModelName = "auto",
    needs_packets: str = "",
) -> Choice:
    """Return the tier for a run that will make ``transfers`` (payload bytes, links crossed, times).

    ``wanted`` overrides the budget, and so does ``needs_packets``, what the run asks for that rates cannot show. One tier
    serves a whole run, since transfers of two tiers could not share a link.
    """
    events = sum(times * estimate_events(size_bytes, links) for size_bytes, links, times in transfers)
    about = f"about {events:,} events at the packet level"
    if wanted != "auto":
        return Choice(wanted, events, f"asked for ({about})")
    if needs_packets:
        return Choice("packet", events, f"{needs_packets} ({about})")
    if events <= budget_events:
        return Choice("packet", events, f"{about}, {budget_events:,} allowed")
    return Choice("fluid", events, f"{about}, only {budget_events:,} allowed")


def choose_for_run(plan: Plan, message_bytes: float) -> Choice:
    """Return the tier of a run whose first message has ``message_bytes``.

    Reckons with one such message each way for every client and round. Of clients that have their paths to themselves, without
    loss or jitter, only one of each kind of path is reckoned with: the outcome is remembered (see ``Solos``). A congestion
    control other than CUBIC, named by the scenario or a link, needs packets.
    """
    settings = plan.network
    times = 2 * (plan.app.rounds or UNKNOWN_ROUNDS)
    named = settings.special_controls(link.congestion_control for link in plan.links)
    kinds: set[object] = set()
    transfers = []
    shared = _shared_links(plan)
    for client in plan.clients:
        route = plan.routes[client.name]
        kind = _kind([plan.link_by_name[hop.link] for hop in route], shared, plan, message_bytes)
        if kind is None:
            transfers.append((message_bytes, len(route), times))
        elif kind not in kinds:
            kinds.add(kind)
            transfers.append((message_bytes, len(route), 2))
    return choose(
        transfers,
        budget_events=settings.packet_budget,
        wanted=settings.model,
        needs_packets=f"only packets show {named}" if named else "",
    )


def _shared_links(plan: Plan) -> set[str]:
    """Return the links on which packets of several clients meet."""
    routes = [plan.routes[client.name] for client in plan.clients]
    users = Counter(hop.link for route in routes for hop in route)
    shared = {link for link, count in users.items() if count > 1}
    return shared - set(wide_links(Links(plan.links), routes)) if shared else shared


def _kind(links: Sequence[Link], shared: set[str], plan: Plan, size_bytes: float) -> object:
    """Return what decides how long a message takes over ``links``; None where it is not the same every time."""
    for link in links:
        room_bytes = SLOW_START_SHARE * (link.queue_bytes or plan.network.queue_bytes)
        if link.name in shared or link.is_shared_medium or size_bytes > room_bytes:
            return None
        if any(len(states) > 1 or states[0].loss or states[0].jitter_s for states in (link.up, link.down)):
            return None
    return tuple((link.up, link.down, link.queue_bytes) for link in links)
