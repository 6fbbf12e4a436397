"""The model of time-outs and retries against a real SuperNode's outages; ``benchmarks/supernode_outage.py`` recorded them."""

import math
from pathlib import Path

import pytest
from outages import lanes_of, modelled_s, read_recorded

from emulator.backends.des.retries import PUSH_SESSION_S, REQUEST_TIMEOUT_S
from emulator.plan import FlowerSettings

ROWS = read_recorded(Path(__file__).parent / "recorded_outages.csv")
POLL_S = FlowerSettings().serverapp_poll_s
OFFLINE_S = FlowerSettings().offline_after_s


def name(row):
    return f"{row.phase}-{row.outage_s:.0f}"


def test_recording_covers_both_directions_and_idling():
    long = {(row.phase, round(row.outage_s)) for row in ROWS if row.outage_s > 30}
    assert {(phase, length) for phase in ("download", "upload", "idle") for length in (40, 90, 150)} <= long


@pytest.mark.parametrize("row", [row for row in ROWS if row.outage_s > 30], ids=name)
def test_superlink_is_reached_again_when_the_model_says(row):
    assert modelled_s(row) == pytest.approx(row.resumed_s, rel=0.10)


@pytest.mark.parametrize("row", [row for row in ROWS if row.retries and row.phase != "idle"], ids=name)
def test_requests_of_both_lanes_fail_after_thirty_seconds_without_progress(row):
    first = [at_s for at_s, _ in row.retries[:2]]
    assert first[0] == pytest.approx(REQUEST_TIMEOUT_S, abs=1.0)
    # the second lane's pause waits for the first lane's
    assert first[1] == pytest.approx(max(first[0] + row.retries[0][1], first[1]), abs=0.2)
    ceilings = (1, 2, 4, 8, 16, 20, 20)
    for pauses in lanes_of(row.retries):
        assert all(pause <= ceiling for pause, ceiling in zip(pauses, ceilings, strict=False))


@pytest.mark.parametrize("row", [row for row in ROWS if row.reply], ids=name)
def test_what_the_server_app_is_told(row):
    """A message of a node that was not heard for 60 s is answered by the SuperLink, unless its reply was announced before."""
    is_heard_in_time = row.beat_s - row.beat_before_cut_s < OFFLINE_S
    if row.phase == "download":
        assert row.reply == ("ok" if is_heard_in_time else "error 5")
        if not is_heard_in_time:
            cut_s = row.reply_s - (
                row.beat_before_cut_s + OFFLINE_S
            )  # after the push: the few seconds until 2 MB were there
            assert 0 < cut_s < 15
    else:
        assert row.reply == ("ok" if row.outage_s < PUSH_SESSION_S else "error 3")


def test_where_no_request_failed_tcp_alone_decides():
    assert math.isnan(modelled_s(ROWS[0]._replace(phase="download", retries=())))
