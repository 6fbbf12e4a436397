"""Keeps the rates of all sending flows max-min fair, solving again only the flows that a change can reach."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from emulator.backends.des.fairshare import FlowDemand, share, share_one

if TYPE_CHECKING:
    from emulator.backends.des.flow import Flow
    from emulator.backends.des.timeline import Resource


class Allocation:
    """Flows and the resources they load.

    Flows depend on one another only through tight resources (those that cannot serve all their flows at their
    bounds), so a change spreads along tight resources alone; this usually keeps sites apart.
    """

    def __init__(self) -> None:
        self._flows: dict[Flow, None] = {}
        self._resources: dict[Resource, None] = {}

    @property
    def is_dirty(self) -> bool:
        """True if something changed since the last ``solve``."""
        return bool(self._flows or self._resources)

    def touch(self, resource: Resource) -> None:
        """Note that the capacity of ``resource`` changed."""
        self._resources[resource] = None

    def enter(self, flow: Flow) -> None:
        """Let ``flow`` take part, at its present bound."""
        flow.bound_bps = flow.wanted_bps()
        for resource, cost in flow.uses:
            resource.flows[flow] = None
            resource.demand += cost * flow.bound_bps
            self._resources[resource] = None
        self._flows[flow] = None

    def leave(self, flow: Flow) -> None:
        """Take ``flow`` out; its rate is the caller's to clear."""
        for resource, cost in flow.uses:
            del resource.flows[flow]
            resource.demand = resource.demand - cost * flow.bound_bps if resource.flows else 0.0
            self._resources[resource] = None
        self._flows.pop(flow, None)

    def rebound(self, flow: Flow) -> None:
        """Take over a changed bound of ``flow``."""
        bound_bps = flow.wanted_bps()
        was_bps = flow.bound_bps
        if bound_bps == was_bps:
            return
        flow.bound_bps = bound_bps
        for resource, cost in flow.uses:
            resource.demand += cost * (bound_bps - was_bps)
        if min(bound_bps, was_bps) > flow.rate_bps and flow not in self._flows:
            for resource, _ in flow.uses:
                resource.was_tight = resource.was_tight or resource.is_tight
            return  # a full resource holds the flow back, before and after: nobody's rate changes
        self._flows[flow] = None
        self._resources.update((resource, None) for resource, _ in flow.uses)

    def solve(self) -> list[tuple[Flow, float]]:
        """Return the flows that changes since the last call can reach, with their fair rates in payload bit/s."""
        flows = self._reach()
        self._flows, self._resources = {}, {}
        rates: list[tuple[Flow, float]] = []
        contending: list[Flow] = []
        paths: list[list[tuple[Resource, float]]] = []
        tight: dict[Resource, float] = {}
        for flow in flows:
            path = [use for use in flow.uses if use[0].was_tight]
            if not path:
                rates.append((flow, flow.bound_bps))
                continue
            contending.append(flow)
            paths.append(path)
            for resource, _ in path:
                tight[resource] = resource.capacity
        solved = _one_bottleneck(contending, paths, tight) if tight else []
        if solved is None:
            solved = share(tight, [_demand(flow, path) for flow, path in zip(contending, paths, strict=True)])
        rates += zip(contending, solved, strict=True)
        return rates

    def _reach(self) -> dict[Flow, None]:
        """Return the flows to solve, and bring ``was_tight`` up to date."""
        reached = dict(self._flows)
        seen = dict(self._resources)
        for resource in seen:
            was_tight, resource.was_tight = resource.was_tight, resource.is_tight
            if was_tight or resource.was_tight:
                reached.update(resource.flows)
        fresh = list(reached)
        while fresh:
            for resource, _ in fresh.pop().uses:
                if resource.was_tight and resource not in seen:
                    seen[resource] = None
                    new = [flow for flow in resource.flows if flow not in reached]
                    reached.update(dict.fromkeys(new))
                    fresh += new
        return reached


def _demand(flow: Flow, path: list[tuple[Resource, float]]) -> FlowDemand[Resource]:
    resources, costs = zip(*path, strict=True)
    return FlowDemand(resources, flow.path.weight, flow.bound_bps, costs)


def _one_bottleneck(
    flows: list[Flow], paths: list[list[tuple[Resource, float]]], tight: dict[Resource, float]
) -> list[float] | None:
    """Return the fair rates if one resource alone holds flows back, else None; for speed.

    Many clients in front of one server are the normal case. The resource asked for most is taken for the bottleneck; if
    the rates then fit everywhere else they are the fair ones, as every flow has its max-min certificate.
    """
    worst = max(tight, key=lambda resource: resource.demand / resource.capacity if resource.capacity > 0 else inf)
    rates = [flow.bound_bps for flow in flows]
    members: list[int] = []
    costs: list[float] = []
    for i, path in enumerate(paths):
        for resource, cost in path:
            if resource is worst:
                members.append(i)
                costs.append(cost)
    weights = [flows[i].path.weight for i in members]
    for i, rate in zip(members, share_one(tight[worst], weights, [rates[i] for i in members], costs), strict=True):
        rates[i] = rate
    if len(tight) > 1:
        loads = dict.fromkeys(tight, 0.0)
        for rate, path in zip(rates, paths, strict=True):
            for resource, cost in path:
                loads[resource] += cost * rate
        if any(load > tight[resource] * (1 + 1e-9) for resource, load in loads.items()):
            return None
    return rates
