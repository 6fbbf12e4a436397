"""Weighted max-min fair rates for flows that share resources (water filling).

A resource is one direction of a link, or a half-duplex medium that both directions share. Pure functions, no state.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from operator import le, mul
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

RELATIVE_EPS = 1e-12
"""A resource whose level rose by less than this since it was queued need not be queued again."""


@dataclass(frozen=True, slots=True)
class FlowDemand(Generic[Key]):
    """What one flow asks for.

    Attributes:
        path: Resources it crosses, each once.
        weight: Share relative to other flows at the same bottleneck; above 0.
        bound: Rate it cannot use more than; may be infinite if the path is not empty.
        costs: Capacity taken on each resource of ``path`` per unit of rate, above 0; empty means 1 on each.
    """

    path: tuple[Key, ...]
    weight: float = 1.0
    bound: float = inf
    costs: tuple[float, ...] = ()


def share(capacities: Mapping[Key, float], flows: Sequence[FlowDemand[Key]]) -> list[float]:
    """Return the weighted max-min fair rate of each flow, in the order given.

    A common level rises from 0 and flow i runs at ``weight_i * level`` until it meets its bound or one of its
    resources is full (``sum(cost * rate) = capacity``). The result is the lexicographic optimum of rate/weight
    (Bertsekas and Gallager, *Data Networks*, section 6.5): every flow sits at its bound or crosses a full resource on
    which no flow has a larger rate/weight. Cost O(n log n + hops log resources); equal flows are solved as one.

    Args:
        capacities: Capacity of every resource named on a path; negative counts as 0.
        flows: The demands. Units are the caller's, the same for rates and ``capacity / cost``.

    Raises:
        KeyError: A path names a resource without capacity.
        ValueError: A flow has neither a resource nor a finite bound, or its weight is not above 0.
    """
    classes: dict[FlowDemand[Key], list[int]] = {}
    for i, flow in enumerate(flows):
        if flow.weight <= 0 or (not flow.path and flow.bound == inf):
            raise ValueError(f"flow {i} needs a weight above 0 and a path or a finite bound, got {flow}")
        classes.setdefault(flow, []).append(i)
    levels = _Filling(capacities, classes).levels()
    rates = [0.0] * len(flows)
    for (demand, members), level in zip(classes.items(), levels, strict=True):
        rate = min(demand.bound, demand.weight * level)
        for i in members:
            rates[i] = rate
    return rates


def share_one(
    capacity: float, weights: Sequence[float], bounds: Sequence[float], costs: Sequence[float]
) -> list[float]:
    """Return what ``share`` would for flows that all cross one resource and no other; for speed.

    Flows in order of bound/weight keep their bounds until the level that fills the rest is no higher.
    """
    left = max(0.0, capacity)
    pull = sum(map(mul, weights, costs))
    level = left / pull if pull > 0 else 0.0
    rates = [weight * level for weight in weights]
    if all(map(le, rates, bounds)):
        return rates
    order = sorted(range(len(weights)), key=[b / w for b, w in zip(bounds, weights, strict=True)].__getitem__)
    for place, i in enumerate(order):
        level = max(0.0, left / pull) if pull > 0 else level
        if bounds[i] > weights[i] * level:
            for j in order[place:]:
                rates[j] = weights[j] * level
            return rates
        rates[i] = bounds[i]
        left -= bounds[i] * costs[i]
        pull -= weights[i] * costs[i]
    return rates


class _Filling(Generic[Key]):
    """One run of the water filling over classes of equal flows."""

    def __init__(self, capacities: Mapping[Key, float], classes: Mapping[FlowDemand[Key], Sequence[int]]) -> None:
        self._left: list[float] = []  # capacity not yet given to a fixed class, per resource
        self._pull: list[float] = []  # capacity taken per unit of level by classes still rising
        self._users: list[list[int]] = []
        self._rising: list[int] = []  # number of classes still rising
        self._uses: list[list[tuple[int, float]]] = []
        self._bound_levels = [demand.bound / demand.weight for demand in classes]
        index: dict[Key, int] = {}
        for i, (demand, members) in enumerate(classes.items()):
            scale = len(members) * demand.weight
            uses = []
            for key, cost in zip(demand.path, demand.costs or (1.0,) * len(demand.path), strict=True):
                k = index.setdefault(key, len(index))
                if k == len(self._left):
                    self._left.append(max(0.0, capacities[key]))
                    self._pull.append(0.0)
                    self._users.append([])
                uses.append((k, cost * scale))
                self._pull[k] += cost * scale
                self._users[k].append(i)
            self._uses.append(uses)
        self._rising = [len(users) for users in self._users]
        self._levels = [-1.0] * len(self._uses)
        self._heap = [(left / pull, k) for k, (left, pull) in enumerate(zip(self._left, self._pull, strict=True))]
        heapq.heapify(self._heap)

    def levels(self) -> list[float]:
        """Return the level at which each class stops; infinite where its bound stops it."""
        full_level, full = self._lowest_full()
        for i in sorted(range(len(self._uses)), key=self._bound_levels.__getitem__):
            while self._levels[i] < 0 and full_level < self._bound_levels[i]:
                for j in self._users[full]:
                    if self._levels[j] < 0:
                        self._fix(j, full_level, full_level)
                full_level, full = self._lowest_full()
            if self._levels[i] < 0:
                self._fix(i, inf, self._bound_levels[i])
                full_level, full = self._lowest_full()
        return self._levels

    def _fix(self, i: int, mark: float, level: float) -> None:
        self._levels[i] = mark
        for k, pull in self._uses[i]:
            self._left[k] -= pull * level
            self._pull[k] -= pull
            self._rising[k] -= 1

    def _lowest_full(self) -> tuple[float, int]:
        """Return the level and index of the resource that fills next; infinite when none has a rising class.

        A resource's level never falls as classes below it are fixed, so an old heap key is a lower bound and is renewed
        only when it comes to the top.
        """
        heap = self._heap
        while heap:
            key, k = heap[0]
            if not self._rising[k] or self._pull[k] <= 0:
                heapq.heappop(heap)
                continue
            level = max(key, self._left[k] / self._pull[k])
            if level <= key * (1 + RELATIVE_EPS):
                return level, k
            heapq.heapreplace(heap, (level, k))
        return inf, -1
