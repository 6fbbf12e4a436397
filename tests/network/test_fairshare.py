"""Water filling: worked examples, and the properties that define weighted max-min fairness."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.backends.des.fairshare import FlowDemand, share, share_one

positive = st.floats(0.01, 1000)
bounds = st.one_of(st.just(inf), positive, st.just(0.0))


@st.composite
def problems(draw: st.DrawFn) -> tuple[dict[int, float], list[FlowDemand[int]]]:
    capacities = {k: draw(st.one_of(positive, st.just(0.0))) for k in range(draw(st.integers(1, 5)))}
    flows = []
    for _ in range(draw(st.integers(1, 12))):
        path = tuple(draw(st.lists(st.sampled_from(sorted(capacities)), min_size=1, unique=True)))
        costs = draw(st.sampled_from([(), tuple(draw(positive) for _ in path)]))
        flows.append(FlowDemand(path, draw(positive), draw(bounds), costs))
    return capacities, flows


def used(flows: list[FlowDemand[int]], rates: list[float], resource: int) -> float:
    total = 0.0
    for flow, rate in zip(flows, rates, strict=True):
        if resource in flow.path:
            cost = flow.costs[flow.path.index(resource)] if flow.costs else 1.0
            total += cost * rate
    return total


@settings(derandomize=True, max_examples=300, deadline=None)
@given(problems())
def test_rates_are_feasible_and_carry_the_max_min_certificate(
    problem: tuple[dict[int, float], list[FlowDemand[int]]],
) -> None:
    capacities, flows = problem
    rates = share(capacities, flows)
    load = {k: used(flows, rates, k) for k in capacities}
    for k, capacity in capacities.items():
        # levels within 1e-9 of each other are frozen together, so that several flows may overshoot by that much each, and
        # weights a million times apart cost as many digits
        assert load[k] <= capacity * (1 + 1e-7) + 1e-9
    for flow, rate in zip(flows, rates, strict=True):
        assert 0 <= rate <= flow.bound
        at_bound = rate >= flow.bound * (1 - 1e-9)
        limiting = [
            k
            for k in flow.path
            if load[k] >= capacities[k] * (1 - 1e-6) - 1e-9
            and all(
                rate / flow.weight >= r / f.weight * (1 - 1e-6) - 1e-9
                for f, r in zip(flows, rates, strict=True)
                if k in f.path
            )
        ]
        assert at_bound or limiting


@settings(derandomize=True, max_examples=150, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_flows_does_not_matter(
    problem: tuple[dict[int, float], list[FlowDemand[int]]], random: object
) -> None:
    capacities, flows = problem
    order = list(range(len(flows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    rates = share(capacities, flows)
    shuffled = share(capacities, [flows[i] for i in order])
    assert [rates[i] for i in order] == pytest.approx(shuffled, rel=1e-6, abs=1e-9)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.floats(0, 1000), st.lists(st.tuples(positive, bounds, positive), min_size=1, max_size=12))
def test_the_fast_path_for_one_resource_agrees(capacity: float, rows: list[tuple[float, float, float]]) -> None:
    flows = [FlowDemand(("l",), weight, bound, (cost,)) for weight, bound, cost in rows]
    weights, limits, costs = zip(*rows, strict=True)
    expected = share({"l": capacity}, flows)
    assert share_one(capacity, weights, limits, costs) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_equal_flows_share_equally() -> None:
    assert share({"l": 12.0}, [FlowDemand(("l",))] * 4) == [3.0] * 4


def test_shares_follow_weights() -> None:
    assert share({"l": 12.0}, [FlowDemand(("l",), 1.0), FlowDemand(("l",), 3.0)]) == [3.0, 9.0]


def test_what_a_bounded_flow_leaves_goes_to_the_others() -> None:
    assert share({"l": 12.0}, [FlowDemand(("l",), bound=2.0), FlowDemand(("l",)), FlowDemand(("l",))]) == [
        2.0,
        5.0,
        5.0,
    ]


def test_a_long_path_takes_its_smallest_share() -> None:
    flows = [FlowDemand(("a", "b")), FlowDemand(("a",)), FlowDemand(("b",))]
    assert share({"a": 10.0, "b": 4.0}, flows) == [2.0, 8.0, 2.0]


def test_a_closed_resource_stops_only_its_own_flows() -> None:
    assert share({"a": 0.0, "b": 4.0}, [FlowDemand(("a", "b")), FlowDemand(("b",))]) == [0.0, 4.0]


def test_no_flows_no_rates() -> None:
    assert share({"l": 1.0}, []) == []


def test_a_flow_without_path_or_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="finite bound"):
        share({}, [FlowDemand(())])
