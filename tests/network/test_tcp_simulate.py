"""The packet-level model against closed forms, ns-3, and what must hold in any network."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.backends.des.tcp.simulate import FlowSpec, LinkSpec, Outcome, simulate
from emulator.backends.des.tcp.stack import LINUX_STACK, NS3_STACK
from emulator.backends.des.transfer import transfer_time
from emulator.plan import ControlName, Direction, Hop

DEEP = 10_000


def way(*names: str, direction: Direction = "up") -> tuple[Hop, ...]:
    return tuple(Hop(name, direction) for name in (names if direction == "up" else names[::-1]))


def time_of(outcome: Outcome, name: str = "x") -> float:
    return outcome.completion_s[name]


@pytest.mark.parametrize("size", [1448, 20_000, 200_000, 4_000_000])
@pytest.mark.parametrize(("rate_bps", "rtt_s"), [(1e6, 0.6), (5e6, 0.03), (20e6, 0.6), (100e6, 0.02)])
def test_a_flow_alone_takes_the_closed_form(rate_bps: float, rtt_s: float, size: int) -> None:
    link = LinkSpec("l", rate_bps, rate_bps, rtt_s / 2, queue_packets=DEEP)
    simulated_s = time_of(simulate([link], [FlowSpec("x", way("l"), size, control="reno")], seed=1))
    assert simulated_s == pytest.approx(transfer_time(size, rate_bps, rtt_s, rtt_s / 2), rel=0.02)


NS3_TREE = [
    # TCP, buffer, (core, site), flows: direction, access up and down Mbit/s, delay ms, bytes, start, seconds in ns-3.37
    ("reno", 100, (8, 20, 30), [("down", 5, 15, 35, 4_000_000, 0.0, 3.472)]),
    ("cubic", 100, (8, 20, 30), [("up", 0.7, 0.7, 25, 1_000_000, 0.0, 12.029)]),
    ("bbr", 20, (0.1, 0.2, 200), [("up", 0.06, 0.06, 400, 250_000, 0.0, 40.2253)]),
    ("reno", 500, (10, 50, 25), [
        ("up", 1, 4, 60, 4_000_000, 15.34, 40.3107), ("up", 100, 100, 0.5, 2000, 18.401247, 0.0843816),
        ("down", 0.7, 0.7, 25, 1_000_000, 28.312528, 12.013), ("up", 1, 4, 60, 20_000, 13.623843, 0.496297),
    ]),
    ("cubic", 100, (0.1, 0.2, 200), [
        ("up", 0.06, 0.06, 400, 1_000_000, 7.61, 142.067), ("down", 20, 20, 3, 60_000, 1.711247, 3.11516),
        ("up", 100, 100, 0.5, 60_000, 17.152528, 7.30363), ("up", 0.7, 0.7, 25, 20_000, 25.283843, 6.37344),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("control", "buffer", "site", "flows"), NS3_TREE)
def test_trees_take_what_ns3_takes(
    control: ControlName, buffer: int, site: tuple[float, ...], flows: list[tuple[Direction, *tuple[float, ...]]]
) -> None:
    links = [LinkSpec("core", 1e9, 1e9, 0.002, queue_packets=buffer)]
    links.append(LinkSpec("site", site[0] * 1e6, site[1] * 1e6, site[2] / 1e3, queue_packets=buffer))
    specs = []
    for k, (direction, up, down, delay_ms, size, start_s, _) in enumerate(flows):
        links.append(LinkSpec(f"a{k}", up * 1e6, down * 1e6, delay_ms / 1e3, queue_packets=buffer))
        hops = way(f"a{k}", "site", "core", direction=direction)
        specs.append(FlowSpec(f"{k}", hops, int(size), start_s, control))
    outcome = simulate(links, specs, seed=1, stack=NS3_STACK)
    for k, flow in enumerate(flows):
        assert time_of(outcome, f"{k}") == pytest.approx(flow[-1], rel=1e-4)


def test_acks_behind_an_upload_slow_a_download() -> None:
    links = [LinkSpec("dsl", 1e6, 8e6, 0.02, queue_packets=100)]
    download = FlowSpec("x", way("dsl", direction="down"), 1_000_000)
    upload = FlowSpec("up", way("dsl"), 4_000_000)
    alone_s = time_of(simulate(links, [download], seed=1))
    assert time_of(simulate(links, [replace(download, start_s=10.0), upload], seed=1)) > 2 * alone_s


def test_the_shorter_round_trip_gets_more_of_a_full_link() -> None:
    links = [LinkSpec("near", 1e8, 1e8, 0.005), LinkSpec("far", 1e8, 1e8, 0.1), LinkSpec("l", 5e6, 5e6, 0.005, 0.0, 60)]
    flows = [FlowSpec(name, way(name, "l"), 3_000_000, control="reno") for name in ("near", "far")]
    outcome = simulate(links, flows, seed=1)
    assert time_of(outcome, "far") > 1.3 * time_of(outcome, "near")


def test_both_directions_of_a_half_duplex_medium_share_it() -> None:
    times = []
    for shared in (False, True):
        links = [LinkSpec("wifi", 5e6, 5e6, 0.003, queue_packets=200, is_shared_medium=shared)]
        flows = [FlowSpec("x", way("wifi"), 1_000_000), FlowSpec("y", way("wifi", direction="down"), 1_000_000)]
        times.append(max(simulate(links, flows, seed=1).completion_s.values()))
    assert times[1] == pytest.approx(2 * times[0], rel=0.15)


def test_a_deep_buffer_delays_who_comes_later() -> None:
    def late_s(buffer: int) -> float:
        links = [LinkSpec("l", 1e6, 1e6, 0.02, queue_packets=buffer)]
        flows = [FlowSpec("long", way("l"), 3_000_000, control="reno"), FlowSpec("x", way("l"), 1448, start_s=8.0)]
        return time_of(simulate(links, flows, seed=1))

    assert late_s(400) > late_s(10) + 1.0


def test_random_loss_slows_and_the_seed_decides_how_much() -> None:
    def seconds(loss: float, seed: int) -> float:
        link = LinkSpec("l", 2e7, 2e7, 0.03, loss)
        return time_of(simulate([link], [FlowSpec("x", way("l"), 1_000_000)], seed=seed))

    assert seconds(0.02, 1) == seconds(0.02, 1) != seconds(0.02, 2)
    assert min(seconds(0.02, seed) for seed in range(5)) > seconds(0.0, 1)


def test_tls_costs_a_round_trip_and_an_open_connection_none() -> None:
    link = LinkSpec("l", 1e8, 1e8, 0.05)
    times = [time_of(simulate([link], [FlowSpec("x", way("l"), 5000, round_trips=n)], seed=1)) for n in (0, 1, 2)]
    assert times == pytest.approx([0.05, 0.15, 0.25], rel=0.03)


def test_a_spent_event_budget_is_said() -> None:
    outcome = simulate([LinkSpec("l", 1e6, 1e6, 0.01)], [FlowSpec("x", way("l"), 10**6)], seed=1, max_events=100)
    assert outcome.is_cut_short
    assert time_of(outcome) == float("inf")


def test_a_dead_path_is_given_up() -> None:
    outcome = simulate([LinkSpec("l", 1e6, 0.0, 0.01)], [FlowSpec("x", way("l"), 1000)], seed=1)
    assert time_of(outcome) == float("inf")
    assert not outcome.is_cut_short


def test_wrong_input_is_refused() -> None:
    link = LinkSpec("l", 1e6, 1e6, 0.01)
    with pytest.raises(ValueError, match="unknown link 'm'"):
        simulate([link], [FlowSpec("x", way("m"), 1)], seed=1)
    with pytest.raises(ValueError, match="unique"):
        simulate([link], [FlowSpec("x", way("l"), 1)] * 2, seed=1)
    with pytest.raises(ValueError, match="not unique"):
        simulate([link, link], [], seed=1)
    with pytest.raises(ValueError, match="unknown congestion control"):
        simulate([link], [FlowSpec("x", way("l"), 1, control="vegas")], seed=1)  # type: ignore[arg-type]


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[LinkSpec], list[FlowSpec]]:
    rate = st.sampled_from([2e5, 1e6, 5e6, 2e7])
    queue = st.sampled_from([4, 20, 100])
    names = ["core", "s0", "s1"]
    links = [
        LinkSpec(
            name, draw(rate), draw(rate), draw(st.sampled_from([0.0, 0.003, 0.1])),
            draw(st.sampled_from([0.0, 0.0, 0.02])), draw(queue), draw(st.booleans()),
        ) for name in names
    ]  # fmt: skip
    flow = st.tuples(
        st.sampled_from(names[1:]), st.sampled_from(["up", "down"]), st.sampled_from([1, 2000, 60_000, 300_000]),
        st.sampled_from([0.0, 0.0, 0.7]), st.sampled_from(["cubic", "reno", "bbr"]),
    )  # fmt: skip
    flows = [
        FlowSpec(f"f{k}", way(site, "core", direction=direction), size, start_s, control)  # type: ignore[arg-type]
        for k, (site, direction, size, start_s, control) in enumerate(draw(st.lists(flow, min_size=1, max_size=4)))
    ]
    return links, flows


@settings(max_examples=40, deadline=None)
@given(case=cases(), stack=st.sampled_from([LINUX_STACK, NS3_STACK]))
def test_bytes_are_conserved_and_no_link_carries_more_than_it_can(
    case: tuple[list[LinkSpec], list[FlowSpec]], stack: object
) -> None:
    links, flows = case
    stack = replace(LINUX_STACK if stack is LINUX_STACK else NS3_STACK, data_retries=0, syn_retries=0)
    outcome = simulate(links, flows, seed=3, stack=stack, max_events=400_000)
    if outcome.is_cut_short:
        return
    payload: dict[tuple[str, Direction], int] = {}
    for flow in flows:
        assert 0 < outcome.completion_s[flow.name] < float("inf")
        for hop in flow.hops:
            payload[hop.link, hop.direction] = payload.get((hop.link, hop.direction), 0) + flow.size_bytes
    for link in links:
        air_s = 0.0
        for direction, rate_bps in (("up", link.up_bps), ("down", link.down_bps)):
            carried = outcome.carried_bytes[link.name, direction]
            assert carried >= payload.get((link.name, direction), 0)
            queued = link.queue_packets + 2  # accepted, but perhaps not yet sent at the end
            busy_s = max(0.0, carried - queued * 1502) * 8 / rate_bps
            assert busy_s <= outcome.ended_s + 1e-6
            air_s += busy_s
        assert not link.is_shared_medium or air_s <= outcome.ended_s + 1e-6


@settings(max_examples=15, deadline=None)
@given(case=cases(), data=st.data())
def test_the_order_of_links_and_flows_does_not_matter(
    case: tuple[list[LinkSpec], list[FlowSpec]], data: st.DataObject
) -> None:
    links, flows = case
    mixed = data.draw(st.permutations(links)), data.draw(st.permutations(flows))
    one, other = (simulate(*each, seed=5, max_events=100_000) for each in (case, mixed))
    assert one.completion_s == other.completion_s
    assert one.events == other.events
