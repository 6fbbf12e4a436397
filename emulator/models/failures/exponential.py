"""Outages without memory: exponential times between failures and to repair."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from emulator.models.failures.renewal import renewals
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams
from emulator.topology.params import ParameterError, as_list, quantity

PROFILE = "profile"


def exponential(
    view: View,
    streams: Streams,
    *,
    nodes: str | list[str] | None = None,
    links: str | list[str] | None = None,
    mtbf: str,
    mttr: str,
    cause: str = "outage",
) -> Iterator[Outage]:
    """Yield the outages of an alternating renewal process per target: up ``Exp(mtbf)``, down ``Exp(mttr)``, up first.

    In the long run a target is down a fraction ``mttr / (mtbf + mttr)`` of the time. Each target draws from a stream of
    its own name, so that other targets change nothing for it.

    Args:
        view: The network.
        streams: Random streams of this block.
        nodes: Names or patterns of nodes.
        links: Names or patterns of links.
        mtbf: Mean time up between outages (``120 h``), or ``profile``: each link's own figure.
        mttr: Mean length of an outage, or ``profile``.
        cause: For people.

    Raises:
        ParameterError: No such target, none at all, a time not above 0, or ``profile`` where there is no figure.
    """
    targets = []
    if nodes:
        targets += view.match_nodes(as_list(nodes), "nodes")
    if links:
        targets += view.match_links(as_list(links), "links")
    if not targets:
        raise ParameterError([("", "names no target; give nodes: or links:")])
    means = {name: (_mean(view, name, "mtbf", text=mtbf), _mean(view, name, "mttr", text=mttr)) for name in targets}
    draws = (_outages(name, means[name], view.horizon_s, rng=streams(name), cause=cause) for name in sorted(targets))
    yield from heapq.merge(*draws)


def _mean(view: View, target: str, key: str, *, text: str) -> float:
    if text != PROFILE:
        value = quantity(key, text, "time")
        if value <= 0:
            raise ParameterError([(key, f"got {text!r}; want a time above 0, or 'profile'")])
        return value
    figures = view.reliability.get(target)
    found = getattr(figures, f"{key}_s") if figures else None
    if found is None:
        raise ParameterError([(key, f"{target!r} has no {key} in its profile; give a time, for example '120 h'")])
    return float(found)


def _outages(
    target: str, means: tuple[float, float], horizon_s: float, *, rng: np.random.Generator, cause: str
) -> Iterator[Outage]:
    up_s, down_s = means
    yield from renewals(
        target, lambda: rng.exponential(up_s), lambda: rng.exponential(down_s), horizon_s=horizon_s, cause=cause
    )
