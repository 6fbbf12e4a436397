"""A stretch of a plan: live time is real time, so a run takes a slice of the night. Pure."""

from __future__ import annotations

from dataclasses import replace

from emulator.plan import LinkState, Outage, Plan


def slice_plan(plan: Plan, from_s: float, for_s: float | None) -> Plan:
    """Return the plan from ``from_s`` on, its time 0 there; with ``for_s`` its horizon ends so much later.

    Outages and link states under way at ``from_s`` are under way at 0. The ServerApp starts at 0 in any case, and
    placed faults keep their rounds.
    """
    end_s = plan.horizon_s if for_s is None else min(plan.horizon_s, from_s + for_s)
    outages = tuple(
        sorted(
            Outage(max(0.0, o.start_s - from_s), o.end_s - from_s, o.target, o.cause)
            for o in plan.outages
            if o.end_s > from_s and o.start_s < end_s
        )
    )
    links = tuple(
        replace(link, up=_shift(link.up, from_s, end_s), down=_shift(link.down, from_s, end_s)) for link in plan.links
    )
    starts_at_s = (plan.starts_at_s + from_s) % 86400
    return replace(plan, starts_at_s=starts_at_s, horizon_s=end_s - from_s, outages=outages, links=links)


def _shift(states: tuple[LinkState, ...], from_s: float, end_s: float) -> tuple[LinkState, ...]:
    first = max((k for k, state in enumerate(states) if state.from_s <= from_s), default=0)
    return tuple(
        replace(state, from_s=max(0.0, state.from_s - from_s)) for state in states[first:] if state.from_s <= end_s
    )
