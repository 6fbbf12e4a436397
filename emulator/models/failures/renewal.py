"""Alternating renewal processes: up for a drawn time, down for a drawn time, up first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from emulator.plan import Outage

Draw = Callable[[], float]


def renewals(target: str, draw_up: Draw, draw_down: Draw, *, horizon_s: float, cause: str) -> Iterator[Outage]:
    """Yield the outages of ``target`` that start before ``horizon_s``; the last may end after it."""
    now_s = float(draw_up())
    while now_s < horizon_s:
        end_s = now_s + float(draw_down())
        if end_s > now_s:  # a length below the resolution of the clock is none
            yield Outage(now_s, end_s, target, cause)
        now_s = end_s + float(draw_up())
