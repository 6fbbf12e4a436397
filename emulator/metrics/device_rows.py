"""Rows of the table ``devices``: how long each node was on, busy, sending and receiving, and what it cost in joules."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from emulator.metrics.history import History
from emulator.metrics.loads import Loads, split_loads
from emulator.metrics.participation import round_fates
from emulator.metrics.spans import Span, length, subtract
from emulator.models.energy import energy_j
from emulator.plan import Node, Plan


@dataclass
class _Use:
    """What one node did."""

    jobs: list[Span] = field(default_factory=list)
    sending: list[Span] = field(default_factory=list)
    receiving: list[Span] = field(default_factory=list)
    sent: int = 0
    received: int = 0
    jobs_lost: int = 0


def device_rows(history: History, plan: Plan) -> list[dict[str, Any]]:
    """Return one row per node, in the plan's order."""
    uses = _uses(history)
    joined = _rounds_joined(history, plan)
    loads = split_loads(history, plan)
    return [_row(node, uses[node.name], joined[node.name], history, _streams(node, loads, plan)) for node in plan.nodes]


def _uses(history: History) -> dict[str, _Use]:
    uses: dict[str, _Use] = defaultdict(_Use)
    for job in history.jobs:
        uses[job.node].jobs.append(job.span)
        uses[job.node].jobs_lost += job.outcome == "lost"
    for transfer in history.transfers:
        moving = subtract([transfer.span], [(start, end) for start, end, _ in transfer.stalls])
        uses[transfer.node].sending += moving
        uses[transfer.peer].receiving += moving
        uses[transfer.node].sent += transfer.delivered_bytes or 0
        uses[transfer.peer].received += transfer.delivered_bytes or 0
    return uses


def _rounds_joined(history: History, plan: Plan) -> Counter[str]:
    by_round = defaultdict(list)
    for message in history.messages.values():
        by_round[message.round].append(message)
    joined: Counter[str] = Counter()
    for number in history.rounds:
        fates = round_fates(number, history, plan, by_round[number])
        joined.update(node for node, (fate, _) in fates.items() if fate == "replied")
    return joined


def _row(node: Node, use: _Use, joined: int, history: History, streams: tuple[int, float | None]) -> dict[str, Any]:
    down_s = length(history.down_spans(node.name))
    up_s, busy_s = history.end_s - down_s, length(use.jobs)
    tx_s, rx_s = length(use.sending), length(use.receiving)
    idle_s = max(0.0, up_s - busy_s)
    stream_bytes, stream_j = streams
    energy = None
    if node.device is not None:
        energy = energy_j(node.device, busy_s=busy_s, idle_s=idle_s, tx_s=tx_s, rx_s=rx_s)
    return {
        "node": node.name,
        "kind": node.kind,
        "site": node.site,
        "class": node.device.klass if node.device else "",
        "up_s": up_s,
        "down_s": down_s,
        "busy_s": busy_s,
        "idle_s": idle_s,
        "tx_s": tx_s,
        "rx_s": rx_s,
        "bytes_sent": use.sent,
        "bytes_received": use.received,
        "stream_bytes": stream_bytes,
        "jobs": len(use.jobs),
        "jobs_lost": use.jobs_lost,
        "rounds_joined": joined,
        "energy_j": energy,
        "stream_energy_j": stream_j,
    }


def _streams(node: Node, loads: Loads, plan: Plan) -> tuple[int, float | None]:
    """Return the bytes of a node's streams and their radio energy; the energy of no stream is unknown, not 0."""
    total, joules = 0, 0.0
    is_known = bool(node.streams)
    for name in sorted({stream.link for stream in node.streams}):
        link = plan.link_by_name[name]
        carried = loads.get((name, "up" if link.leaf == node.name else "down"), (0, 0))[1]
        total += carried
        if link.tx_j_per_byte is None:
            is_known = False
        else:
            joules += carried * link.tx_j_per_byte
    return total, joules if is_known else None
