"""The packet-level model behind the fluid engine's calls."""

from __future__ import annotations

import pytest
from network_helpers import finish_times, link, run_out, up

from emulator.backends.des.tcp.network import PacketNetwork
from emulator.backends.des.tcp.simulate import FlowSpec, LinkSpec, simulate
from emulator.plan import Hop, LinkState


def test_it_gives_the_times_of_the_pure_function() -> None:
    links = [link("a", 2e6, 0.03), link("b", 1e6, 0.1), link("core", 2.5e6, 0.01)]
    network = PacketNetwork(links, routes=[up("a", "core"), up("b", "core")])
    specs = [LinkSpec(one.name, one.up[0].rate_bps, one.down[0].rate_bps, one.up[0].delay_s, 0.0, 100) for one in links]
    flows = [FlowSpec("a", tuple(up("a", "core")), 400_000), FlowSpec("b", tuple(up("b", "core")), 300_000, 0.5)]
    expected = simulate(specs, flows, seed=0).completion_s
    network.start("a", up("a", "core"), 400_000, 0.0, extra_rtts=1.0)
    network.start("b", up("b", "core"), 300_000, 0.5, extra_rtts=1.0)
    times = finish_times(run_out(network))
    assert times["a"] == pytest.approx(expected["a"])
    assert times["b"] - 0.5 == pytest.approx(expected["b"])


def test_events_are_told_when_they_happen_with_few_calls() -> None:
    network = PacketNetwork([link("a", 2e6, 0.03), link("core", 20e6, 0.01)])
    network.start("x", [Hop("core", "down"), Hop("a", "down")], 1_000_000, 0.0)
    calls = 0
    while (next_s := network.next_event_s()) is not None:
        calls += 1
        for event in network.advance(next_s):
            assert event.t_s == pytest.approx(next_s, abs=1e-8)
    assert calls < 100


def test_stepping_and_jumping_agree() -> None:
    def make() -> PacketNetwork:
        network = PacketNetwork([link("a", 2e6, 0.03, loss=0.01)], seed=4)
        network.start("x", up("a"), 300_000, 0.0)
        return network

    assert run_out(make()) == make().advance(1000.0)


def test_an_outage_stalls_and_a_retransmission_resumes() -> None:
    network = PacketNetwork([link("a", 2e6, 0.05)])
    network.start("x", up("a"), 1_000_000, 0.0)
    network.advance(2.0)
    network.set_link_up("a", False, 2.0)
    stalled = network.advance(7.0)
    assert [(event.kind, event.link) for event in stalled] == [("stalled", "a")]
    network.set_link_up("a", True, 7.0)
    events = run_out(network)
    assert [event.kind for event in events] == ["resumed", "finished"]
    assert 7.0 < events[0].t_s < 14.0  # time-outs double, so at most as long again


def test_a_flow_on_a_dead_path_waits_for_it() -> None:
    network = PacketNetwork([link("a", 2e6, 0.05)])
    network.set_link_up("a", False, 0.0)
    network.start("x", up("a"), 10_000, 1.0)
    assert [event.kind for event in network.advance(2.5)] == ["stalled"]
    network.set_link_up("a", True, 2.5)
    assert finish_times(run_out(network))["x"] == pytest.approx(3.0 + 2.5 * 0.1, abs=0.1)  # the third SYN, at 3 s


def test_rates_change_when_they_say() -> None:
    """All but the packets that wait: up to 1.2 s of them leave at the old rate, one limit of the model."""
    states = [LinkState(0.0, 1e6, 0.01), LinkState(5.0, 10e6, 0.01)]
    network = PacketNetwork([link("a", states=states)])
    network.start("x", up("a"), 2_000_000, 0.0)
    at_once_s = 5 + (2e6 - 5 * 1e6 / 8) * 8 / 10e6
    assert at_once_s < finish_times(run_out(network))["x"] < at_once_s + 1.3


def test_an_aborted_flow_says_what_it_sent_and_stays_silent() -> None:
    network = PacketNetwork([link("a", 1e6, 0.01)])
    network.start("x", up("a"), 1_000_000, 0.0)
    sent = network.abort("x", 2.0)
    assert 150_000 < sent < 400_000
    assert run_out(network) == []
    carried = network.take_loads(2.0)
    ((_, direction, rest),) = network.take_loads(60.0)  # what waited in the queue still leaves it
    assert direction == "up"
    assert 0 < rest <= 100 * 1500
    assert network.take_loads(120.0) == []
    assert {(name, direction) for name, direction, _ in carried} == {("a", "up"), ("a", "down")}


def test_loads_add_up_to_payload_and_headers() -> None:
    network = PacketNetwork([link("a", 1e6, 0.01)])
    network.start("x", up("a"), 144_800, 0.0, extra_rtts=0.0)
    run_out(network)
    loads = {direction: size for _, direction, size in network.take_loads(100.0)}
    assert loads["up"] == 100 * 1500
    assert loads["down"] == pytest.approx((16 + 84 / 2) * 52, rel=0.02)


def test_background_goes_first() -> None:
    network = PacketNetwork([link("a", 2e6, 0.01)])
    network.set_background("a", "up", 1e6, 0.0)
    network.start("x", up("a"), 1_000_000, 0.0)
    assert finish_times(run_out(network))["x"] == pytest.approx(8.3, rel=0.05)


def test_jitter_keeps_order_and_loses_nothing() -> None:
    network = PacketNetwork([link("a", states=[LinkState(0.0, 2e6, 0.05, jitter_s=0.02)])])
    network.start("x", up("a"), 500_000, 0.0)
    assert 2.0 < finish_times(run_out(network))["x"] < 3.5


def test_nothing_to_send_and_nowhere_to_go() -> None:
    network = PacketNetwork([link("a", 2e6, 0.05)])
    network.start("empty", up("a"), 0.0, 0.0, extra_rtts=1.0)
    network.start("local", [], 5000.0, 0.0, extra_latency_s=0.25)
    times = finish_times(run_out(network))
    assert times == pytest.approx({"empty": 0.15, "local": 0.25}, rel=0.01)


def test_wrong_calls_are_refused() -> None:
    network = PacketNetwork([link("a")])
    network.start("x", up("a"), 1e6, 1.0)
    with pytest.raises(ValueError, match="already in progress"):
        network.start("x", up("a"), 1.0, 1.0)
    with pytest.raises(ValueError, match="size"):
        network.start("y", up("a"), -1.0, 1.0)
    with pytest.raises(ValueError, match="unknown link"):
        network.start("y", up("b"), 1.0, 1.0)
    with pytest.raises(ValueError, match="fall"):
        network.advance(0.5)
    with pytest.raises(KeyError):
        network.abort("z", 1.0)
