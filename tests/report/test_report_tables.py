"""The tables against numbers worked out by hand, and properties that hold on every log, cut anywhere."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_builder import Script, clinic_log, clinic_plan, small_log, small_plan

from emulator.events import Event, EventLog, read_events
from emulator.metrics import build_tables, write_tables
from emulator.metrics.columns import TABLES
from emulator.metrics.history import rows
from emulator.metrics.path import PARTS


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return build_tables(small_log(tmp_path_factory.mktemp("small")), small_plan())


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    plan = clinic_plan()
    return plan, clinic_log(tmp_path_factory.mktemp("clinic"), plan)


def row(frame: pd.DataFrame, **where: object) -> pd.Series:
    for name, value in where.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_a_streamed_log_gives_the_tables_of_a_frame(tmp_path):
    """Rows read part by part from disk, in parts of seven, and the whole log as a frame: the same tables."""
    frame = small_log(tmp_path / "log")
    log = EventLog(tmp_path / "parts", flush_rows=7)
    for event in rows(frame):
        log.append(event.t_s, event.kind, **dict(zip(Event._fields[3:], event[3:], strict=True)))
    log.flush()
    streamed = build_tables(read_events(tmp_path / "parts"), small_plan())
    for name, table in build_tables(frame, small_plan()).items():
        pd.testing.assert_frame_equal(streamed[name], table)


def test_round_that_goes_well(tables):
    # a: pushed 0, served 0-1, download 3-5, trains 5-45, upload 46-50, handed over 52; the server aggregates 52-58.
    found = row(tables["rounds"], round=1)
    assert (found.opened_s, found.ended_s, found.closed_s) == (0, 58, 60)
    assert {part: found[part] for part in PARTS} == {
        "wait_s": 5, "download_s": 2, "compute_s": 40, "upload_s": 4, "server_s": 7, "unanswered_s": 0, "other_s": 0,
    }  # fmt: skip
    assert (found.latency_s, found.pause_s, found.duration_s) == (58, 2, 60)
    assert (found.addressed, found.replies, found.participation) == (2, 2, 1.0)
    assert (found.bytes_down, found.bytes_up) == (2000, 1800)
    assert found["metric.svf.auroc"] == 0.7
    assert "metric.patient.100.svf.auroc" not in found


def test_round_with_an_outage_and_a_power_cut(tables):
    # a's upload 125-142 stalls 130-140; b loses its power, and the server waits for it from 142 until 174.
    found = row(tables["rounds"], round=2)
    assert {part: found[part] for part in PARTS} == {
        "wait_s": 3, "download_s": 2, "compute_s": 20, "upload_s": 17, "server_s": 4, "unanswered_s": 32, "other_s": 0,
    }  # fmt: skip
    assert found.stalled_s == 10
    assert (found.replies, found.lost, found.participation) == (1, 1, 0.5)


def test_round_that_nobody_finishes(tables):
    found = row(tables["rounds"], round=3)
    assert found.unanswered_s == found.latency_s == 60
    assert (found.replies, found.failed, found.late, found.lost) == (0, 0, 1, 1)
    assert found.bytes_up == 300  # the bytes of the transfer that was lost


def test_replies_handed_over_together_leave_the_slowest_upload_in_charge(tmp_path):
    script = Script(tmp_path)
    script.log.append(0, "round_opened", round=1, value=2)
    for node, msg, end in (("b", "m1", 9), ("a", "m2", 20)):
        script.push(0, 1, node, msg)
        script.work(1, end - 2, 1, node, msg, "train")
        script.move(end - 2, end, 1, node, "server", msg, 900, "upload")
    for node, msg in (("b", "m1"), ("a", "m2")):
        script.reply(23, 1, node, msg)
    script.log.append(23, "round_closed", round=1, value=2)
    found = row(build_tables(script.frame(), small_plan())["rounds"], round=1)
    assert (found.compute_s, found.upload_s, found.wait_s, found.unanswered_s) == (17, 2, 1 + 3, 0)


def test_two_exchanges_in_a_round(tmp_path):
    # Train 0-10, handed over 10; the server aggregates 10-12; evaluate 13-18; the round closes at 18.
    script = Script(tmp_path)
    script.log.append(0, "round_opened", round=1, value=1)
    script.push(0, 1, "a", "m1")
    script.work(0, 10, 1, "a", "m1", "train")
    script.reply(10, 1, "a", "m1")
    script.work(10, 12, 1, "server", "", "aggregate")
    script.push(13, 1, "a", "m2", "evaluate")
    script.work(13, 18, 1, "a", "m2", "evaluate")
    script.reply(18, 1, "a", "m2")
    script.log.append(18, "round_closed", round=1, value=1)
    found = row(build_tables(script.frame(), small_plan())["rounds"], round=1)
    assert (found.compute_s, found.server_s, found.other_s, found.latency_s) == (15, 2, 1, 18)
    assert (found.addressed, found.replies) == (1, 1)


def test_ciphers_and_answers_count_as_protection_inside_the_computation(tmp_path):
    # Train 0-10, 3 s of it for ciphers; a question is answered 11-15 and handed over; both were waited for.
    script = Script(tmp_path)
    script.log.append(0, "round_opened", round=1, value=1)
    script.push(0, 1, "a", "m1")
    script.log.append(0, "compute_started", round=1, node="a", msg="m1", note="train")
    script.log.append(10, "work_part", round=1, node="a", msg="m1", value=3, note="signatures")
    script.log.append(10, "compute_finished", round=1, node="a", msg="m1", value=10, note="train")
    script.reply(10, 1, "a", "m1")
    script.push(11, 1, "a", "m2", "query.open")
    script.work(11, 15, 1, "a", "m2", "query")
    script.reply(15, 1, "a", "m2")
    script.log.append(15, "round_closed", round=1, value=1)
    found = row(build_tables(script.frame(), small_plan())["rounds"], round=1)
    assert (found.compute_s, found.protection_s, found.latency_s) == (14, 3 + 4, 15)


def test_client_that_is_off_and_not_addressed_is_away(tmp_path):
    script = Script(tmp_path)
    script.log.append(0, "node_down", node="b", note="power cut")
    script.log.append(5, "round_opened", round=1, value=1)
    script.push(5, 1, "a", "m1")
    script.reply(9, 1, "a", "m1")
    script.log.append(9, "round_closed", round=1, value=1)
    tables = build_tables(script.frame(), small_plan())
    assert tables["participation"]["fate"].tolist() == ["replied", "away"]
    assert row(tables["rounds"], round=1).addressed == 1


def test_participation(tables):
    fates = {(found["round"], found["node"]): found["fate"] for found in tables["participation"].to_dict("records")}
    assert fates == {
        (1, "a"): "replied", (1, "b"): "replied", (2, "a"): "replied",
        (2, "b"): "down", (3, "a"): "lost", (3, "b"): "late",
    }  # fmt: skip
    assert row(tables["participation"], round=3, node="a")["reason"] == "out of memory"


def test_transfers(tables):
    upload = row(tables["transfers"], msg="r2/a", direction="upload")
    assert (upload.duration_s, upload.stalled_s, upload.outcome) == (17, 10, "delivered")
    assert upload.goodput_bps == pytest.approx(8 * 900 / 17)
    lost = row(tables["transfers"], msg="r3/b", direction="upload")
    assert (lost.outcome, lost.reason, lost.delivered_bytes) == ("lost", "connection reset", 300)


def test_energy_is_the_closed_form(tables):
    a = row(tables["devices"], node="a")
    assert (a.up_s, a.down_s, a.busy_s, a.idle_s, a.tx_s, a.rx_s) == (300, 0, 70, 230, 11, 6)
    assert a.energy_j == pytest.approx(2.0 * 300 + (6.0 - 2.0) * 70 + 1.0 * 11 + 0.5 * 6)
    server = row(tables["devices"], node="server")
    assert server.energy_j == pytest.approx(50.0 * 300 + (100.0 - 50.0) * 11)


def test_unknown_power_is_unknown_and_not_zero(tables):
    b = row(tables["devices"], node="b")
    assert pd.isna(b.energy_j)
    assert (b.up_s, b.down_s, b.busy_s, b.jobs, b.jobs_lost, b.rounds_joined) == (280, 20, 113, 3, 1, 1)


def test_sensor_radio_energy_stands_apart(tables):
    sensor = row(tables["devices"], node="s")
    assert sensor.stream_bytes == 30000
    assert sensor.stream_energy_j == pytest.approx(30000 * 0.0001)
    assert sensor.energy_j == pytest.approx(0.001 * 300)


def test_links(tables):
    up = row(tables["links"], link="a/backhaul", direction="up")
    assert (up.bytes, up.down_s, up.stalled_s) == (2000, 10, 10)
    assert up.utilisation == pytest.approx(8 * 2000 / (8000 * (300 - 10)))
    assert up.energy_j == pytest.approx(2.0)
    assert pd.isna(up.cost_usd)
    assert row(tables["links"], link="a/backhaul", direction="down").stalled_s == 0
    other = row(tables["links"], link="b/backhaul", direction="down")
    assert other.cost_usd == pytest.approx(4.0 * 3300 / 1e9)
    assert other.down_s == 0
    assert row(tables["links"], link="s/ble", direction="up").stream_bytes == 30000


def test_loads_that_do_not_say_what_they_are_count_by_who_uses_the_link(tmp_path):
    script = Script(tmp_path)
    for link in ("a/backhaul", "s/ble"):
        script.log.append(10, "link_load", link=link, peer="up", size_bytes=100, value=10, note="traffic")
    links = build_tables(script.frame(), small_plan())["links"]
    assert row(links, link="a/backhaul", direction="up").flow_bytes == 100
    assert row(links, link="s/ble", direction="up").stream_bytes == 100


def test_metrics_hold_what_was_spent(tables):
    assert row(tables["metrics"], name="privacy.epsilon").value == 1.5
    assert row(tables["metrics"], name="svf.auroc", node="b").value == 0.5


def test_interrupted_inside_an_upload(tmp_path):
    events = small_log(tmp_path)
    stop = events.index[events["kind"] == "transfer_stalled"][0]
    cut = build_tables(events.iloc[: stop + 1], small_plan())
    upload = row(cut["transfers"], msg="r2/a", direction="upload")
    assert (upload.outcome, upload.ended_s) == ("open", 130)
    assert pd.isna(upload.delivered_bytes)
    assert pd.isna(upload.goodput_bps)
    found = row(cut["rounds"], round=2)
    assert (found.is_closed, found.closed_s, found.open) == (False, 130, 2)


def test_empty_log(tmp_path):
    empty = build_tables(pd.DataFrame(columns=list(Event._fields)), small_plan())
    assert [len(empty[name]) for name in TABLES] == [0, 0, 4, 6, 0, 0]
    assert empty["devices"]["up_s"].sum() == 0
    write_tables(empty, tmp_path)


def test_files_hold_the_same_as_the_frames(tables, tmp_path):
    paths = write_tables(tables, tmp_path)
    assert sorted(path.name for path in paths) == sorted(f"{n}.{kind}" for n in TABLES for kind in ("csv", "parquet"))
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), frame)
        assert list(pd.read_csv(tmp_path / f"{name}.csv").columns) == list(frame.columns)


def test_columns_are_as_documented(tables):
    for name, columns in TABLES.items():
        documented = [column.name for column in columns]
        extra = list(tables[name].columns)[len(documented) :]
        assert list(tables[name].columns)[: len(documented)] == documented
        assert all(column.startswith("metric.") for column in extra)


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1))
def test_sums_hold_wherever_the_log_is_cut(clinic, share):
    plan, events = clinic
    cut = events.iloc[: int(share * len(events))]
    tables = build_tables(cut, plan)
    rounds, transfers, devices, links = (tables[name] for name in ("rounds", "transfers", "devices", "links"))
    assert rounds[list(PARTS)].sum(axis=1).tolist() == pytest.approx(rounds["latency_s"].tolist())
    assert (rounds["latency_s"] + rounds["pause_s"]).tolist() == pytest.approx(rounds["duration_s"].tolist())
    assert (rounds[[*PARTS, "stalled_s", "pause_s"]] >= -1e-9).all(axis=None)
    decided = rounds[["replies", "failed", "late", "lost", "open"]].sum(axis=1)
    assert decided.tolist() == rounds["addressed"].tolist()
    done = cut[cut["kind"].isin(["transfer_finished", "transfer_lost"])]["size_bytes"].sum()
    assert transfers["delivered_bytes"].sum() == done
    assert devices["bytes_sent"].sum() == devices["bytes_received"].sum() == done
    assert rounds["bytes_down"].sum() + rounds["bytes_up"].sum() == done
    assert links["bytes"].sum() == cut[cut["kind"] == "link_load"]["size_bytes"].sum()
    end = cut["t_s"].max() if len(cut) else 0.0
    assert (devices["up_s"] + devices["down_s"]).tolist() == pytest.approx([end] * len(devices))
    assert (transfers["ended_s"] >= transfers["started_s"]).all()


def test_order_of_rows_in_the_frame_does_not_matter(clinic):
    plan, events = clinic
    mixed = build_tables(events.sample(frac=1, random_state=3), plan)
    for name, frame in build_tables(events, plan).items():
        pd.testing.assert_frame_equal(mixed[name], frame)
