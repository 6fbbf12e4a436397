"""A recorded outage of a real SuperNode beside the model, given the pauses that this SuperNode drew."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from emulator.backends.des.retries import REQUEST_TIMEOUT_S, gets_through_s
from emulator.flower.protocol import KEEP_ALIVE_S

POLL_S = 3.0


class Recorded(NamedTuple):
    """One row of ``recorded_outages.csv``; times in seconds after the cut, NaN where nothing was seen."""

    phase: str
    outage_s: float
    beat_before_cut_s: float
    asked_s: float
    retries: tuple[tuple[float, float], ...]
    resumed_s: float
    beat_s: float
    ended_s: float
    ended: str
    reply: str
    reply_s: float


def read_recorded(path: Path) -> list[Recorded]:
    """Return the rows of the fixture."""
    with path.open(newline="") as file:
        return [_row(fields) for fields in csv.DictReader(file)]


def _row(fields: dict[str, str]) -> Recorded:
    times = {name: float(fields[name] or "nan") for name in Recorded._fields if name.endswith("_s")}
    pairs = (pair.split("+") for pair in fields["retries"].split())
    retries = tuple((float(at), float(pause)) for at, pause in pairs)
    return Recorded(
        phase=fields["phase"], ended=fields["ended"], reply=fields["reply"], retries=retries, **times
    )  # fmt: skip


def lanes_of(retries: tuple[tuple[float, float], ...]) -> list[list[float]]:
    """Return the pauses of each lane: a failure belongs to the lane whose attempt began a time-out before, the first such."""
    lanes: list[tuple[float, list[float]]] = []
    for at_s, pause_s in retries:
        due = [lane for lane in lanes if lane[0] + REQUEST_TIMEOUT_S <= at_s + 0.5]
        if due:
            lane = min(due, key=lambda item: item[0])
            lanes.remove(lane)
        else:
            lane = (0.0, [])
        lanes.append((at_s + pause_s, [*lane[1], pause_s]))
    return [pauses for _, pauses in lanes]


def modelled_s(row: Recorded) -> float:
    """Return when the model says that bytes flow again; NaN where TCP alone decides (no request failed)."""
    if row.phase == "idle":
        pauses = _then_none(pause for _, pause in row.retries)
        return gets_through_s(
            row.asked_s, row.outage_s, pauses, timeout_s=REQUEST_TIMEOUT_S, open_rtt_s=0.0, closed_after_s=KEEP_ALIVE_S - POLL_S,
        )  # fmt: skip
    lanes = lanes_of(row.retries)
    if not lanes:
        return math.nan
    found, waited_s = [], 0.0
    for first, *others in lanes:
        waited_s += first
        asked_s = REQUEST_TIMEOUT_S + waited_s
        found.append(gets_through_s(asked_s, row.outage_s, _then_none(others), timeout_s=REQUEST_TIMEOUT_S))
    return min(found)


def _then_none(pauses: Iterator[float] | list[float]) -> Iterator[float]:
    """Yield the recorded pauses, then 0: the model needs one more failure than was seen."""
    yield from pauses
    while True:
        yield 0.0
