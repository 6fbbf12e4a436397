"""When a request gets through after an outage: Flower's time-outs and retries (flwr 1.41) over TCP's own probing.

Read in flwr and checked against a real SuperNode by ``benchmarks/supernode_outage.py``. A request that hears nothing
for ``REQUEST_TIMEOUT_S`` fails and is tried again on a new connection after a random pause (``backoffs``), for ever.
Within an attempt TCP probes: a new connection with SYNs, an open one with retransmissions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from emulator.backends.des.transfer import probe_time, rto_s, syn_time

REQUEST_TIMEOUT_S: Final = 30.0
"""To connect, without any byte received, or without any byte taken by the socket (flwr.supercore.protobuf.client)."""
HEARTBEAT_TIMEOUT_S: Final = 5.0
FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 20.0
"""Ceilings of the pauses before a retry double from the first to the longest (flwr.supercore.retry)."""
PUSH_SESSION_S: Final = 180.0
"""An upload whose next object comes later than this after the last one (or after its announcement) is refused."""
BEAT_SPREAD: Final = 0.125
"""Heartbeats follow each other after 17.5 to 22.5 s, evenly spread around ``heartbeat_s``."""
_CHAIN_BEATS: Final = 20

Draw = Callable[[], float]
"""Gives the next number of a random stream, evenly spread over 0 to 1."""


def backoffs(draw: Draw) -> Iterator[float]:
    """Yield the pauses before the retries of one request: evenly spread over 0 to 1, 2, 4, 8, 16, 20, 20 ... seconds."""
    ceiling_s = FIRST_BACKOFF_S
    while True:
        yield ceiling_s * draw()
        ceiling_s = min(2 * ceiling_s, LONGEST_BACKOFF_S)


def gets_through_s(
    asked_s: float,
    back_s: float,
    pauses: Iterator[float],
    *,
    timeout_s: float,
    open_rtt_s: float | None = None,
    closed_after_s: float = math.inf,
) -> float:
    """Return when a request gets through that first goes out at ``asked_s`` over a path that is dead until ``back_s``.

    Args:
        asked_s: First attempt.
        back_s: From when on the path is up.
        pauses: Before each further attempt.
        timeout_s: How long an attempt may take.
        open_rtt_s: Round trip where the first attempt goes over an open connection; None for a new one.
        closed_after_s: When, after ``asked_s``, the SuperLink closes that connection because it hears nothing. The first probe of
            either side that gets through then ends the attempt, and the next one follows after its pause.
    """
    while asked_s < back_s:
        outage_s = back_s - asked_s
        is_closed = open_rtt_s is not None and outage_s > closed_after_s
        if open_rtt_s is None:
            after_s = syn_time(outage_s)
        else:
            first_s = rto_s(open_rtt_s)
            after_s = probe_time(outage_s, first_s, first_s)
            if is_closed:
                after_s = min(after_s, closed_after_s + probe_time(outage_s - closed_after_s, first_s, first_s))
        if after_s < timeout_s and not is_closed:
            return asked_s + after_s
        asked_s += min(after_s, timeout_s) + next(pauses)
        open_rtt_s = None
    return asked_s


def beats_around(since_s: float, now_s: float, period_s: float, draw: Draw) -> tuple[float, float]:
    """Return the last heartbeat up to ``now_s`` and when the next is due, given one at ``since_s``.

    Heartbeats are never events: the chain is followed only where it is short; else its end is drawn from the renewal
    process's stationary law (the interval around now is length-biased, now anywhere in it), which no observer can
    tell apart.
    """
    low_s, high_s = period_s * (1 - BEAT_SPREAD), period_s * (1 + BEAT_SPREAD)
    if now_s - since_s > _CHAIN_BEATS * period_s:
        interval_s = math.sqrt(low_s**2 + draw() * (high_s**2 - low_s**2))
        last_s = now_s - draw() * interval_s
        return last_s, last_s + interval_s
    last_s = since_s
    while (due_s := last_s + low_s + draw() * (high_s - low_s)) <= now_s:
        last_s = due_s
    return last_s, due_s


def completion_marks(parts: Sequence[int], lanes: int) -> Sequence[tuple[float, int]]:
    """Return, for each object in order of completion, the bytes moved in all by then, and its index.

    Each lane takes the next object when it is free; busy lanes share the rate equally. Kept: messages of one model are alike.
    """
    return _completion_marks(tuple(parts), lanes)


@lru_cache(maxsize=256)
def _completion_marks(parts: tuple[int, ...], lanes: int) -> tuple[tuple[float, int], ...]:
    waiting = iter(enumerate(parts))
    busy: dict[int, float] = {}
    marks: list[tuple[float, int]] = []
    moved = 0.0
    for index, size in waiting:
        busy[index] = float(size)
        if len(busy) == lanes:
            break
    while busy:
        first = min(busy, key=lambda index: (busy[index], index))
        step = busy.pop(first)
        moved += step * (len(busy) + 1)
        busy = {index: left - step for index, left in busy.items()}
        marks.append((moved, first))
        following = next(waiting, None)
        if following is not None:
            busy[following[0]] = float(following[1])
    return tuple(marks)


def unfinished(parts: Sequence[int], lanes: int, moved: float) -> tuple[list[int], list[int]]:
    """Return the sizes of the objects that a cut after ``moved`` bytes interrupts, one a lane, and of those not begun."""
    done = {index for mark, index in completion_marks(parts, lanes) if mark <= moved + 1e-6}
    left = [size for index, size in enumerate(parts) if index not in done]
    return left[:lanes], left[lanes:]
