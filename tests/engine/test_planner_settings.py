"""The settings of ``flower:`` that a planner may turn: each moves requests and latency by its closed form."""

import math
from dataclasses import replace

import numpy as np
import pytest
from engine_helpers import make_plan
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from emulator.flower import adapter, protocol
from emulator.plan import FlowerSettings, LinkState, TimingOnly

BASE = FlowerSettings(is_tls=False, request_cpu_s=0.0)
DELAY_S = 0.3


@pytest.fixture
def sizes_with():
    """Sizes of a message of 12 arrays of 2 MB under some settings; what the process does by default comes back after."""

    def sizes(**changes):
        flower = replace(BASE, **changes)
        adapter.set_object_form(chunk_bytes=flower.chunk_bytes, is_fused=flower.is_fused)
        adapter.set_identity(adapter.SERVER_NODE_ID)
        generator = np.random.default_rng(1)
        arrays = {f"w{n}": Array(generator.standard_normal(500_000).astype(np.float32)) for n in range(12)}
        content = RecordDict({"arrays": ArrayRecord(arrays), "config": ConfigRecord({"round": 1})})
        return adapter.object_sizes(Message(content, dst_node_id=5, message_type="train", group_id="1"))

    yield sizes
    adapter.set_object_form(chunk_bytes=BASE.chunk_bytes, is_fused=False)


def timed(run_plan, objects=20, **changes):
    """Return the seconds of download and upload of one client 300 ms away, whose messages of 40 kB are all round trips."""
    spec = TimingOnly(
        rounds=2, deadline_s=900.0, download_bytes=4e4, upload_bytes=4e4, download_objects=objects, upload_objects=objects,
        work={"train_macs": 1e9},
    )  # fmt: skip
    plan = make_plan("work_app", 1, timing=spec, flower=replace(BASE, **changes))
    state = (LinkState(0.0, 1e9, DELAY_S),)
    outcome = run_plan(replace(plan, links=tuple(replace(link, up=state, down=state) for link in plan.links)))
    finished = outcome.rows("transfer_finished", round=2)
    return [row.value for row in finished]


def test_more_lanes_save_round_trips(run_plan):
    one, two, five = (timed(run_plan, lanes=lanes) for lanes in (1, 2, 5))
    for slow, fast, lanes in ((one, two, 2), (one, five, 5)):
        for index, way in enumerate(("download", "upload")):
            saved = (slow[index] - fast[index]) / (2 * DELAY_S)
            # lanes that were idle for 5 s shake hands first and miss a round trip: all but one before an upload
            least = 20 - math.ceil((20 + lanes - 1) / lanes)
            most = least if way == "upload" else 20 - math.ceil(20 / lanes)
            assert least - 0.1 <= saved <= most + 0.1


def test_fused_arrays_are_one_object_and_its_chunks(sizes_with):
    apart, fused = sizes_with(), sizes_with(is_fused=True)
    # message, content, two records; then 12 arrays of one chunk each, or one array of 24 MB in five chunks
    assert apart.objects == 4 + 12 * 2
    assert fused.objects == 4 + 1 + math.ceil(24e6 / BASE.chunk_bytes)
    assert fused.total_bytes == pytest.approx(apart.total_bytes, rel=0.001)
    saved = protocol.download(apart, BASE, first_contact_bytes=None, new_connections=0).round_trips - (
        protocol.download(fused, BASE, first_contact_bytes=None, new_connections=0).round_trips
    )
    assert saved == math.ceil(apart.objects / 2) - math.ceil(fused.objects / 2)


def test_fused_arrays_in_a_run_without_learning(run_plan):
    apart, fused = timed(run_plan, objects=40), timed(run_plan, objects=40, is_fused=True)
    assert (apart[1] - fused[1]) / (2 * DELAY_S) == pytest.approx(
        math.ceil(41 / 2) - math.ceil(8 / 2), abs=0.1
    )  # 40 objects, or 7


def test_smaller_chunks_are_more_requests(sizes_with):
    whole, small = sizes_with(), sizes_with(chunk_bytes=600_000)
    assert small.objects - whole.objects == 12 * (math.ceil(2e6 / 600_000) - 1)


def test_chunk_size_reaches_a_real_run(run_plan):
    """The first model is all zeros: of 16 equal chunks one travels."""
    config = {"num-server-rounds": 1, "parameters": 20_000, "train-macs": 0.0}
    forms = (replace(BASE, chunk_bytes=size) for size in (5_000_000, 10_000))
    whole, cut = (run_plan(make_plan("work_app", 1, config=config, flower=flower)) for flower in forms)
    sizes = [run.rows("transfer_finished", note="download")[0].size_bytes for run in (whole, cut)]
    assert sizes[0] - sizes[1] == pytest.approx(
        160_000 - 2 * 10_000, rel=0.02
    )  # one of zeros, and the first with its head
    adapter.set_object_form(chunk_bytes=BASE.chunk_bytes, is_fused=False)


def test_poll_intervals_set_the_wait(run_plan):
    for pause_s in (1.0, 30.0):
        up, down = protocol.idle_bytes(replace(BASE, supernode_poll_s=pause_s), 3600.0, 0.0, 0.0)
        polls = 3600 / pause_s * protocol.wire.empty_poll(is_tls=False).up
        beats = 3600 / 20 * protocol.wire.heartbeat(is_tls=False).up
        assert up == pytest.approx(polls + beats)
        assert down < up
