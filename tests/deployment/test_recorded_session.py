"""The model of Flower's protocol against a recording of the real one; ``benchmarks/flower_protocol.py`` makes the recording."""

import json
import sys
from pathlib import Path

import pytest

from emulator.flower import adapter, protocol, wire
from emulator.plan import FlowerSettings

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recorded_session.json").read_text())
PLAIN, TLS = FlowerSettings(is_tls=False), FlowerSettings(is_tls=True)
MESSAGES = RECORDED["plain"]["messages"]
TOLERANCE = 0.02

sys.path.append(str(HERE.parent / "apps" / "arrays_app"))


def sizes_of(arrays, elements):
    """Return the emulator's sizes of the instruction and the reply that the recorded app exchanged."""
    from arrays_app.messages import make_instruction, make_reply
    from flwr.app import Message

    adapter.set_identity(adapter.SERVER_NODE_ID)
    draft = Message(make_instruction(arrays, elements, 1), dst_node_id=5, message_type="train", group_id="1")
    metadata = adapter.instruction_metadata(draft, "client-01#1", 1.8e9)
    instruction = adapter.build_message(metadata, content=draft.content)
    reply = Message(make_reply(arrays, elements, 1001), reply_to=instruction)
    return adapter.object_sizes(instruction), adapter.object_sizes(reply)


def exchanges(row, settings, *, new_connections=(0, 0)):
    """Return the modelled download and upload of a recorded message."""
    instruction, reply = sizes_of(row["arrays"], row["elements"])
    first = RECORDED["plain"]["bundle_bytes"] if row["is_first"] else None
    return (
        protocol.download(instruction, settings, first_contact_bytes=first, new_connections=new_connections[0]),
        protocol.upload(reply, settings, new_connections=new_connections[1]),
    )


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: f"{row['arrays']}x{row['elements']}")
def test_requests_and_bytes_of_a_message(row):
    download, upload = exchanges(row, PLAIN)
    assert (download.requests, upload.requests) == (row["download_requests"], row["upload_requests"])
    assert download.forward_bytes == pytest.approx(row["download_down"], rel=TOLERANCE)
    assert download.backward_bytes == pytest.approx(row["download_up"], rel=TOLERANCE)
    assert upload.forward_bytes == pytest.approx(row["upload_up"], rel=TOLERANCE)
    assert upload.backward_bytes == pytest.approx(row["upload_down"], rel=TOLERANCE)


def test_framing_alone_is_right_too():
    """Large arrays would hide a wrong framing: compare what is left without the objects' content."""
    for row in MESSAGES:
        download, upload = exchanges(row, PLAIN)
        instruction, reply = sizes_of(row["arrays"], row["elements"])
        got = download.forward_bytes - instruction.total_bytes - wire.INSTRUCTION_IDS_BYTES
        assert got == pytest.approx(row["download_down"] - row["download_content"], rel=TOLERANCE)
        got = upload.forward_bytes - reply.total_bytes - wire.REPLY_IDS_BYTES
        assert got == pytest.approx(row["upload_up"] - row["upload_content"], rel=TOLERANCE)


def test_recorded_messages_span_what_matters():
    assert [row["arrays"] for row in MESSAGES] == [1, 4, 20, 3]
    assert max(row["elements"] * 4 for row in MESSAGES) > PLAIN.chunk_bytes
    assert {row["download_lanes"] for row in MESSAGES} == {PLAIN.lanes}


def test_polls_and_heartbeats():
    idle = RECORDED["plain"]["idle"]
    assert idle["poll_pause_s"] == pytest.approx(PLAIN.supernode_poll_s, rel=0.01)
    assert 0.875 * PLAIN.heartbeat_s <= idle["heartbeat_least_s"] <= PLAIN.heartbeat_s
    assert PLAIN.heartbeat_s <= idle["heartbeat_most_s"] <= 1.13 * PLAIN.heartbeat_s
    polls = idle["seconds"] / (PLAIN.supernode_poll_s + idle["poll_answer_s"])
    assert polls == pytest.approx(idle["polls"], abs=1)
    assert idle["seconds"] / PLAIN.heartbeat_s == pytest.approx(idle["heartbeats"], abs=2)
    up, down = protocol.idle_bytes(PLAIN, idle["seconds"], 0.0, idle["poll_answer_s"])
    assert (up, down) == pytest.approx((idle["up"], idle["down"]), rel=TOLERANCE)


