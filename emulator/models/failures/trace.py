"""Outages replayed from a trace of who was there when."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final, Literal

from emulator.models.failures.grid import Grid, State, read_grid
from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.registry import nearest
from emulator.rng import Streams
from emulator.topology.params import ParameterError

CLOCK: Final = "clock"
Interval = tuple[float, float]


def trace(
    view: View,
    streams: Streams,
    *,
    file: Path,
    nodes: Names | None = None,
    links: Names | None = None,
    columns: Literal["drawn", "by name"] = "drawn",
    least_availability: str | float = "0 %",
    unknown: Literal["down", "up"] = "down",
    start: str = CLOCK,
    repeat: bool = True,
    cause: str = "not available",
) -> Iterator[Outage]:
    """Yield an outage of each target for each time its column of the trace says that it is away.

    Shipped: ``traces/clinic_hours.csv``, synthetic. Real: ``traces/availability/flash_phones_30min.csv.gz`` of the data
    folder (phones of the FLASH study, Yang et al., WWW 2021): there, 1 is idle, charging and on Wi-Fi, and half the
    phones are below 5 %.

    Args:
        view: The network.
        streams: Random streams of this block; each target draws its column from one of its own name.
        file: CSV, ``time,NAME,NAME...`` or ``node,time,state``; times in seconds or as dates, states 1, 0 or -1. The
            last row ends the trace.
        nodes: Names or patterns of nodes.
        links: Names or patterns of links.
        columns: ``drawn``: any target may get any column, several may get the same; ``by name``: its own.
        least_availability: Columns that are 1 for less of the known time are not drawn.
        unknown: What -1 means.
        start: Time into the trace at which the run begins, or ``clock``: the trace's time of day that the scenario
            starts at; a trace in seconds then starts at its first row.
        repeat: Begin anew at the end of the trace; else targets are up after it.
        cause: For people.

    Raises:
        ParameterError: No such target, none at all, a file that is missing or in another form, no column to take.
    """
    reader = Reader()
    targets = reader.targets(view, nodes=nodes, links=links)
    least = reader.value("least_availability", least_availability, "fraction", least=0.0, most=1.0)
    start_s = None if start == CLOCK else reader.value("start", start, least=0.0)
    reader.done()
    try:
        grid = read_grid(file)
    except ValueError as error:
        raise ParameterError([("file", str(error))]) from None
    chosen = _named(grid, targets) if columns == "by name" else _drawn(grid, targets, least, streams=streams)
    if start_s is None:
        start_s = 0.0 if grid.midnight_s is None else (view.starts_at_s - grid.midnight_s) % 86400.0
    away = {name: _away(states, grid.length_s, unknown) for name, states in chosen.items()}
    yield from heapq.merge(
        *(
            _outages(name, _laid(away[name], grid.length_s, start_s, repeat=repeat), view, cause=cause)
            for name in targets
        )
    )


Column = tuple[tuple[float, State], ...]


def _named(grid: Grid, targets: list[str]) -> dict[str, Column]:
    known = sorted(grid.columns)
    missing = [name for name in targets if name not in grid.columns]
    if missing:
        message = (
            f"the trace has no column for {missing[0]!r}{nearest(missing[0], known)}; it has {', '.join(known[:5])}"
        )
        raise ParameterError([("columns", message)])
    return {name: grid.columns[name] for name in targets}


def _drawn(grid: Grid, targets: list[str], least: float, *, streams: Streams) -> dict[str, Column]:
    fit = [name for name in sorted(grid.columns) if _availability(grid.columns[name], grid.length_s) >= least]
    if not fit:
        raise ParameterError([("least_availability", f"no column of the trace is available {least:.1%} of its time")])
    return {name: grid.columns[fit[int(streams(name).integers(len(fit)))]] for name in targets}


def _availability(column: Column, length_s: float) -> float:
    """Return the share of the known time in which the state is 1."""
    ends = [at_s for at_s, _ in column[1:]] + [length_s]
    spans = [(end_s - at_s, state) for (at_s, state), end_s in zip(column, ends, strict=True) if state != -1]
    known_s = sum(span for span, _ in spans)
    return sum(span for span, state in spans if state == 1) / known_s if known_s > 0 else 0.0


def _away(column: Column, length_s: float, unknown: str) -> list[Interval]:
    """Return when the column says away, joined."""
    ends = [at_s for at_s, _ in column[1:]] + [length_s]
    away: list[Interval] = []
    for (at_s, state), end_s in zip(column, ends, strict=True):
        if state == 1 or (state == -1 and unknown == "up") or end_s <= at_s:
            continue
        away = [*away[:-1], (away[-1][0], end_s)] if away and away[-1][1] == at_s else [*away, (at_s, end_s)]
    return away


def _laid(away: list[Interval], length_s: float, start_s: float, *, repeat: bool) -> Iterator[Interval]:
    """Yield the intervals in virtual time, those of neighbouring laps joined; an endless one ends at infinity."""
    if repeat and away == [(0.0, length_s)]:
        yield 0.0, math.inf
        return
    held: Interval | None = None
    first_lap = math.floor(start_s / length_s)
    for lap in count(first_lap) if repeat else range(1):
        for from_s, to_s in away:
            begin_s, end_s = lap * length_s + from_s - start_s, lap * length_s + to_s - start_s
            if end_s <= 0:
                continue
            if held is not None and begin_s <= held[1] + 1e-6:  # laps meet up to rounding
                held = held[0], end_s
                continue
            if held is not None:
                yield held
            held = max(begin_s, 0.0), end_s
        if not away:
            break
    if held is not None:
        yield held


def _outages(target: str, intervals: Iterator[Interval], view: View, *, cause: str) -> Iterator[Outage]:
    for start_s, end_s in intervals:
        if start_s >= view.horizon_s:
            return
        yield Outage(start_s, end_s, target, cause)
