"""Rows of the tables ``rounds``, ``participation``, ``transfers`` and ``metrics``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

from emulator.metrics.history import OPEN, History, Message
from emulator.metrics.participation import round_fates
from emulator.metrics.path import breakdown, build_index
from emulator.plan import Plan

GLOBAL_PREFIX: Final = "metric."
PATIENT_PREFIX: Final = "patient."
EPSILON: Final = "privacy.epsilon"


def round_rows(history: History, plan: Plan) -> list[dict[str, Any]]:
    """Return one row per round, in order of number."""
    index = build_index(history, plan.server.name)
    carried: dict[tuple[int | None, str], int] = defaultdict(int)
    for transfer in history.transfers:
        carried[(transfer.round, transfer.direction)] += transfer.delivered_bytes or 0
    quality = _global_metrics(history, plan)
    rows = []
    for number, found in sorted(history.rounds.items()):
        fates = round_fates(number, history, plan, index.by_round.get(number, []))
        rows.append(
            {
                "round": number,
                "opened_s": found.opened_s,
                "closed_s": found.closed_s,
                "ended_s": found.ended_s,
                "duration_s": found.closed_s - found.opened_s,
                "latency_s": found.ended_s - found.opened_s,
                "pause_s": found.closed_s - found.ended_s,
                "is_closed": found.is_closed,
                **_counts(fates, len(plan.clients)),
                "bytes_down": carried[(number, "download")],
                "bytes_up": carried[(number, "upload")],
                **breakdown(found, index),
                **quality.get(number, {}),
            }
        )
    return rows


def _counts(fates: dict[str, tuple[str, str]], clients: int) -> dict[str, Any]:
    count = Counter(fate for fate, _ in fates.values())
    return {
        "addressed": sum(count.values()) - count["idle"] - count["away"],
        "replies": count["replied"],
        "failed": count["failed"],
        "late": count["late"],
        "lost": count["lost"] + count["down"],
        "open": count[OPEN],
        "participation": count["replied"] / clients if clients else None,
    }


def _global_metrics(history: History, plan: Plan) -> dict[int, dict[str, float | None]]:
    found: dict[int, dict[str, float | None]] = defaultdict(dict)
    for event in history.metrics:
        if (
            event.round is not None
            and event.node in ("", plan.server.name)
            and not event.note.startswith(PATIENT_PREFIX)
        ):
            found[event.round][GLOBAL_PREFIX + event.note] = event.value
    return found


def participation_rows(history: History, plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield one row per round and client."""
    by_round: dict[int, list[Message]] = defaultdict(list)
    for message in history.messages.values():
        if message.round is not None:
            by_round[message.round].append(message)
    for number in sorted(history.rounds):
        for node, (fate, reason) in round_fates(number, history, plan, by_round[number]).items():
            yield {"round": number, "node": node, "fate": fate, "reason": reason}


def transfer_rows(history: History) -> Iterator[dict[str, Any]]:
    """Yield one row per transfer, in order of start."""
    for transfer in history.transfers:
        seconds, delivered = transfer.ended_s - transfer.started_s, transfer.delivered_bytes
        is_rated = delivered is not None and seconds > 0
        yield {
            "round": transfer.round,
            "msg": transfer.msg,
            "node": transfer.node,
            "peer": transfer.peer,
            "direction": transfer.direction,
            "started_s": transfer.started_s,
            "ended_s": transfer.ended_s,
            "duration_s": seconds,
            "size_bytes": transfer.size_bytes,
            "delivered_bytes": delivered,
            "outcome": transfer.outcome,
            "reason": transfer.reason,
            "stalled_s": sum(end - start for start, end, _ in transfer.stalls),
            "goodput_bps": 8 * (delivered or 0) / seconds if is_rated else None,
        }


def metric_rows(history: History) -> list[dict[str, Any]]:
    """Return the metrics in long form, then the privacy spent."""
    named = [(event, event.note) for event in history.metrics] + [(event, EPSILON) for event in history.privacy]
    return [
        {"round": event.round, "node": event.node, "name": name, "value": event.value, "t_s": event.t_s}
        for event, name in named
    ]
