"""What link models have in common: parameters with units, a limit on states, and episodes of a two-state process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from emulator.plan import LinkState
from emulator.topology.params import ParameterError, quantity

MAX_STATES: Final = 20_000
"""Default limit on the states of one direction: a plan of some dozens of links stays well below 100 MB."""


def above_zero(key: str, text: object, dimension: str = "time") -> float:
    """Return the quantity ``text`` in base units.

    Raises:
        ParameterError: It cannot be read, or is not above 0.
    """
    value = quantity(key, text, dimension)
    if value <= 0:
        raise ParameterError([(key, f"got {text!r}; want a {dimension} above 0")])
    return value


def probability(key: str, text: object) -> float:
    """Return the fraction ``text`` (``0.05`` or ``5 %``), from 0 to below 1.

    Raises:
        ParameterError: It cannot be read, or is out of range.
    """
    value = quantity(key, text, "fraction")
    if not 0 <= value < 1:
        raise ParameterError([(key, f"got {text!r}; want 0 to below 1; a link that loses all has an outage")])
    return value


def episodes(rng: np.random.Generator, up_s: float, down_s: float, horizon_s: float) -> Iterator[tuple[float, float]]:
    """Yield the bad episodes of a process that is good for ``Exp(up_s)``, then bad for ``Exp(down_s)``, good first."""
    now_s = float(rng.exponential(up_s))
    while now_s < horizon_s:
        end_s = now_s + float(rng.exponential(down_s))
        yield now_s, end_s
        now_s = end_s + float(rng.exponential(up_s))


def alternate(
    good: LinkState, bad: LinkState, turns: Iterator[tuple[float, float]], *, horizon_s: float, max_states: int
) -> list[LinkState]:
    """Return ``good`` with ``bad`` in each of ``turns``.

    Raises:
        ParameterError: More than ``max_states`` states.
    """
    times = [0.0]
    for start_s, end_s in turns:
        times += [start_s, end_s] if end_s < horizon_s else [start_s]
        if len(times) > max_states:
            raise ParameterError([("max_states", too_many(f"more than {max_states:,}", horizon_s, max_states))])
    states = []
    for index, time_s in enumerate(times):
        of = bad if index % 2 else good
        states.append(LinkState(time_s, of.rate_bps, of.delay_s, of.jitter_s, of.loss))
    return states


def too_many(count: str, horizon_s: float, max_states: int, *, bin_s: float | None = None) -> str:
    """Return what to do about a time-line that is too long."""
    wider = f"raise bin to {math.ceil(bin_s)} s or more, " if bin_s is not None else "make the episodes longer, "
    return (
        f"{count} states of one direction up to the horizon of {horizon_s / 3600:g} h, and {max_states:,} are allowed; "
        f"{wider}shorten clock.horizon, or raise max_states (every state is kept in the plan)"
    )
