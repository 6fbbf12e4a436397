"""Rows of the table ``links``: what each direction of each link carried, how full it was, what it cost."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from emulator.metrics.capacity import capacity_bits, link_down_spans
from emulator.metrics.history import History
from emulator.metrics.loads import Loads, split_loads
from emulator.metrics.spans import Span, length, overlap_s
from emulator.plan import DOWN, UP, Direction, Link, Plan


def link_rows(history: History, plan: Plan) -> list[dict[str, Any]]:
    """Return two rows per link, up then down, in the plan's order."""
    loads, stalls = split_loads(history, plan), _stalls(history, plan)
    return [
        _row(link, direction, loads, stalls.get((link.name, direction), []), history, plan)
        for link in plan.links
        for direction in (UP, DOWN)
    ]


def _stalls(history: History, plan: Plan) -> dict[tuple[str, str], list[Span]]:
    """Return the spans in which transfers stood still, under every link and direction these transfers cross."""
    found: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for transfer in history.transfers:
        if transfer.stalls:
            is_upload = transfer.direction == "upload"
            spans = [(start, end) for start, end, _ in transfer.stalls]
            for hop in plan.routes.get(transfer.node if is_upload else transfer.peer, ()):
                found[hop.link, hop.direction if is_upload else _back(hop.direction)] += spans
    return found


def _back(direction: Direction) -> Direction:
    return DOWN if direction == UP else UP


def _row(
    link: Link, direction: Direction, loads: Loads, stalls: list[Span], history: History, plan: Plan
) -> dict[str, Any]:
    flows, streams = loads.get((link.name, direction), (0, 0))
    carried = flows + streams
    capacity = capacity_bits(link, direction, plan, history)
    down = link_down_spans(link, direction, plan, history)
    return {
        "link": link.name,
        "direction": direction,
        "leaf": link.leaf,
        "root": link.root,
        "profile": link.profile,
        "bytes": carried,
        "flow_bytes": flows,
        "stream_bytes": streams,
        "utilisation": 8 * carried / capacity if capacity > 0 else None,
        "down_s": length(down),
        "stalled_s": sum(overlap_s(down, stall) for stall in stalls),
        "cost_usd": None if link.tariff_usd_per_gb is None else link.tariff_usd_per_gb * carried / 1e9,
        "energy_j": None if link.tx_j_per_byte is None else link.tx_j_per_byte * carried,
    }
