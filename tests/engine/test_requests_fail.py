"""Outages that outlast Flower's request time-out, in runs: what is sent again, what the SuperLink refuses, who is told what."""

from dataclasses import replace

import pytest
from engine_helpers import DEVICE, make_plan

from emulator.plan import FlowerSettings, LinkState, NetworkSettings, Outage, TimingOnly

PLAIN = FlowerSettings(is_tls=False)
SIZE = 2_000_000


def timed(*outages, up_bps=2e6, down_bps=2e6, delay_s=0.01, flower=PLAIN, **timing):
    """One client, messages of 2 MB in 4 objects each way, 10 s of work: times that can be counted by hand."""
    spec = TimingOnly(
        rounds=1, deadline_s=1500.0, download_bytes=SIZE, upload_bytes=SIZE, download_objects=4, upload_objects=4,
        work={"train_macs": 1e9}, **timing,
    )  # fmt: skip
    plan = make_plan("work_app", 1, outages=outages, timing=spec, flower=flower)
    up, down = (LinkState(0.0, up_bps, delay_s),), (LinkState(0.0, down_bps, delay_s),)
    links = tuple(replace(link, up=up, down=down) for link in plan.links)
    return replace(plan, links=links, network=NetworkSettings(model="fluid"))  # packets in queues are hard to count


def cut(at_s, length_s):
    return Outage(at_s, at_s + length_s, "client-00/link", "cut")


def sent_bytes(outcome, way):
    return sum(row.size_bytes for row in outcome.rows("link_load", peer=way, note="traffic"))


def phase_start(run_plan, note, **changes):
    return run_plan(timed(**changes)).rows("transfer_started", note=note)[0].t_s


def test_request_that_stands_still_for_thirty_seconds_fails_and_its_objects_are_sent_again(run_plan):
    quiet = run_plan(timed())
    began = quiet.rows("transfer_started", note="download")[0].t_s
    outcome = run_plan(timed(cut(began + 3.0, 40.0)))
    failed = outcome.rows("request_timed_out")
    assert [row.t_s for row in failed] == pytest.approx([began + 33.0])
    resumed = outcome.rows("transfer_resumed")[0].t_s
    assert began + 43.0 <= resumed <= began + 43.0 + 20.0
    # 2 MB at 2 Mbit/s take 8.3 s: two objects of 0.5 MB are under way on two lanes, nothing is complete, 0.7 MB were in vain
    assert failed[0].size_bytes == pytest.approx(0.7e6, rel=0.1)
    wasted = sent_bytes(outcome, "down") - sent_bytes(quiet, "down")
    assert wasted == pytest.approx(failed[0].size_bytes * 1500 / 1448, rel=0.02)
    finished = outcome.rows("transfer_finished", note="download")[0]
    assert finished.t_s == pytest.approx(resumed + 8.5, abs=0.5)
    assert outcome.rows("reply_received")[0].note == "ok"


def test_shorter_outage_is_tcps_affair(run_plan):
    began = phase_start(run_plan, "download")
    outcome = run_plan(timed(cut(began + 3.0, 12.0)))
    assert not outcome.rows("request_timed_out")
    assert outcome.rows("reply_received")[0].note == "ok"


def test_download_goes_on_after_the_superlink_has_given_the_node_up_and_the_reply_is_refused(run_plan):
    began = phase_start(run_plan, "download")
    outcome = run_plan(timed(cut(began + 3.0, 120.0)))
    reply = outcome.rows("reply_received")[0]
    assert reply.note == "node unavailable"
    assert began + 3.0 + 60.0 - 22.5 <= reply.t_s <= began + 3.0 + 63.1
    assert outcome.rows("round_closed")[0].value == 0


def test_refused_reply_is_only_announced(run_plan):
    began = phase_start(run_plan, "download")
    plan = timed(cut(began + 3.0, 120.0))
    outcome = run_plan(replace(plan, timing=replace(plan.timing, rounds=4)))
    upload = outcome.rows("transfer_finished", note="upload", msg="client-00#1")[0]
    assert upload.size_bytes < 2000
    assert outcome.rows("message_dropped", msg="client-00#1")[0].note == "the SuperLink has given the message up"
    later = [row for row in outcome.rows("reply_received") if row.msg != "client-00#1"]
    assert later
    assert {row.note for row in later} == {"ok"}


def test_announced_reply_outlives_its_node_until_the_push_session_ends(run_plan):
    began = phase_start(run_plan, "upload")
    kept = run_plan(timed(cut(began + 3.0, 120.0)))
    assert kept.rows("reply_received")[0].note == "ok"
    lost = run_plan(timed(cut(began + 3.0, 240.0)))
    reply = lost.rows("reply_received")[0]
    assert reply.note == "upload not complete in time"
    assert began + 180.0 <= reply.t_s <= began + 3.0 + 180.0 + 10.1
    assert not lost.rows("message_dropped", note="time to live over")


