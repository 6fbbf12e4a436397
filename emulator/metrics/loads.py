"""Bytes per link and direction, told apart: training messages and sensor streams."""

from __future__ import annotations

from collections import defaultdict

from emulator.metrics.history import History
from emulator.plan import Plan

Loads = dict[tuple[str, str], tuple[int, int]]
"""(link, direction) to (bytes of messages, bytes of streams)."""


def split_loads(history: History, plan: Plan) -> Loads:
    """Return the bytes of each link and direction.

    Rows noted ``flows`` or ``streams`` say what they are. Others count as streams on links that only sensors use, and
    as messages on all others: there the streams' share is not told apart.
    """
    routed = {hop.link for client in plan.clients for hop in plan.routes.get(client.name, ())}
    streamed = {stream.link for node in plan.nodes for stream in node.streams}
    flows: dict[tuple[str, str], int] = defaultdict(int)
    streams: dict[tuple[str, str], int] = defaultdict(int)
    for (link, direction, note), count in history.loads.items():
        is_stream = note == "streams" or (note != "flows" and link in streamed and link not in routed)
        (streams if is_stream else flows)[link, direction] += count
    return {key: (flows.get(key, 0), streams.get(key, 0)) for key in flows.keys() | streams.keys()}
