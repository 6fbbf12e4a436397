"""Journals of processes become an event log that keeps every rule of the virtual world's."""

from pathlib import Path

from live_builder import two_nodes

from emulator.backends.live.collect import Collector
from emulator.backends.live.journal import Journal, read_journals
from emulator.events import EventLog, read_events
from emulator.invariants import check_events
from emulator.plan import LinkState, Outage

STATE = LinkState(0, 1e6, 0.02)
ZERO_S = 1000.0


def collected(tmp_path: Path, rows: list[dict], *, outages: tuple[Outage, ...] = (), end_s: float = 60.0) -> list:
    plan = two_nodes(up=STATE, down=STATE, outages=outages)
    log = EventLog(tmp_path / "events")
    log.append(0.0, "run_started")
    Collector(plan, log, ZERO_S).collect(rows, ZERO_S + end_s)
    log.append(end_s, "run_finished", note="finished")
    log.flush()
    events = list(read_events(tmp_path / "events"))
    assert check_events(events, plan) == []
    return [(event.t_s, event.kind, event.note) for event in events[1:-1]]


def row(at_s: float, what: str, **fields) -> dict:
    return {"at_s": ZERO_S + at_s, "what": what, "node": "client", "key": "client#1", "round": 1, **fields}


ASKED = [
    row(-5, "load", link="line", peer="up", size_bytes=500, since_s=ZERO_S - 6),
    {"at_s": ZERO_S + 1, "what": "round_opened", "round": 1, "value": 1},
    row(1, "pushed", size_bytes=900, note="train"),
    row(2, "download_started"),
    row(3, "download_finished"),
    row(4, "compute_started", note="train"),
]


def test_a_whole_round(tmp_path):
    rows = [
        *ASKED,
        row(9, "compute_finished", note="train", metrics={"loss": 0.5}),
        row(9.5, "upload_started", error=""),
        row(10, "load", link="line", peer="up", size_bytes=2000, since_s=ZERO_S + 9),
        row(10, "upload_finished", size_bytes=700),
        row(11, "pulled", size_bytes=700, note="ok"),
        {"at_s": ZERO_S + 12, "what": "round_closed", "round": 1, "value": 1},
    ]
    assert collected(tmp_path, rows) == [
        (1, "round_opened", ""), (1, "message_pushed", "train"), (2, "transfer_started", "download"),
        (3, "transfer_finished", "download"), (4, "compute_started", "train"), (9, "compute_finished", "train"),
        (9, "metric", "loss"), (9.5, "transfer_started", "upload"), (10, "link_load", "traffic"),
        (10, "transfer_finished", "upload"), (11, "reply_received", "ok"), (12, "round_closed", ""),
    ]  # fmt: skip


def test_a_power_cut_ends_what_the_node_had_in_hand(tmp_path):
    rows = [
        *ASKED,
        row(6, "action", action="down", cause="power cut"),
        row(6.01, "compute_finished", note="train", metrics={}),  # written as the process was being killed
        row(30, "action", action="up", cause=""),
        {"at_s": ZERO_S + 50, "what": "round_closed", "round": 1, "value": 0},
    ]
    assert collected(tmp_path, rows)[-5:] == [
        (6, "node_down", "power cut"), (6, "compute_lost", "power cut"), (6, "message_dropped", "power cut"),
        (30, "node_up", ""), (50, "round_closed", ""),
    ]  # fmt: skip


def test_a_report_of_loads_after_the_end_counts_in_part(tmp_path):
    """The relay reports every second, the ServerApp ends when it will."""
    rows = [row(60.75, "load", link="line", peer="up", size_bytes=2000, since_s=ZERO_S + 59.75)]
    assert collected(tmp_path, rows) == [(60, "link_load", "traffic")]
    [load] = [event for event in read_events(tmp_path / "events") if event.kind == "link_load"]
    assert (load.size_bytes, load.value) == (500, 0.25)


def test_what_is_open_at_the_end_of_a_slice_is_closed_and_planned_outages_are_told(tmp_path):
    outages = (Outage(5.0, 20.0, "line", "rain"), Outage(15.0, 25.0, "line", "rain"), Outage(90.0, 95.0, "line"))
    events = collected(tmp_path, ASKED, outages=outages)
    assert [event for event in events if event[1] == "link_changed"] == [
        (5, "link_changed", "rain"), (5, "link_changed", "rain"), (25, "link_changed", "up again"),
        (25, "link_changed", "up again"),
    ]  # fmt: skip
    assert [event[1] for event in events[-3:]] == ["compute_lost", "message_dropped", "round_closed"]


def test_a_journal_that_was_cut_short_keeps_its_whole_lines(tmp_path):
    journal = Journal(tmp_path, "a")
    journal.write("first", 2.0, value=1)
    Journal(tmp_path, "b").write("second", 1.0)
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b'{"at_s": 3.0, "wha')
    assert [(row["at_s"], row["what"]) for row in read_journals(tmp_path)] == [(1.0, "second"), (2.0, "first")]
