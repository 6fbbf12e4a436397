"""Training of a sample, and timing with calls recorded from a real client."""

import json
from dataclasses import replace

import numpy as np
import pytest
from engine_helpers import make_plan

from emulator.compute.recorded import read_calls
from emulator.plan import Outage, RecordedCall, TimingOnly


def sampled(clients: int, *trained: int, app: str = "numpy_app", **changes):
    """Return a plan of an app in which only some clients train."""
    config = {"num-server-rounds": 2, "min-nodes": 1} | changes.pop("config", {})
    plan = make_plan(app, clients, config=config, **changes)
    return replace(plan, app=replace(plan.app, trained=tuple(f"client-{index:02d}" for index in trained)))


def test_the_model_is_that_of_the_trained_clients_alone(run_plan):
    """Three of twelve train: the weights equal, bit for bit, those of a run that has these three clients and no others."""
    whole = run_plan(sampled(12, 2, 5, 11))
    alone = run_plan(make_plan("numpy_app", 3, config={"num-server-rounds": 2, "min-nodes": 1}))
    for number in (1, 2):
        np.testing.assert_array_equal(whole.weights(number)["weights"], alone.weights(number)["weights"])
    asked = {row.node for row in whole.rows("message_pushed")}
    assert len(asked) == 12
    assert [row.value for row in whole.rows("round_opened")] == [12, 12]
    assert [row.value for row in whole.rows("round_closed")] == [12, 12]
    sizes = {name: sorted(row.size_bytes for row in whole.rows("reply_received", node=name)) for name in asked}
    for found in sizes.values():
        assert found == pytest.approx(sizes["client-02"], abs=64)  # a reply's metadata names its client
    # only trained clients say how well they did
    assert {row.node for row in whole.rows("metric") if row.node} == {"client-02", "client-05", "client-11"}


def test_stand_ins_have_devices_links_and_outages_of_their_own(run_plan):
    plan = sampled(8, 0, 1, outages=(Outage(0.0, 5000.0, "client-06", "power cut"),))
    slow = tuple(
        replace(n, device=replace(n.device, cpu_time_factor=40.0)) if n.name == "client-07" else n for n in plan.nodes
    )
    run = run_plan(replace(plan, nodes=slow))
    assert "client-06" not in {row.node for row in run.rows("message_pushed")}
    assert [row.value for row in run.rows("round_closed")] == [7, 7]
    compute = {row.node: row.value for row in run.rows("compute_finished", round=1) if row.node != "server"}
    assert set(compute) == {f"client-{index:02d}" for index in (0, 1, 2, 3, 4, 5, 7)}


def test_where_a_trained_client_is_down_the_others_take_its_part(run_plan):
    plan = sampled(9, 0, 1, 2, outages=(Outage(0.0, 1e5, "client-00", "power cut"),))
    run = run_plan(plan)
    asked = {row.node for row in run.rows("message_pushed", round=1)}
    assert sorted(asked) == [f"client-{index:02d}" for index in range(1, 9)]


def test_a_trained_client_lost_on_the_way_leaves_the_others_an_outcome(run_plan):
    config = {"timeout-s": 600.0, "num-server-rounds": 1}
    plan = sampled(6, 0, app="work_app", config=config, outages=(Outage(0.5, 1e5, "client-00", "power cut"),))
    run = run_plan(plan)
    answered = {row.node for row in run.rows("reply_received", round=1, note="ok")}
    assert answered == {f"client-{index:02d}" for index in range(1, 6)}


def test_repeats_bit_for_bit_with_one_worker_and_two(run_plan):
    digests = {run_plan(sampled(7, 1, 4, app="work_app"), workers=workers).digest for workers in (1, 2)}
    assert len(digests) == 1


def test_a_run_records_calls_that_timing_replays(run_plan):
    """Recorded from one client, replayed by all: the same sizes, and on the same device the same computing time."""
    real = run_plan(make_plan("work_app", 3, config={"num-server-rounds": 2, "train-macs": 1e9}))
    calls = read_calls(real.folder / "calls.json", None)
    assert len(calls) == 2
    assert calls[0].work == {"train_macs": 1e9}
    timed = run_plan(make_plan("work_app", 3, timing=TimingOnly(4, 600.0, calls=calls)))
    sent = [row.size_bytes for row in timed.rows("message_pushed", node="client-00")]
    assert sent[:2] == [row.size_bytes for row in real.rows("message_pushed", node="client-00")]
    assert sent[2:] == [sent[1]] * 2  # the last call serves all further rounds
    real_s = [row.value for row in real.rows("compute_finished", node="client-00")]
    timed_s = [row.value for row in timed.rows("compute_finished", node="client-00")]
    assert timed_s[:2] == pytest.approx(real_s, abs=1.0)  # a start overlaps with the download by less than a period
    assert [row.value for row in timed.rows("round_closed")] == [3] * 4


def test_calls_of_an_app_that_reports_no_work_keep_their_cpu_seconds(run_plan):
    real = run_plan(make_plan("numpy_app", 2, config={"num-server-rounds": 1, "min-nodes": 2}))
    (call,) = read_calls(real.folder / "calls.json", "client-01")
    assert call.work is None
    assert call.cpu_s > 0
    timed = run_plan(make_plan("work_app", 2, timing=TimingOnly(1, 600.0, calls=(call,))))
    assert [row.value for row in timed.rows("round_closed")] == [2]


def test_what_is_no_record_is_refused(tmp_path):
    path = tmp_path / "calls.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"which is no calls\.json of a run folder"):
        read_calls(path, None)
    path.write_text("{}")
    with pytest.raises(ValueError, match="holds no calls"):
        read_calls(path, None)
    call = RecordedCall(1.0, 1, 2.0, 2, {"samples": 3.0}, 4.0).__dict__
    path.write_text(json.dumps({"a": [call], "b": [call, call], "c": []}))
    assert len(read_calls(path, None)) == 2
    with pytest.raises(ValueError, match=r"client .c. made no calls in calls\.json; allowed: a, b"):
        read_calls(path, "c")
