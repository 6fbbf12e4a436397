"""Rows of the table ``links``: what each direction of each link carried, how full it was, what it cost."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from emulator.metrics.capacity import capacity_bits, link_down_spans
from emulator.metrics.history import History
from emulator.metrics.spans import length
from emulator.plan import DOWN, UP, Direction, Link, Plan


def link_rows(history: History, plan: Plan) -> list[dict[str, Any]]:
    """Return two rows per link, up then down, in the plan's order."""
    stalled: dict[tuple[str, str], float] = defaultdict(float)
    for transfer in history.transfers:
        for start, end, cause in transfer.stalls:
            stalled[(cause, UP if transfer.direction == "upload" else DOWN)] += end - start
    return [_row(link, direction, stalled, history, plan) for link in plan.links for direction in (UP, DOWN)]


def _row(
    link: Link, direction: Direction, stalled: dict[tuple[str, str], float], history: History, plan: Plan
) -> dict[str, Any]:
    loads = {traffic: history.loads.get((link.name, direction, traffic), 0) for traffic in ("flows", "streams")}
    carried = sum(loads.values())
    capacity = capacity_bits(link, direction, plan, history)
    return {
        "link": link.name,
        "direction": direction,
        "leaf": link.leaf,
        "root": link.root,
        "profile": link.profile,
        "bytes": carried,
        "flow_bytes": loads["flows"],
        "stream_bytes": loads["streams"],
        "utilisation": 8 * carried / capacity if capacity > 0 else None,
        "down_s": length(link_down_spans(link, direction, plan, history)),
        "stalled_s": stalled.get((link.name, direction), 0.0),
        "cost_usd": None if link.tariff_usd_per_gb is None else link.tariff_usd_per_gb * carried / 1e9,
        "energy_j": None if link.tx_j_per_byte is None else link.tx_j_per_byte * carried,
    }
