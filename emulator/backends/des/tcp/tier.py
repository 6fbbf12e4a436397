"""Which transfer model a run gets: packets where their number is affordable, else rates; never without saying so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from emulator.backends.des.transfer import MSS_BYTES

Tier = Literal["packet", "fluid"]

DEFAULT_BUDGET_EVENTS: Final = 50_000_000
"""Some five minutes of one core at the 5 to 6 microseconds that one event takes."""
HANDSHAKE_EVENTS: Final = 12


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
    transfers: Iterable[tuple[float, int]], *, wanted: Tier | None = None, budget_events: int = DEFAULT_BUDGET_EVENTS
) -> Choice:
    """Return the tier for a run that will make ``transfers`` (payload bytes, links crossed).

    ``wanted`` overrides the budget. One tier serves a whole run, since transfers of two tiers could not share a link.
    """
    events = sum(estimate_events(size_bytes, links) for size_bytes, links in transfers)
    if wanted is not None:
        return Choice(wanted, events, f"{wanted} transfer model asked for (packet level: about {events} events)")
    if events <= budget_events:
        return Choice("packet", events, f"packet level: about {events} events, at most {budget_events} allowed")
    return Choice("fluid", events, f"fluid: the packet level would take about {events} events, {budget_events} allowed")
