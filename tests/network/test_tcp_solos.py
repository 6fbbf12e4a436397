"""Transfers worked out in one go against the same transfers event by event, alone and disturbed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_helpers import finish_times, link, run_out, up

from emulator.backends.des.model import FlowEvent
from emulator.backends.des.tcp.network import PacketNetwork
from emulator.backends.des.tcp.stack import LINUX_STACK, NS3_STACK, Stack
from emulator.backends.des.tcp.tier import choose_for_run
from emulator.compute.costs import resolve_device
from emulator.plan import AppPlan, ControlName, FlowerSettings, Hop, Link, LinkState, Node, Plan, way_back

rates = st.sampled_from([60e3, 200e3, 1e6, 5e6, 20e6, 100e6])
delays = st.sampled_from([0.0005, 0.003, 0.02, 0.06, 0.3])


@dataclass(frozen=True)
class Case:
    """A transfer over some links, and what comes between."""

    links: tuple[Link, ...]
    hops: tuple[Hop, ...]
    size_bytes: int
    round_trips: float
    control: ControlName
    start_s: float
    disturbance: str
    after_s: float
    stack: Stack


@st.composite
def cases(draw: st.DrawFn) -> Case:
    links = tuple(
        link(f"l{k}", draw(rates), draw(delays), down_bps=draw(rates)) for k in range(draw(st.integers(1, 3)))
    )
    hops = tuple(up(*[one.name for one in links]))
    return Case(
        links, draw(st.sampled_from([hops, way_back(hops)])),
        draw(st.sampled_from([1, 1000, 2896, 5000, 20_000, 60_000, 250_000, 600_000])),
        draw(st.sampled_from([0.0, 1.0, 2.0, 5.5, 13.0])), draw(st.sampled_from(["cubic", "reno"])),
        draw(st.sampled_from([0.0, 0.7, 5.7796])), draw(st.sampled_from(["", "", "flow", "cut", "abort", "loads"])),
        draw(st.sampled_from([0.001, 0.05, 0.3, 1.0, 2.5])), draw(st.sampled_from([LINUX_STACK, LINUX_STACK, NS3_STACK])),
    )  # fmt: skip


def play(case: Case, *, works_ahead: bool) -> tuple[list[FlowEvent], float]:
    """Return what happens, and the bytes that were sent before an abort."""
    network = PacketNetwork(case.links, works_ahead=works_ahead, routes=[case.hops], stack=case.stack)
    network.start("x", case.hops, case.size_bytes, case.start_s, extra_rtts=case.round_trips, control=case.control)
    at_s, sent = case.start_s + case.after_s, 0.0
    events = network.advance(at_s)
    if case.disturbance == "flow":
        network.start("y", case.hops, 5000, at_s, extra_rtts=1.0)
    elif case.disturbance == "cut":
        network.set_link_up("l0", False, at_s)
        network.set_link_up("l0", True, at_s + 4.0)
    elif case.disturbance == "abort" and "x" in network.active_flows():
        sent = network.abort("x", at_s)
    elif case.disturbance == "loads":
        network.take_loads(at_s)
    return events + run_out(network), sent


@settings(derandomize=True, max_examples=200, deadline=None)
@given(cases())
def test_worked_ahead_is_what_the_engine_gives(case: Case) -> None:
    """To the nanosecond: nothing here is left to chance, and a disturbance finds everything as it would be."""
    assert play(case, works_ahead=True) == play(case, works_ahead=False)


def test_an_outcome_is_remembered() -> None:
    network = PacketNetwork([link("a", 5e6, 0.03)])
    times = []
    for k in range(50):
        start_s = 10.0 * k + 0.0003 * k
        network.start(f"x{k}", up("a"), 100_000, start_s)
        times.append(finish_times(run_out(network))[f"x{k}"] - start_s)
    assert times == pytest.approx([times[0]] * 50, rel=0.01)
    assert network.events < 150
    loads = {direction: size for _, direction, size in network.take_loads(600.0)}
    assert loads["up"] == pytest.approx(50 * (100_000 + 70 * 52 + 3 * 60), rel=0.02)


def test_losses_and_jitter_are_those_of_the_engine_on_average() -> None:
    states = [LinkState(0.0, 5e6, 0.03, 0.004, 0.01)]

    def mean_s(works_ahead: bool) -> tuple[float, int]:
        network = PacketNetwork([link("a", states=states)], seed=2, works_ahead=works_ahead)
        total_s = 0.0
        for k in range(400):
            network.start(f"x{k}", up("a"), 20_000, 30.0 * k, extra_rtts=5.0)
            total_s += finish_times(run_out(network))[f"x{k}"] - 30.0 * k
        return total_s / 400, network.events

    (ahead_s, few), (engine_s, many) = mean_s(True), mean_s(False)
    assert ahead_s == pytest.approx(engine_s, rel=0.05)
    assert few < many / 4


def test_a_planned_change_of_the_link_is_met() -> None:
    states = [LinkState(0.0, 1e6, 0.01), LinkState(2.0, 4e6, 0.01), LinkState(3.0, 0.5e6, 0.01)]
    ends = []
    for works_ahead in (True, False):
        network = PacketNetwork([link("a", states=states)], works_ahead=works_ahead)
        network.start("x", up("a"), 600_000, 1.0)
        ends.append(finish_times(run_out(network)))
    assert ends[0] == ends[1]


def test_branches_of_a_wide_link_do_not_meet() -> None:
    """Each alone as far as its own link goes; event by event on undivided links the times are the same within 1 %."""
    leaves = [link(f"a{k}", 1e6 * (k + 1), 0.02 * (k + 1)) for k in range(4)]
    links = [*leaves, link("core", 100e6, 0.001)]
    routes = [up(f"a{k}", "core") for k in range(4)]
    divided = PacketNetwork(links, routes=routes)
    plain = PacketNetwork(links, works_ahead=False)
    for network in (divided, plain):
        for k, hops in enumerate(routes):
            network.start(f"x{k}", hops if k % 2 else way_back(tuple(hops)), 100_000, 0.01 * k)
    ends = finish_times(run_out(divided)), finish_times(run_out(plain))
    assert ends[0] == pytest.approx(ends[1], rel=0.01)
    assert divided.events < 20 < plain.events
    carried = [{key[:2]: key[2] for key in network.take_loads(60.0)} for network in (divided, plain)]
    assert carried[0] == pytest.approx(carried[1], rel=0.01)


def test_a_background_stream_can_take_a_wide_link_from_its_branches() -> None:
    links = [link("a", 5e6, 0.02), link("b", 5e6, 0.02), link("core", 40e6, 0.001)]
    network = PacketNetwork(links, routes=[up("a", "core"), up("b", "core")])
    network.set_background("core", "up", 38e6, 0.0)
    network.start("a", up("a", "core"), 1_000_000, 0.0)
    network.start("b", up("b", "core"), 1_000_000, 0.0)
    ends = finish_times(run_out(network))
    assert min(ends.values()) > 1_000_000 * 8 / 1e6  # half of the 2 Mbit/s that are left


@pytest.mark.parametrize(
    ("loss", "core_bps", "tier"),
    [(0.0, None, "packet"), (0.001, None, "fluid"), (0.0, 1e10, "packet"), (0.0, 1e9, "fluid")],
)
def test_transfers_alone_on_clean_paths_cost_nothing_in_the_budget(
    loss: float, core_bps: float | None, tier: str
) -> None:
    device, _ = resolve_device("rpi_4b_4gb", {})
    count = 500
    links = [link(f"a{k}", 8e6, 0.02, loss=loss) for k in range(count)]
    links += [link("core", core_bps, 0.001)] if core_bps else []
    routes = {f"c{k}": tuple(up(f"a{k}", *["core"] * bool(core_bps))) for k in range(count)}
    plan = Plan(
        scenario="s", seed=1, starts_at_s=0.0, horizon_s=1e6,
        nodes=tuple(Node(f"c{k}", "client", f"c{k}", device, k) for k in range(count)), links=tuple(links),
        routes=routes, outages=(), placed=(), app=AppPlan("app", {}, 10), flower=FlowerSettings(),
    )  # fmt: skip
    assert choose_for_run(plan, 200_000).tier == tier
    assert choose_for_run(plan, 400_000).tier == "fluid"  # could overflow a buffer of 150 kB
