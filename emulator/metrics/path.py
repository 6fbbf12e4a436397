"""Where a round's time goes: its critical path, found backwards from the moment the round's work ended.

Definition. Stand at the time the round's work ended (``Round.ended_s``: its last reply, server work or metric) and
look back:

1. Take the reply, among the round's successful ones, that arrived last before here. Its client was the one waited for.
   Its chain runs from the push of its message to the end of its upload and is split into ``download_s``, ``compute_s``
   and ``upload_s`` (from its transfers and jobs, stalls included), ``server_s`` (the server's own work on that message)
   and ``wait_s`` (all the rest: the pause until the SuperNode's next poll, a node that was off).
2. The gap between that arrival and here is ``server_s`` where the server computed, ``unanswered_s`` where some
   addressed client's error, late reply or silence was waited out, ``wait_s`` until the ServerApp was handed the reply
   (its next pull), and ``other_s`` for what is left.
3. Go to the push of that message and repeat (a round may hold several exchanges: train, evaluate, unmask).

The seven parts are disjoint and cover the round, so they sum to its latency. What is left until the round closed,
when the ServerApp began the next one, is ``pause_s``: latency and pause sum to the duration. ``stalled_s`` is not an
eighth part: it says how much of ``download_s`` and ``upload_s`` stood still because a link or node was down. Nor is
``protection_s``: it says how much of ``compute_s`` went into ciphers, masks, keys and signatures, and into calls that only
answer questions (QUERY messages).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from emulator.metrics.history import History, Message, Round
from emulator.metrics.spans import Span, clip, length, overlap_s, subtract, union

PARTS: Final = ("wait_s", "download_s", "compute_s", "upload_s", "server_s", "unanswered_s", "other_s")
"""The columns that sum to a round's latency."""

INSIDE: Final = ("stalled_s", "protection_s")
"""The columns that say what is inside some of these."""


@dataclass
class Index:
    """The history by message and by round, built once for all rounds."""

    history: History
    transfers: dict[tuple[str, str], list[Span]] = field(default_factory=lambda: defaultdict(list))
    stalls: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    jobs: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    served: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    protection: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    server_work: list[Span] = field(default_factory=list)
    by_round: dict[int, list[Message]] = field(default_factory=lambda: defaultdict(list))


def build_index(history: History, server: str) -> Index:
    """Return the index of ``history``."""
    index = Index(history)
    for transfer in history.transfers:
        index.transfers[(transfer.msg, transfer.direction)].append(transfer.span)
        index.stalls[transfer.msg] += [(start, end) for start, end, _ in transfer.stalls]
    for job in history.jobs:
        if job.node != server:
            index.jobs[job.msg].append(job.span)
            index.protection[job.msg] += math.inf if job.work == "query" else job.protection_s
        elif job.msg:
            index.served[job.msg].append(job.span)
    index.server_work = union(job.span for job in history.jobs if job.node == server)
    for message in history.messages.values():
        if message.round is not None:
            index.by_round[message.round].append(message)
    return index


def breakdown(found: Round, index: Index) -> dict[str, float]:
    """Return seconds by part and ``INSIDE`` them; see the module docstring."""
    seconds = dict.fromkeys((*PARTS, *INSIDE), 0.0)
    messages = index.by_round.get(found.number, [])
    answered = sorted((message for message in messages if message.fate == "replied"), key=_arrival)
    arrivals = [_arrival(message) for message in answered]
    here = found.ended_s
    while here > found.opened_s:
        message = _last_before(here, answered, arrivals, found.opened_s)
        arrived = found.opened_s if message is None else _arrival(message)
        handed = arrived if message is None else (message.settled_s or arrived)
        _add_gap(seconds, (arrived, here), handed, messages, index)
        if message is None:
            break
        pushed = max(message.pushed_s, found.opened_s)
        _add_chain(seconds, (pushed, arrived), message, index)
        here = pushed
    return seconds


def _arrival(message: Message) -> float:
    """Return when the reply was complete at the server."""
    settled = message.settled_s or 0.0
    return settled if message.arrived_s is None else min(message.arrived_s, settled)


def _last_before(here: float, answered: list[Message], arrivals: list[float], opened_s: float) -> Message | None:
    at = bisect_right(arrivals, here) - 1
    while at >= 0 and arrivals[at] > opened_s:
        # Among replies that arrived together the first in the log was waited for as long as any.
        at = bisect_left(arrivals, arrivals[at])
        if answered[at].pushed_s < here:
            return answered[at]
        at -= 1
    return None


def _add_gap(seconds: dict[str, float], gap: Span, handed: float, messages: Iterable[Message], index: Index) -> None:
    low, high = gap
    if high <= low:
        return
    work = clip(index.server_work, gap)
    missing = [message for message in messages if message.fate != "replied" and message.pushed_s < high]
    waited: list[Span] = []
    if missing:
        begins = max(low, min(message.pushed_s for message in missing))
        # Of a reply that never comes the ServerApp learns nothing: it waits as long as it waits at all.
        settled = max(_arrival(message) if message.fate == "failed" else high for message in missing)
        waited = subtract([(begins, max(begins, min(settled, high)))], work)
    pulled = subtract([(low, max(low, min(handed, high)))], [*work, *waited])
    seconds["server_s"] += length(work)
    seconds["unanswered_s"] += length(waited)
    seconds["wait_s"] += length(pulled)
    seconds["other_s"] += max(0.0, high - low - length(work) - length(waited) - length(pulled))


def _add_chain(seconds: dict[str, float], chain: Span, message: Message, index: Index) -> None:
    # In order of the protocol; where two overlap (a lane still drains while the job starts) the earlier phase keeps it.
    left: list[Span] = [chain]
    layers = (
        ("download_s", index.transfers.get((message.msg, "download"), [])),
        ("compute_s", index.jobs.get(message.msg, [])),
        ("upload_s", index.transfers.get((message.msg, "upload"), [])),
        ("server_s", index.served.get(message.msg, [])),
    )
    for part, spans in layers:
        rest = subtract(left, spans)
        seconds[part] += length(left) - length(rest)
        if part == "compute_s":
            seconds["protection_s"] += min(length(left) - length(rest), index.protection.get(message.msg, 0.0))
        left = rest
    seconds["wait_s"] += length(left)
    seconds["stalled_s"] += overlap_s(index.stalls.get(message.msg, []), chain)
