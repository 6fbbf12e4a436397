"""Flows over links that fail: pauses, probing, restarts."""

from __future__ import annotations

import pytest
from network_helpers import finish_times, link, run_out, up

from emulator.backends.des.network import Network
from emulator.backends.des.transfer import GOODPUT, probe_time, rto_s, syn_time, tail_probe_s, transfer_time

RTT_S = 0.04


def run_with_outage(cut_s: float, outage_s: float, size: float = 1e6) -> tuple[float, list[str], float]:
    """Return the end, the kinds of events, and the payload sent before the cut."""
    network = Network([link("l", 1e6, RTT_S / 2)])
    network.start("f", up("l"), size, 0.0)
    events = network.advance(cut_s)
    network.set_link_up("l", False, cut_s)
    events += network.advance(cut_s)
    sent = events[-1].delivered_bytes
    events += network.advance(cut_s + outage_s)
    network.set_link_up("l", True, cut_s + outage_s)
    events += run_out(network)
    return finish_times(events)["f"], [event.kind for event in events], sent


@pytest.mark.parametrize("outage_s", [0.5, 1.0, 5.0, 60.0, 3600.0])
def test_a_cut_flow_resumes_with_its_probe_in_slow_start(outage_s: float) -> None:
    end_s, kinds, sent = run_with_outage(3.0, outage_s)
    resumed_s = 3.0 + probe_time(outage_s, tail_probe_s(RTT_S, rto_s(RTT_S)) + rto_s(RTT_S), rto_s(RTT_S))
    rest, window, seg_s = (1e6 - sent) / 1448, 1, 12000 / 1e6
    while rest > window and window * seg_s < RTT_S + seg_s:  # from one segment, doubling
        rest, window, resumed_s = rest - window, 2 * window, resumed_s + RTT_S + seg_s
    assert kinds == ["stalled", "resumed", "finished"]
    assert end_s == pytest.approx(resumed_s + rest * seg_s + RTT_S / 2, rel=1e-6)


def test_an_outage_shorter_than_the_first_timeout_is_a_pause() -> None:
    end_s, _, _ = run_with_outage(3.0, 0.25)
    assert end_s == pytest.approx(transfer_time(1e6, 1e6, RTT_S, RTT_S / 2, tls=True) + 0.25)


def test_a_flow_cut_while_connecting_tries_again() -> None:
    network = Network([link("l", 1e6, 0.3)])
    network.start("f", up("l"), 1000, 0.0)
    network.set_link_up("l", False, 0.5)
    network.set_link_up("l", True, 7.0)
    events = run_out(network)
    expected_s = 0.5 + syn_time(6.5) + transfer_time(1000, 1e6, 0.6, 0.3, tls=True)
    assert finish_times(events)["f"] == pytest.approx(expected_s)


def test_a_flow_started_on_a_dead_path_stalls_at_once_and_names_the_link() -> None:
    network = Network([link("a"), link("b")])
    network.set_link_up("b", False, 0.0)
    network.start("f", up("a", "b"), 1000, 1.0)
    (stalled,) = network.advance(1.0)
    assert (stalled.kind, stalled.t_s, stalled.link) == ("stalled", 1.0, "b")
    assert network.next_event_s() is None
    assert network.abort("f", 5.0) == 0.0


def test_the_path_is_up_again_when_its_last_link_is() -> None:
    network = Network([link("a", 1e6, 0.01), link("b", 1e6, 0.01)])
    network.start("f", up("a", "b"), 1e6, 0.0)
    for name, is_up, t_s in [("a", False, 2.0), ("b", False, 3.0), ("a", True, 4.0), ("b", True, 9.0)]:
        network.set_link_up(name, is_up, t_s)
    events = run_out(network)
    assert [event.kind for event in events] == ["stalled", "resumed", "finished"]
    assert events[1].t_s == pytest.approx(
        2.0 + probe_time(7.0, tail_probe_s(0.04, rto_s(0.04)) + rto_s(0.04), rto_s(0.04))
    )


def test_a_probe_that_meets_the_next_outage_is_lost() -> None:
    network = Network([link("l", 1e6, 0.02)])
    network.start("f", up("l"), 1e6, 0.0)
    probe_s = 2.0 + probe_time(3.0, tail_probe_s(0.04, rto_s(0.04)) + rto_s(0.04), rto_s(0.04))
    network.set_link_up("l", False, 2.0)
    network.set_link_up("l", True, 5.0)
    network.set_link_up("l", False, probe_s - 0.01)
    network.set_link_up("l", True, 12.0)
    resumed = [event.t_s for event in run_out(network) if event.kind == "resumed"]
    assert resumed == [
        pytest.approx(2.0 + probe_time(10.0, tail_probe_s(0.04, rto_s(0.04)) + rto_s(0.04), rto_s(0.04)))
    ]


def test_others_use_what_a_stalled_flow_leaves() -> None:
    network = Network([link("a", 8e6, 0.001), link("b", 8e6, 0.001), link("l", 8e6, 0.001)])
    network.start("a", up("a", "l"), 4e6, 0.0)
    network.start("b", up("b", "l"), 4e6, 0.0)
    network.set_link_up("a", False, 1.0)
    network.advance(1.0)
    b_s = finish_times(run_out(network))["b"]
    assert b_s == pytest.approx((4e6 + 0.5e6 * GOODPUT) * 8 / (8e6 * GOODPUT), rel=0.02)
    assert network.active_flows() == ["a"]


def test_bytes_under_way_when_the_link_is_cut_arrive() -> None:
    network = Network([link("l", 1e6, 0.5)])
    network.start("f", up("l"), 1000, 0.0, extra_rtts=0)
    network.set_link_up("l", False, 0.1)
    assert finish_times(run_out(network)) == {"f": pytest.approx(0.5 + 1000 / 1448 * 0.012)}
