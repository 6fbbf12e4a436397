"""What is asked of a shaper, and the ``tc`` commands of the kernel's own. Pure: nothing is run here.

A link direction is shaped on the egress of the bridge in the middle of its wire, one hop behind its sender: there TCP
sees a full queue as the network's and not as its own device's. ``netem`` does rate, delay, jitter and loss in one
place; its ``limit`` counts packets, and the packets under way in the delay line count too, so it is the queue's
length plus one bandwidth-delay product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from emulator.backends.live.lane import DEFAULT_QUEUE_BYTES, merge_spans
from emulator.backends.live.network import MTU_BYTES, Wire
from emulator.plan import Link, LinkState, Plan

Shaper = Literal["userspace", "netem"]
SHAPERS: Final = ("auto", "userspace", "netem")
ETHERNET_BYTES: Final = 14
"""Frame header that the kernel counts and a plan's rate (of the IP layer) does not."""


@dataclass(frozen=True)
class Change:
    """Arguments of one ``tc`` command that gives ``interface`` its state from ``at_s`` on."""

    at_s: float
    interface: str
    arguments: tuple[str, ...]


def down_spans(plan: Plan) -> Mapping[str, tuple[tuple[float, float], ...]]:
    """Return for each link when nothing passes: its own outages, and those of the nodes at its ends."""
    spans: dict[str, list[tuple[float, float]]] = {link.name: [] for link in plan.links}
    by_node: dict[str, list[str]] = {}
    for link in plan.links:
        for end in (link.leaf, link.root):
            by_node.setdefault(end, []).append(link.name)
    for outage in plan.outages:
        for name in [outage.target] if outage.target in spans else by_node.get(outage.target, []):
            spans[name].append((outage.start_s, outage.end_s))
    return {name: merge_spans(each) for name, each in spans.items()}


def refused(plan: Plan, shaper: Shaper) -> list[str]:
    """Return what ``shaper`` cannot honour in ``plan``, as sentences."""
    if shaper == "userspace":
        return []
    return [
        f"link {link.name!r} is half duplex, which netem cannot do (its two directions have a queue each); "
        "use --shaper userspace"
        for link in plan.links
        if link.is_shared_medium
    ]


def netem_changes(wire: Wire, spans: tuple[tuple[float, float], ...]) -> list[Change]:
    """Return the commands that shape a wire over time, in order; those at 0 s set it up."""
    changes: list[Change] = []
    directions = ((port_to_root(wire), wire.link.up), (port_to_leaf(wire), wire.link.down))
    for interface, states in directions:
        times = sorted({0.0, *(s.from_s for s in states), *(t for span in spans for t in span)})
        for at_s in times:
            verb = "add" if at_s == 0 else "change"
            is_down = any(start_s <= at_s < end_s for start_s, end_s in spans)
            state = next(s for s in reversed(states) if s.from_s <= at_s or s is states[0])
            head = ("qdisc", verb, "dev", interface, "root", "netem")
            changes.append(Change(at_s, interface, head + netem_arguments(state, wire.link, is_down=is_down)))
    return sorted(changes, key=lambda change: change.at_s)


def netem_arguments(state: LinkState, link: Link, *, is_down: bool) -> tuple[str, ...]:
    """Return netem's parameters for one state; a link that is down loses everything."""
    queue_bytes = link.queue_bytes or DEFAULT_QUEUE_BYTES
    in_flight_bytes = state.rate_bps / 8 * (state.delay_s + 4 * state.jitter_s)
    limit = max(2, math.ceil((queue_bytes + in_flight_bytes) / MTU_BYTES))
    arguments = ["limit", str(limit), "delay", _microseconds(state.delay_s)]
    if state.jitter_s > 0:
        arguments += [_microseconds(state.jitter_s), "distribution", "normal"]
    loss = 1.0 if is_down or state.rate_bps <= 0 else state.loss
    if loss > 0:
        arguments += ["loss", f"{100 * loss:.7g}%"]
    if state.rate_bps > 0:
        arguments += ["rate", f"{round(state.rate_bps)}bit", str(-ETHERNET_BYTES)]
    return tuple(arguments)


def port_to_leaf(wire: Wire) -> str:
    """Return the bridge's port towards the leaf host; the down direction leaves by it."""
    return f"{wire.name}d"


def port_to_root(wire: Wire) -> str:
    """Return the bridge's port towards the root host; the up direction leaves by it."""
    return f"{wire.name}u"


def _microseconds(seconds: float) -> str:
    return f"{round(seconds * 1e6)}us"
