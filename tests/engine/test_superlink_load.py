"""How busy SuperNodes keep a SuperLink: exact mean value analysis as the witness, limits, notices, and the delay in runs."""

import math
from dataclasses import replace

import pytest
from engine_helpers import DEVICE, make_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.flower.load import Load, idle_load, notice, request_s, response_s
from emulator.plan import FlowerSettings, TimingOnly

FLOWER = FlowerSettings()


def mean_value_analysis(nodes, pause_s, service_s):
    """Return the exact response time of a closed network: one exponential server, ``nodes`` customers who pause."""
    queue = 0.0
    for count in range(1, nodes + 1):
        response = service_s * (1 + queue)
        queue = count * response / (pause_s + response)
    return response


@pytest.mark.parametrize("nodes", [1, 10, 100, 300, 500, 600, 700, 1000, 5000])
def test_response_is_close_to_exact_mean_value_analysis(nodes):
    exact = mean_value_analysis(nodes, 3.0, 0.0045)
    tolerance = 0.25 if 0.8 < nodes * 0.0045 / 3 < 1.2 else 0.03  # the approximation is known to be worst at the knee
    assert response_s(nodes, 3.0, 0.0045) == pytest.approx(exact, rel=tolerance)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 200_000), st.floats(0.1, 60), st.floats(1e-5, 0.05))
def test_response_lies_between_its_asymptotes(nodes, pause_s, service_s):
    response = response_s(nodes, pause_s, service_s)
    assert response >= max(service_s, nodes * service_s - pause_s) - 1e-6 * response
    assert response <= nodes * service_s * (1 + 1e-6)


def test_hundred_thousand_nodes_make_thirty_three_thousand_polls_a_second_and_that_is_said():
    load = idle_load(100_000, FLOWER, FLOWER.request_cpu_s)
    assert load.requests_per_s == pytest.approx(100_000 / 3 + 100_000 / 20)
    assert load.utilisation > 100
    text = notice(load, FLOWER)
    assert "overloaded" in text
    assert "38,333 requests a second" in text
    assert "longer than Flower waits" in text


def test_busy_is_told_and_idle_is_not():
    assert notice(idle_load(10, FLOWER, 0.0045), FLOWER) == ""
    assert "busy before any message" in notice(idle_load(450, FLOWER, 0.0045), FLOWER)
    assert idle_load(10, FLOWER, 0.0) == Load(10, 10 / 3 + 0.5, math.inf, 0.0)


def test_cost_of_a_request_follows_the_servers_processor():
    assert request_s(make_plan("work_app", flower=FLOWER)) == pytest.approx(
        FLOWER.request_cpu_s * DEVICE.cpu_time_factor
    )


def timed(nodes, request_cpu_s, **timing):
    spec = TimingOnly(rounds=1, deadline_s=900.0, download_bytes=2e4, upload_bytes=2e4, **timing)
    return make_plan("work_app", nodes, timing=spec, flower=FlowerSettings(request_cpu_s=request_cpu_s))


def test_messages_of_many_clients_queue_at_the_superlink(run_plan):
    """40 clients, 20 objects each way: 22 requests to fetch, 21 to send, 21 for the ServerApp to take, one after the other."""
    spent = 0.004 * DEVICE.cpu_time_factor * 40 * (22 + 21 + 21)
    free, busy = run_plan(timed(40, 0.0)), run_plan(timed(40, 0.004))
    added = busy.rows("round_closed")[0].t_s - free.rows("round_closed")[0].t_s
    assert 0.5 * spent < added < spent + 3.0  # polls spread over 3 s and pulls every 3 s hide a part
    assert not busy.rows("notice")


def test_overload_is_a_notice_and_changes_nothing_else(run_plan):
    free, overloaded = run_plan(timed(20, 0.0)), run_plan(timed(20, 0.2))
    notices = overloaded.rows("notice")
    assert len(notices) == 1
    assert "overloaded 3.1 times" in notices[0].note
    closed = [run.rows("round_closed")[0].t_s for run in (free, overloaded)]
    assert closed[0] == closed[1]


def test_slower_polls_relieve_the_superlink():
    often, rarely = (idle_load(1000, replace(FLOWER, supernode_poll_s=pause), 0.0045) for pause in (3.0, 30.0))
    assert often.utilisation == pytest.approx(1000 * (1 / 3 + 1 / 20) * 0.0045)
    assert rarely.utilisation == pytest.approx(1000 * (1 / 30 + 1 / 20) * 0.0045)
    assert rarely.response_s < 0.02 < often.response_s
