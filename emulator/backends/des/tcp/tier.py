"""Which transfer model a run gets: packets where their number is affordable, else rates; never without saying so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from emulator.backends.des.transfer import MSS_BYTES
from emulator.network_settings import ModelName
from emulator.plan import Plan

Tier = Literal["packet", "fluid"]

HANDSHAKE_EVENTS: Final = 12
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

    Reckons with one such message each way for every client and round. A congestion control other than CUBIC, named by
    the scenario or a link, needs packets.
    """
    settings = plan.network
    times = 2 * (plan.app.rounds or UNKNOWN_ROUNDS)
    named = settings.special_controls(link.congestion_control for link in plan.links)
    return choose(
        [(message_bytes, len(plan.routes[client.name]), times) for client in plan.clients],
        budget_events=settings.packet_budget,
        wanted=settings.model,
        needs_packets=f"only packets show {named}" if named else "",
    )
