"""What must hold in any network: bytes are conserved, links keep their rates, order of calls does not matter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_helpers import finish_times, link, run_out, up

from emulator.backends.des.network import FlowEvent, Network
from emulator.backends.des.transfer import GOODPUT
from emulator.plan import Hop, Link

SITES = 3
rates = st.sampled_from([50e3, 1e6, 1.7e6, 20e6])
delays = st.sampled_from([0.0, 0.003, 0.05, 0.3])


@dataclass(frozen=True)
class Act:
    """A call on the engine at a time."""

    t_s: float
    what: str
    site: int
    size: float
    direction: str


acts = st.builds(
    Act,
    t_s=st.sampled_from([0.0, 0.5, 1.0, 1.0, 4.0, 9.5, 20.0]),
    what=st.sampled_from(["start", "start", "start", "cut", "mend", "background", "abort"]),
    site=st.integers(0, SITES - 1),
    size=st.sampled_from([0.0, 1.0, 3e3, 5e4, 8e5]),
    direction=st.sampled_from(["up", "down"]),
)


@st.composite
def networks(draw: st.DrawFn) -> list[Link]:
    loss = st.sampled_from([0.0, 0.0, 0.01])
    sites = [
        link(f"s{i}", draw(rates), draw(delays), loss=draw(loss), is_shared=draw(st.booleans())) for i in range(SITES)
    ]
    return [*sites, link("core", draw(rates), draw(delays), down_bps=draw(rates))]


def route(site: int, direction: str) -> list[Hop]:
    hops = up(f"s{site}", "core")
    return hops if direction == "up" else [Hop(hop.link, "down") for hop in reversed(hops)]


def play(links: list[Link], script: list[Act]) -> tuple[Network, list[FlowEvent], Counter[tuple[str, str]], float]:
    """Carry out the script; return the engine, its events, payload sent per link and direction, and the last time."""
    network, events = Network(links), []
    sent: Counter[tuple[str, str]] = Counter()
    flows: dict[str, tuple[list[Hop], float]] = {}

    def count(flow_id: str, payload: float) -> None:
        for hop in flows[flow_id][0]:
            sent[hop.link, hop.direction] += payload

    for number, act in enumerate(sorted(script, key=lambda act: act.t_s)):
        events += network.advance(act.t_s)
        if act.what == "start":
            flows[f"f{number}"] = route(act.site, act.direction), act.size
            network.start(f"f{number}", flows[f"f{number}"][0], act.size, act.t_s)
        elif act.what in ("cut", "mend"):
            network.set_link_up(f"s{act.site}", act.what == "mend", act.t_s)
        elif act.what == "abort" and (active := network.active_flows()):
            count(active[0], network.abort(active[0], act.t_s))
    for site in range(SITES):
        network.set_link_up(f"s{site}", True, 30.0)
    events += network.advance(30.0) + run_out(network)
    for event in events:
        if event.kind == "finished":
            count(event.flow_id, event.delivered_bytes)
            assert event.delivered_bytes == flows[event.flow_id][1]
    return network, events, sent, max([30.0, *(event.t_s for event in events)])


@settings(derandomize=True, max_examples=150, deadline=None)
@given(networks(), st.lists(acts, min_size=1, max_size=25))
def test_all_flows_end_and_bytes_are_conserved(links: list[Link], script: list[Act]) -> None:
    network, events, sent, last_s = play(links, script)
    assert network.active_flows() == []
    assert [event.t_s for event in events] == sorted(event.t_s for event in events)
    balance: Counter[str] = Counter()
    for event in events:
        balance[event.flow_id] += {"stalled": 1, "resumed": -1, "finished": 0}[event.kind]
        assert balance[event.flow_id] in (0, 1)
    carried = {(name, direction): count for name, direction, count in network.take_loads(last_s)}
    for key in set(sent) | set(carried):
        assert carried.get(key, 0.0) * GOODPUT == pytest.approx(sent[key], rel=1e-9, abs=1e-6)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(networks(), st.lists(acts, min_size=1, max_size=25), st.sampled_from([0.1, 0.7, 3.0]))
def test_no_link_carries_more_than_its_rate(links: list[Link], script: list[Act], step_s: float) -> None:
    network = Network(links)
    by_name = {one.name: one for one in links}
    script = sorted(script, key=lambda act: act.t_s)
    for k in range(1, int(25 / step_s)):
        while script and script[0].t_s <= k * step_s:
            act = script.pop(0)
            at_s = max(act.t_s, (k - 1) * step_s)
            if act.what == "start":
                network.start(f"f{len(script)}", route(act.site, act.direction), act.size, at_s)
            elif act.what in ("cut", "mend"):
                network.set_link_up(f"s{act.site}", act.what == "mend", at_s)
            elif act.what == "background":
                network.set_background(f"s{act.site}", act.direction, act.size * 8, at_s)  # type: ignore[arg-type]
        used: Counter[str] = Counter()
        for name, direction, count in network.take_loads(k * step_s):
            state = (by_name[name].up if direction == "up" else by_name[name].down)[0]
            share = count * 8 / (state.rate_bps * step_s)
            assert share <= 1 + 1e-6
            used[name] += share
        for name, share in used.items():
            assert share <= (1 if by_name[name].is_shared_medium else 2) + 1e-6


@settings(derandomize=True, max_examples=60, deadline=None)
@given(networks(), st.lists(acts, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_calls_at_one_time_does_not_matter(links: list[Link], script: list[Act], random: object) -> None:
    starts = [(f"f{i}", act) for i, act in enumerate(script)]
    shuffled = list(starts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ends = []
    for order in (starts, shuffled):
        network = Network(links)
        for flow_id, act in order:
            network.start(flow_id, route(act.site, act.direction), act.size, 1.0)
        ends.append(finish_times(run_out(network)))
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(networks(), st.lists(acts, min_size=2, max_size=20))
def test_a_partial_solution_equals_a_full_one(links: list[Link], script: list[Act]) -> None:
    plain = play(links, script)[1]
    solve_all = Network._solve

    def solve_everything(self: Network) -> None:
        for medium in self.links:
            for resource in medium.resources.values():
                resource.was_tight = True
                self._allocation.touch(resource)
        solve_all(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "_solve", solve_everything)
        full = play(links, script)[1]
    assert finish_times(plain) == pytest.approx(finish_times(full), rel=1e-6)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(networks(), st.lists(acts, min_size=1, max_size=20))
def test_the_same_calls_give_the_same_events(links: list[Link], script: list[Act]) -> None:
    assert play(links, script)[1] == play(links, script)[1]
