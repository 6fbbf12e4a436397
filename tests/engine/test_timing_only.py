"""Timing without learning: given sizes and work, the same world."""

from dataclasses import replace
from pathlib import Path

import pytest
from engine_helpers import DEVICE, digest_of, emulate, make_plan

from emulator.errors import Stalled
from emulator.flower import protocol
from emulator.flower.adapter import ObjectSizes
from emulator.models import thermal
from emulator.plan import Outage, Thermal, TimingOnly

SPEC = TimingOnly(3, 300.0, 1, 100e3, 10, 50e3, 5, {"train_macs": 1e9}, 20e6)


def test_sizes_work_and_memory_are_those_given(run_plan):
    outcome = run_plan(make_plan("work_app", 4, timing=SPEC))
    assert [row.value for row in outcome.rows("round_closed")] == [4, 4, 4]
    assert {row.size_bytes for row in outcome.rows("message_pushed")} == {100_000}
    assert {row.size_bytes for row in outcome.rows("reply_received")} == {50_000}
    expected = 5.0 + 1e9 * DEVICE.seconds_per_unit["train_macs"]
    # a process start overlaps with the download before it, by less than the SuperExec's period
    assert all(expected - 1.0 <= row.value <= expected for row in outcome.rows("compute_finished", note="train"))
    flower = outcome.plan.flower
    sent = {protocol.upload(ObjectSizes(5, 50_000), flower, new_connections=n).forward_bytes for n in (0, 1, 2)}
    assert {row.size_bytes for row in outcome.rows("transfer_started", note="upload")} <= sent
    aggregated = outcome.rows("compute_finished", node="server", note="aggregate")
    assert aggregated[0].value == pytest.approx(4 * 50e3 / 4 * DEVICE.seconds_per_unit["array_elements"])


def test_too_little_memory_and_too_late_replies(run_plan):
    small = TimingOnly(1, 300.0, work={"train_macs": 1e9}, memory_bytes=1.6e9)
    outcome = run_plan(make_plan("work_app", 2, timing=small))
    assert {row.note for row in outcome.rows("compute_lost")} == {"out of memory"}
    assert outcome.rows("round_closed")[0].value == 0
    slow = TimingOnly(2, 10.0, work={"train_macs": 5e9})
    outcome = run_plan(make_plan("work_app", 2, timing=slow))
    assert [row.value for row in outcome.rows("round_closed")] == [0, 0]


def test_a_device_without_a_fan_slows_down_and_recovers(run_plan):
    """Work of 300 s a round: the first round meets the limit on its way, later ones start warm; a long pause cools."""
    limits = Thermal(time_constant_s=200.0, limit_heat=0.5, throttled_speed=0.5)
    plan = make_plan("work_app", 1, timing=TimingOnly(3, 3000.0, work={"train_macs": 30e9}))
    bare = replace(plan, nodes=tuple(replace(n, device=replace(n.device, thermal=limits)) for n in plan.nodes))
    cool_s = [row.value for row in run_plan(plan).rows("compute_finished", note="train")]
    warm = run_plan(bare).rows("compute_finished", note="train")
    full_s = thermal.full_speed_s(limits, 0.0)
    assert warm[0].value == pytest.approx(full_s + (cool_s[0] - full_s) / 0.5, abs=1.0)
    assert cool_s[1] / warm[1].value < cool_s[0] / warm[0].value < 1
    assert warm[1].value < cool_s[1] / 0.5  # the pause between two rounds gives back a little full speed


def test_too_few_nodes_is_told(run_plan):
    with pytest.raises(Stalled, match="3 nodes are needed for a round"):
        run_plan(make_plan("work_app", 2, timing=TimingOnly(1, 10.0, min_nodes=3)))
    later = make_plan(
        "work_app", 2, timing=TimingOnly(1, 100.0, min_nodes=2), outages=(Outage(0.0, 500.0, "client-00", "off"),)
    )
    assert run_plan(later).rows("round_opened")[0].t_s >= 530.0


def test_same_timing_as_the_real_app_with_the_same_sizes(run_plan):
    """A real run and a timing-only run with its sizes and work agree on when every reply is in."""
    real = run_plan(make_plan("work_app", 3, config={"num-server-rounds": 1, "train-macs": 1e9}))
    pushed, replied = real.rows("message_pushed")[0], real.rows("reply_received")[0]
    spec = TimingOnly(1, 600.0, 1, pushed.size_bytes, 4, replied.size_bytes, 5, {"train_macs": 1e9}, 10e6)
    timed = run_plan(make_plan("work_app", 3, timing=spec))
    real_s = {r.node: r.value for r in real.rows("compute_finished", note="train")}
    timed_s = {r.node: r.value for r in timed.rows("compute_finished", note="train")}
    assert timed_s == pytest.approx(real_s, abs=1.0)  # as above
    ends = [max(r.t_s for r in run.rows("transfer_finished", note="upload")) for run in (real, timed)]
    assert ends[1] == pytest.approx(ends[0], abs=3.5)  # the poll phase moves with the server's own start-up work


def test_scenario_runs_and_repeats(tmp_path):
    scenario = Path(__file__).parents[1] / "scenarios" / "country_timing.yaml"
    for run in ("a", "b"):
        done = emulate(str(scenario), "--out", str(tmp_path), "--run", run, hash_seed=hash(run) % 1000)
    assert digest_of(tmp_path / "country_timing" / "a") == digest_of(tmp_path / "country_timing" / "b")
    assert "5 of 5" in done.stdout
    assert (tmp_path / "country_timing" / "a" / "report.html").exists()
