"""The single-connection closed forms, against published formulas and a kernel's measured times."""

from __future__ import annotations

from math import inf

import pytest

from emulator.backends.des.transfer import (
    GOODPUT,
    loss_bound_bps,
    loss_window,
    path_loss,
    probe_time,
    rto_s,
    segments_before_loss,
    setup_rtts,
    syn_time,
    transfer_time,
    window_after_idle,
)

MEASURED = [
    # Linux 6.18, CUBIC, two namespaces and a user-space shaper:
    # rate (bit/s), RTT (s), payload (bytes), time (s), tolerance
    (1e6, 0.600, 200e3, 3.627, 0.03),
    (5e6, 0.120, 1e6, 2.058, 0.03),
    (20e6, 0.030, 4e6, 1.801, 0.03),
    (20e6, 0.600, 200e3, 2.760, 0.03),
    (20e6, 0.600, 4e6, 6.063, 0.03),
    (5e6, 0.030, 20e3, 0.093, 0.07),  # 6 ms short in 93: host delays of the measuring machine are not modelled
]


@pytest.mark.parametrize(("rate_bps", "rtt_s", "size", "measured_s", "tolerance"), MEASURED)
def test_a_lone_transfer_takes_what_linux_measured(
    rate_bps: float, rtt_s: float, size: float, measured_s: float, tolerance: float
) -> None:
    assert transfer_time(size, rate_bps, rtt_s, rtt_s / 2) == pytest.approx(measured_s, rel=tolerance)


def test_an_open_connection_and_one_window_cost_serialisation_and_delay_only() -> None:
    assert transfer_time(1448, 12e3, 0.2, 0.1, is_new_connection=False) == pytest.approx(0.1 + 1.0)


def test_tls_costs_one_more_round_trip() -> None:
    plain, secure = (transfer_time(1e5, 1e6, 0.2, 0.1, tls=tls) for tls in (False, True))
    assert secure - plain == pytest.approx(0.2)
    assert setup_rtts(is_new_connection=True, is_tls=True) == 2
    assert setup_rtts(is_new_connection=False, is_tls=True) == 0


def test_a_long_transfer_runs_at_the_goodput_of_the_link() -> None:
    assert 1e9 * 8 / transfer_time(1e9, 10e6, 0.05, 0.025) == pytest.approx(10e6 * GOODPUT, rel=1e-3)


def test_the_loss_bound_is_the_larger_of_reno_and_cubic() -> None:
    reno_window = 1.2247 / 0.1
    assert loss_window(0.01, 0.02) == pytest.approx(reno_window, rel=1e-3)
    assert loss_window(0.005, 0.6) == pytest.approx(1.054 * (0.6 / 0.005) ** 0.75)
    assert loss_bound_bps(0.01, 0.02) == pytest.approx(reno_window * 1448 * 8 / 0.02, rel=1e-3)
    assert loss_bound_bps(0.0, 0.02) == inf


def test_slow_start_meets_its_first_loss_after_about_one_in_p() -> None:
    assert segments_before_loss(0.01, 1e6) == pytest.approx(100)
    assert segments_before_loss(0.0, 50) == 50
    assert segments_before_loss(0.001, 5) == pytest.approx(5, rel=0.01)


def test_losses_in_series_add_up() -> None:
    assert path_loss([0.1, 0.0, 0.5]) == pytest.approx(0.55)


PROBES = [(5, 5.35), (10, 10.9), (20, 21.4)]  # outage and resumption measured on Linux


@pytest.mark.parametrize(("outage_s", "measured_s"), PROBES)
def test_probing_resumes_when_linux_did(outage_s: float, measured_s: float) -> None:
    assert probe_time(outage_s, 0.57, 0.33) == pytest.approx(measured_s, rel=0.05)


def test_probes_leave_at_the_times_seen_on_the_wire() -> None:
    seen = [0.57, 1.25, 2.56, 5.21, 10.59]
    times = [probe_time(t * 0.95, 0.57, 0.33) for t in seen]
    assert times == pytest.approx(seen, rel=0.025)


@pytest.mark.parametrize("outage_s", [0.0, 0.3, 7.0, 500.0, 86_400.0, 3e6])
def test_probing_never_resumes_early_nor_later_than_one_gap(outage_s: float) -> None:
    resumed_s = probe_time(outage_s, 0.5, 0.3)
    assert outage_s <= resumed_s <= max(0.5, outage_s + min(120.0, outage_s + 0.6))


def test_connecting_is_retried_linearly_then_doubling() -> None:
    assert [syn_time(t) for t in (0, 0.5, 1, 1.5, 5, 5.5, 8, 12)] == [0, 1, 1, 2, 5, 7, 11, 19]


def test_timeout_and_idle_restart() -> None:
    assert rto_s(0.06) == pytest.approx(0.26)
    assert rto_s(0.6, 0.1) == pytest.approx(1.0)
    assert window_after_idle(80.0, 1.0, 0.3) == 10
    assert window_after_idle(80.0, 0.1, 0.3) == 80
