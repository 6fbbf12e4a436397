"""Outages of things that age or are still settling: Weibull times between failures and to repair."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.renewal import renewals
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams


def weibull(
    view: View,
    streams: Streams,
    *,
    nodes: Names | None = None,
    links: Names | None = None,
    up_shape: float,
    up_mean: str | None = None,
    up_scale: str | None = None,
    down_shape: float,
    down_mean: str | None = None,
    down_scale: str | None = None,
    cause: str = "outage",
) -> Iterator[Outage]:
    """Yield the outages of an alternating renewal process per target, up first.

    ``P(T > t) = exp(-(t / scale)^shape)`` with mean ``scale * Gamma(1 + 1 / shape)``, for the time up and for the time
    down. A shape below 1 gives failures in clusters and a few very long repairs, 1 the exponential model, above 1 wear
    or a regular rhythm. (Availability of volunteer hosts fits shapes of 0.3 to 0.6: Javadi et al., MASCOTS 2009, from
    memory.) Each target draws from a stream of its own name.

    Args:
        view: The network.
        streams: Random streams of this block.
        nodes: Names or patterns of nodes.
        links: Names or patterns of links.
        up_shape: Shape of the times up.
        up_mean: Their mean; or give ``up_scale``.
        up_scale: Their scale.
        down_shape: Shape of the times down.
        down_mean: Their mean; or give ``down_scale``.
        down_scale: Their scale.
        cause: For people.

    Raises:
        ParameterError: No such target or none at all, both of mean and scale or neither, values out of range.

    Leaves out age at the start: every target begins as new.
    """
    reader = Reader()
    targets = reader.targets(view, nodes=nodes, links=links)
    up = _law(reader, "up", up_shape, mean=up_mean, scale=up_scale)
    down = _law(reader, "down", down_shape, mean=down_mean, scale=down_scale)
    reader.done()
    yield from heapq.merge(*(_outages(name, up, down, view, rng=streams(name), cause=cause) for name in targets))


SHAPES: Final = (0.1, 100.0)  # outside, times are all near 0 and a few beyond any run, or all alike
Law = tuple[float, float]  # shape, scale in seconds


def _law(reader: Reader, which: str, shape: float, *, mean: str | None, scale: str | None) -> Law:
    if not SHAPES[0] <= shape <= SHAPES[1]:
        reader.refuse(f"{which}_shape", f"got {shape}; want {SHAPES[0]} to {SHAPES[1]:g}")
        shape = 1.0
    if (mean is None) == (scale is None):
        reader.refuse(f"{which}_mean", f"give {which}_mean or {which}_scale, one of the two")
        return shape, 1.0
    if mean is None:
        return shape, reader.value(f"{which}_scale", scale)
    return shape, reader.value(f"{which}_mean", mean) / math.gamma(1 + 1 / shape)


def _outages(target: str, up: Law, down: Law, view: View, *, rng: np.random.Generator, cause: str) -> Iterator[Outage]:
    def draw(law: Law) -> float:
        return law[1] * float(rng.weibull(law[0]))

    yield from renewals(target, partial(draw, up), partial(draw, down), horizon_s=view.horizon_s, cause=cause)
