"""The protocol's timing as pure functions, and what it does in a run."""

import math
from dataclasses import replace

import pytest
from engine_helpers import DEVICE, make_plan

from emulator.flower import protocol, wire
from emulator.flower.adapter import ObjectSizes
from emulator.plan import FlowerSettings, LinkState

PLAIN = FlowerSettings(is_tls=False)
TLS = FlowerSettings(is_tls=True)
SIZES = ObjectSizes(12, 18_260)


def test_requests_of_a_message():
    first = protocol.download(SIZES, PLAIN, first_contact_bytes=16_171, new_connections=1)
    later = protocol.download(SIZES, PLAIN, first_contact_bytes=None, new_connections=1)
    reply = protocol.upload(SIZES, PLAIN, new_connections=2)
    assert (first.requests, later.requests, reply.requests) == (16, 14, 13)
    assert first.forward_bytes - later.forward_bytes > 16_171


@pytest.mark.parametrize(
    ("settings", "fresh", "trips"),
    # poll, 12 objects in two lanes, less half a trip; a new second lane misses the handshake's trips
    [(PLAIN, 0, 6.5), (PLAIN, 1, 7.5), (TLS, 1, 7.5), (PLAIN, 2, 8.5), (TLS, 2, 9.5)],
)
def test_round_trips_of_a_download(settings, fresh, trips):
    assert protocol.download(SIZES, settings, first_contact_bytes=None, new_connections=fresh).round_trips == trips


def test_one_object_never_waits_for_the_second_lane():
    one = ObjectSizes(1, 300)
    assert protocol.download(one, TLS, first_contact_bytes=None, new_connections=1).round_trips == 1.5


def test_connections_close_after_five_idle_seconds():
    assert protocol.new_connections(4.9, PLAIN, is_polling=True) == 0
    assert protocol.new_connections(5.1, PLAIN, is_polling=True) == 1
    assert protocol.new_connections(5.1, PLAIN, is_polling=False) == 2
    rare = FlowerSettings(supernode_poll_s=10.0)
    assert protocol.new_connections(5.1, rare, is_polling=True) == 2


def test_client_app_asks_again_after_growing_waits():
    assert protocol.message_ready_s(10.0, 9.0) == 10.0
    asks = [protocol.message_ready_s(10.0, there) for there in (10.5, 11.5, 14.0, 20.0, 26.0, 36.0, 1e6)]
    assert asks[:6] == [11.0, 13.0, 17.0, 25.0, 35.0, 45.0]
    assert asks[6] == pytest.approx(1e6, abs=10)
    assert (asks[6] - 25.0) % 10 == 0


def test_polls_only_without_a_message_in_hand():
    poll, beat = wire.empty_poll(is_tls=False), wire.heartbeat(is_tls=False)
    up, down = protocol.idle_bytes(PLAIN, 300.0, 0.0, 0.0)
    assert (up, down) == pytest.approx((100 * poll.up + 15 * beat.up, 100 * poll.down + 15 * beat.down))
    assert protocol.idle_bytes(PLAIN, 0.0, 300.0, 0.0) == pytest.approx((15 * beat.up, 15 * beat.down))
    assert protocol.idle_bytes(TLS, 0.0, 300.0, 0.0)[1] > 15 * 2000  # each heartbeat opens a connection


def slow_plan(rate_bps):
    plan = make_plan("work_app", 1, config={"num-server-rounds": 1, "parameters": 200_000, "train-macs": 0.0})
    links = tuple(replace(link, down=(LinkState(0.0, rate_bps, 0.05),)) for link in plan.links)
    return replace(plan, links=links, flower=FlowerSettings(request_cpu_s=0.0))


def test_process_start_overlaps_a_long_download(run_plan):
    """1.6 MB at 0.5 Mbit/s take 26 s: the process is long there, asks now and then, and has half its start still before it."""
    outcome = run_plan(slow_plan(5e5))
    there_s = outcome.rows("transfer_finished", note="download")[0].t_s
    started = outcome.rows("compute_started", node="client-00")[0]
    finished = outcome.rows("compute_finished", node="client-00")[0]
    start_s = DEVICE.seconds_per_unit["process_starts"]
    message_s = finished.t_s - (1 - protocol.START_BEFORE_MESSAGE) * start_s
    assert there_s <= message_s <= there_s + protocol.LONGEST_RETRY_S
    assert started.t_s == pytest.approx(max(there_s, message_s - protocol.START_BEFORE_MESSAGE * start_s))


def test_links_carry_requests_and_answers_too(run_plan):
    plan = make_plan("work_app", 1, config={"num-server-rounds": 2}, flower=PLAIN)
    outcome = run_plan(plan)
    carried = {
        way: sum(row.size_bytes for row in outcome.rows("link_load", peer=way, note="protocol"))
        for way in ("up", "down")
    }
    least, most = (_beside_the_messages(new_connections=new) for new in (0, PLAIN.lanes))
    busy_s = sum(row.value for row in outcome.rows("compute_finished", node="client-00"))
    polls = math.ceil((outcome.events[-1].t_s - busy_s) / 3)
    assert least["up"] < carried["up"] < most["up"] + (polls + 3) * 1100
    assert least["down"] < carried["down"] < most["down"] + (polls + 3) * 300


def _beside_the_messages(*, new_connections):
    """Return the bytes of two rounds' requests, answers and small packets, without polls and heartbeats."""
    sizes = ObjectSizes(6, 10_000)
    downloads = [
        protocol.download(sizes, PLAIN, first_contact_bytes=first, new_connections=new_connections)
        for first in (15_000, None)
    ]
    uploads = [protocol.upload(sizes, PLAIN, new_connections=new_connections)] * 2
    up, down = (
        sum(each.backward_bytes + each.backward_extra_bytes for each in against)
        + sum(each.forward_extra_bytes for each in along)
        for against, along in ((downloads, uploads), (uploads, downloads))
    )
    return {"up": up, "down": down}