def test_chunk_that_needs_longer_than_a_push_session_never_gets_through(run_plan):
    # two lanes share 40 kbit/s: two objects of 0.5 MB need 200 s, and the session ends after 180 s
    outcome = run_plan(timed(up_bps=40e3))
    assert outcome.rows("reply_received")[0].note == "upload not complete in time"
    assert sent_bytes(outcome, "up") < 0.55 * SIZE * 1500 / 1448  # the other two objects are not even tried
    # one lane, or a little more rate, and it does
    assert run_plan(timed(up_bps=40e3, flower=replace(PLAIN, lanes=1))).rows("reply_received")[0].note == "ok"
    assert run_plan(timed(up_bps=48e3)).rows("reply_received")[0].note == "ok"


def test_answer_to_an_object_lost_on_a_satellite_link_costs_the_reply(run_plan):
    """Round trips of 2 s: announcement, then two pairs of objects; the cut meets either the objects or their answers."""
    began = phase_start(run_plan, "upload", up_bps=1e9, delay_s=1.0)
    handshakes = 2.0  # both connections were closed during the work
    on_the_way_up = run_plan(timed(cut(began + handshakes + 2.0 + 0.5, 40.0), up_bps=1e9, delay_s=1.0))
    on_the_way_back = run_plan(timed(cut(began + handshakes + 2.0 + 1.5, 40.0), up_bps=1e9, delay_s=1.0))
    assert on_the_way_up.rows("reply_received")[0].note == "ok"
    assert on_the_way_back.rows("reply_received")[0].note == "upload not complete in time"


def test_answer_to_the_finding_poll_lost_leaves_the_message_with_nobody(run_plan):
    began = phase_start(run_plan, "download", delay_s=1.0)
    outcome = run_plan(timed(cut(began + 1.5, 40.0), delay_s=1.0))
    assert outcome.rows("message_dropped")[0].note == "the answer to the poll was lost"
    assert not outcome.rows("compute_started", node="client-00")
    assert outcome.rows("round_closed")[0].value == 0


def test_grid_asks_for_the_objects_of_an_announced_reply_and_does_nothing_else(run_plan):
    plan = timed(up_bps=100e3)  # 165 s of upload
    outcome = run_plan(replace(plan, timing=replace(plan.timing, deadline_s=60.0)))
    upload = outcome.rows("transfer_finished", note="upload")[0]
    reply = outcome.rows("reply_received")[0]
    assert upload.t_s <= reply.t_s <= upload.t_s + 10.0
    assert reply.t_s > 60.0 + outcome.rows("round_opened")[0].t_s  # past the deadline, which it does not look at


def test_node_that_dies_in_its_second_attempt_ends_cleanly(run_plan):
    began = phase_start(run_plan, "download")
    dead = Outage(began + 60.0, began + 500.0, "client-00", "power cut")
    outcome = run_plan(timed(cut(began + 3.0, 50.0), dead))
    assert outcome.rows("transfer_lost")[0].note == "power cut"
    assert outcome.rows("reply_received")[0].note == "node unavailable"


def test_expired_message_is_not_fetched(run_plan):
    """Time to live needs nobody to ask: the SuperNode that is back finds nothing."""
    plan = timed(cut(0.001, 40.0))
    plan = replace(plan, timing=replace(plan.timing, deadline_s=3.0, rounds=25))
    outcome = run_plan(plan)  # messages live for ten deadlines: 30 s
    assert [row.msg for row in outcome.rows("message_dropped", note="time to live over")][:1] == ["client-00#1"]
    assert not outcome.rows("transfer_started", msg="client-00#1")


def restarted(back_s):
    plan = make_plan("work_app", 1, outages=(Outage(10.0, back_s, "client-00", "power cut"),), flower=PLAIN)
    return replace(plan, timing=TimingOnly(rounds=1, deadline_s=600.0, work={"train_macs": 5e9}))


def test_restarted_supernode_is_refused_while_it_is_still_listed(run_plan):
    # last heard at 0 s, so listed until 60 s; booted at 43.5 s, it tries at 53.5 and 63.5 s; the pull at 63 s misses it
    assert DEVICE.boot_s == 30.0
    outcome = run_plan(restarted(13.5))
    assert outcome.rows("reply_received")[0].note == "node unavailable"
    assert outcome.rows("reply_received")[0].t_s == pytest.approx(63.0, abs=0.1)
    # registered again at 61 s, between two pulls: nobody notices, and the lost message is waited for to the deadline
    assert not run_plan(restarted(11.0)).rows("reply_received")
