"""Availability that follows the hour of the day: phones that charge at night, clinics that close at five."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence

import numpy as np

from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams


def diurnal(
    view: View,
    streams: Streams,
    *,
    nodes: Names | None = None,
    links: Names | None = None,
    availability: list[float | str],
    period: str = "24 h",
    memory: str = "4 h",
    cause: str = "not available",
) -> Iterator[Outage]:
    """Yield an outage of a target for each time it is not available.

    The period is cut into as many equal parts as ``availability`` has entries; ``p(t)`` is the entry of the part that
    holds ``t``, and the period begins at midnight. Each target has a reluctance ``u``, even on 0 to 1, drawn anew after
    ``Exp(memory)`` times; it is up while ``u < p(t)``. So the probability of being up is ``p(t)`` at every moment, a
    target that is up at a bad hour is also up at the good ones around it, and ``memory`` says for how long.

    Args:
        view: The network.
        streams: Random streams of this block.
        nodes: Names or patterns of nodes.
        links: Names or patterns of links.
        availability: Probability of being up (``0.3`` or ``30 %``) in each part of the period; 24 entries are hours.
        period: Length after which ``availability`` repeats; ``7 d`` with 168 entries tells weekdays apart.
        memory: Mean time for which a target keeps its reluctance.
        cause: For people.

    Raises:
        ParameterError: No such target or none at all, a probability out of range, all 0 or none, a time not above 0.

    Leaves out lasting differences between targets: give those that are never there a block of their own.
    """
    reader = Reader()
    targets = reader.targets(view, nodes=nodes, links=links)
    shares = [reader.value("availability", entry, "fraction", least=0.0, most=1.0) for entry in availability]
    if not shares or (not any(shares) and not reader.faults):
        reader.refuse("availability", "want one probability or more, and not all 0; for never, leave the target out")
    period_s, memory_s = reader.value("period", period), reader.value("memory", memory)
    reader.done()
    step_s = period_s / len(shares)
    yield from heapq.merge(
        *(_outages(name, (shares, step_s, memory_s), view, rng=streams(name), cause=cause) for name in targets)
    )


def _outages(
    target: str, law: tuple[Sequence[float], float, float], view: View, *, rng: np.random.Generator, cause: str
) -> Iterator[Outage]:
    down_from_s: float | None = None
    for at_s, is_up in _states(law, view.starts_at_s, rng=rng):
        if down_from_s is None and at_s >= view.horizon_s:
            return
        if not is_up and down_from_s is None:
            down_from_s = at_s
        elif is_up and down_from_s is not None:
            yield Outage(down_from_s, at_s, target, cause)
            down_from_s = None


def _states(
    law: tuple[Sequence[float], float, float], starts_at_s: float, *, rng: np.random.Generator
) -> Iterator[tuple[float, bool]]:
    """Yield (virtual time, is up) from 0 s on, at each new part of the period and each new reluctance, without end."""
    shares, step_s, memory_s = law
    reluctance, renewed_s = rng.random(), float(rng.exponential(memory_s))
    part = math.floor(starts_at_s / step_s)
    at_s = 0.0
    while True:
        yield at_s, reluctance < shares[part % len(shares)]
        next_part_s = (part + 1) * step_s - starts_at_s
        if renewed_s < next_part_s:
            at_s, reluctance = renewed_s, rng.random()
            renewed_s += float(rng.exponential(memory_s))
        else:
            at_s, part = next_part_s, part + 1
