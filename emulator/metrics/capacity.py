"""What a link could have carried: its rate over time, from the plan's states and the log's ``link_changed`` rows."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from emulator.metrics.history import History
from emulator.metrics.spans import Span, clip, union
from emulator.plan import Direction, Link, Plan


def rate_steps(link: Link, direction: Direction, history: History) -> list[tuple[float, float]]:
    """Return (from_s, rate_bps) steps: the plan's states, and where the log says otherwise, the log."""
    planned = link.up if direction == "up" else link.down
    points = [(state.from_s, 0, state.rate_bps) for state in planned]
    points += [(t_s, 1, rate) for t_s, rate, _ in history.rates.get((link.name, direction), [])]
    return [(t_s, rate) for t_s, _, rate in sorted(points, key=lambda point: point[:2])]


def rate_spans(link: Link, direction: Direction, history: History) -> list[tuple[float, float, float]]:
    """Return (start, end, rate_bps) from 0 s to the end of the log."""
    steps = [step for step in rate_steps(link, direction, history) if step[0] < history.end_s]
    ends = [step[0] for step in steps[1:]] + [history.end_s]
    spans = [(max(0.0, t_s), end, rate) for (t_s, rate), end in zip(steps, ends, strict=False)]
    return [span for span in spans if span[1] > span[0]]


def link_down_spans(link: Link, direction: Direction, plan: Plan, history: History) -> list[Span]:
    """Return when the link itself passed nothing: rate 0, or an outage in the plan; nodes that are off do not count."""
    idle = [(start, end) for start, end, rate in rate_spans(link, direction, history) if rate <= 0]
    planned = [(outage.start_s, outage.end_s) for outage in plan.outages if outage.target == link.name]
    return union([*idle, *clip(planned, (0.0, history.end_s))])


def capacity_bits(link: Link, direction: Direction, plan: Plan, history: History) -> float:
    """Return the integral of the rate over the run, outages of the link taken out, in bits."""
    steps = rate_spans(link, direction, history)
    starts = [start for start, _, _ in steps]
    before = [0.0, *accumulate(rate * (end - start) for start, end, rate in steps)]

    def until(t_s: float) -> float:
        at = bisect_right(starts, t_s) - 1
        return 0.0 if at < 0 else before[at] + steps[at][2] * (min(t_s, steps[at][1]) - steps[at][0])

    down = link_down_spans(link, direction, plan, history)
    return before[-1] - sum(until(end) - until(start) for start, end in down)