def test_first_poll_follows_the_reply_at_once():
    assert RECORDED["plain"]["idle"]["first_poll_after_s"] < 0.1
    assert protocol.next_poll_s(100.0, 100.0, 3.0) == 100.0


def test_idle_connections_are_closed_by_the_superlink():
    closed = [row for row in RECORDED["plain"]["connections"] if row["closed_by"]]
    assert closed
    assert {row["closed_by"] for row in closed} == {"SuperLink"}
    assert all(row["closed_after_idle_s"] == pytest.approx(protocol.KEEP_ALIVE_S, abs=0.3) for row in closed)


def test_new_connections_as_recorded():
    """Between messages less than 5 s pass, and the app computes for longer; a heartbeat may have opened one of the upload's."""
    first, *others = MESSAGES
    assert first["download_opened"] == protocol.new_connections(30.0, PLAIN, is_polling=True)
    assert {row["download_opened"] for row in others} == {protocol.new_connections(3.0, PLAIN, is_polling=True)}
    upper = protocol.new_connections(7.0, PLAIN, is_polling=False)
    assert all(upper - 1 <= row["upload_opened"] <= upper for row in MESSAGES)


def test_tls():
    """Handshakes, records and alerts of a whole session: the rest are polls, heartbeats, registering."""
    tls = RECORDED["tls"]
    assert (tls["handshake_up"], tls["handshake_down"]) == (wire.HANDSHAKE_UP_BYTES, wire.HANDSHAKE_DOWN_BYTES)
    assert tls["largest_record"] <= wire.RECORD_CONTENT_BYTES + wire.RECORD_BYTES
    forms = [tuple(map(int, form.split("x"))) for form in tls["forms"].split()]
    parts, requests = [], 0
    for row in (row for row in MESSAGES if (row["arrays"], row["elements"]) in forms):
        download, upload = exchanges(row, TLS)
        parts += [
            wire.Traffic(download.backward_bytes, download.forward_bytes),
            wire.Traffic(upload.forward_bytes, upload.backward_bytes),
        ]
        requests += download.requests + upload.requests
    parts += [
        wire.empty_poll(is_tls=True).times(tls["requests"] - requests),
        wire.Traffic(wire.HANDSHAKE_UP_BYTES, wire.HANDSHAKE_DOWN_BYTES).times(tls["connections"]),
        wire.Traffic(wire.CLOSE_BYTES, wire.CLOSE_BYTES).times(tls["closed"]),
    ]
    assert wire.total(parts)[:2] == pytest.approx((tls["up"], tls["down"]), rel=TOLERANCE)


@pytest.mark.parametrize("row", RECORDED["far"]["messages"], ids=lambda row: f"{row['arrays']}x{row['elements']}")
def test_round_trips_over_a_long_delay(row):
    """All objects are small, so that round trips are all there is; a heartbeat may have opened one of the connections before."""
    round_trip_s = RECORDED["far"]["round_trip_s"]
    opened = (row["download_opened"], row["upload_opened"])
    download, upload = exchanges(row, PLAIN, new_connections=opened)
    # as the SuperNode sees it: half a round trip is the last object's way, or the answer's to the last object
    assert row["download_s"] == pytest.approx((download.round_trips + 0.5) * round_trip_s, rel=0.05)
    assert row["upload_s"] == pytest.approx((upload.round_trips + 1) * round_trip_s, rel=0.05)


def test_client_app_starts_while_objects_come():
    slow = RECORDED["slow"]
    assert slow["process_asks_s"] < PLAIN.superexec_poll_s + 4 < slow["objects_there_s"]
    ready_s = protocol.message_ready_s(slow["process_asks_s"], slow["objects_there_s"])
    assert ready_s > slow["objects_there_s"] + 2  # between two asks, as it happened
    # the app does nothing; Flower's waits are random by a fifth, and the SuperNode looks every half second
    assert slow["reply_begins_s"] == pytest.approx(ready_s, abs=3.0)
