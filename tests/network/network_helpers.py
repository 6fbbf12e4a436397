"""Links, and a loop that drives the engine to its end."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.backends.des.network import FlowEvent, Network
from emulator.plan import Hop, Link, LinkState


def link(
    name: str,
    rate_bps: float = 8e6,
    delay_s: float = 0.02,
    *,
    down_bps: float | None = None,
    loss: float = 0.0,
    is_shared: bool = False,
    states: Sequence[LinkState] | None = None,
) -> Link:
    up = tuple(states) if states else (LinkState(0.0, rate_bps, delay_s, 0.0, loss),)
    down = tuple(states) if states else (LinkState(0.0, down_bps or rate_bps, delay_s, 0.0, loss),)
    return Link(name, "leaf", "root", "custom", up, down, is_shared_medium=is_shared)


def up(*names: str) -> list[Hop]:
    return [Hop(name, "up") for name in names]


def run_out(network: Network) -> list[FlowEvent]:
    """Drive the engine until nothing more happens by itself."""
    events: list[FlowEvent] = []
    for _ in range(200_000):
        next_s = network.next_event_s()
        if next_s is None:
            return events
        events += network.advance(next_s)
    raise AssertionError("the engine does not come to an end")


def finish_times(events: list[FlowEvent]) -> dict[str, float]:
    return {event.flow_id: event.t_s for event in events if event.kind == "finished"}
