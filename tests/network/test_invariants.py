"""Each invariant on a hand-made log that breaks it, and on one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.events import Event
from emulator.invariants import MAX_VIOLATIONS, check_events
from emulator.plan import AppPlan, FlowerSettings, Link, LinkState, Plan

FIXED = (LinkState(0.0, 8e6, 0.01),)
PLAN = Plan(
    scenario="s", seed=1, starts_at_s=0.0, horizon_s=1e5, nodes=(),
    links=(
        Link("wire", "c", "r", "custom", (LinkState(0.0, 8e6, 0.01), LinkState(50.0, 0.8e6, 0.01)), FIXED),
        Link("ble", "s", "c", "custom", FIXED, FIXED, is_shared_medium=True),
        Link(
            "wifi", "s", "c", "custom", (LinkState(0.0, 8e6, 0.0), LinkState(5.0, 4e6, 0.0)), FIXED,
            is_shared_medium=True,
        ),
    ),
    routes={}, outages=(), placed=(), app=AppPlan("app", {}), flower=FlowerSettings(),
)  # fmt: skip

Row = tuple[float, str, dict[str, Any]]
UP = {"node": "c", "peer": "r", "msg": "m1"}
TRAIN = {"node": "c", "msg": "m1", "note": "train"}


def log(*rows: Row, finish: str | None = "finished") -> list[Event]:
    last_s = max([0.0, *(row[0] for row in rows)])
    all_rows: list[Row] = [(0.0, "run_started", {}), *rows]
    if finish is not None:
        all_rows.append((last_s, "run_finished", {"note": finish}))
    empty = {"round": None, "node": "", "peer": "", "link": "", "msg": "", "size_bytes": None, "value": None}
    empty |= {"unit": "", "note": ""}
    return [Event(seq=i, t_s=t_s, kind=kind, **{**empty, **fields}) for i, (t_s, kind, fields) in enumerate(all_rows)]


GOOD = log(
    (0.0, "round_opened", {"round": 1}),
    (1.0, "transfer_started", {**UP, "size_bytes": 100}),
    (1.0, "compute_started", TRAIN),
    (2.0, "node_down", {"node": "c"}),
    (2.0, "compute_lost", {"node": "c", "msg": "m1", "value": 1.0, "note": "power cut"}),
    (2.0, "transfer_lost", {**UP, "size_bytes": 40}),
    (3.0, "node_up", {"node": "c"}),
    (3.0, "compute_started", TRAIN),
    (4.0, "compute_finished", {**TRAIN, "value": 1.0}),
    (4.0, "transfer_started", {**UP, "size_bytes": 100}),
    (5.0, "transfer_finished", {**UP, "size_bytes": 100, "value": 1.0}),
    (5.0, "privacy_spent", {"node": "c", "value": 1.0, "note": "dp-sgd"}),
    (6.0, "round_closed", {"round": 1}),
    (6.0, "link_load", {"link": "wire", "peer": "up", "size_bytes": 6_000_000, "value": 6.0, "unit": "s"}),
    (6.0, "link_load", {"link": "ble", "peer": "up", "size_bytes": 3_000_000, "value": 6.0, "unit": "s"}),
    (6.0, "link_load", {"link": "ble", "peer": "down", "size_bytes": 3_000_000, "value": 6.0, "unit": "s"}),
    (7.0, "round_opened", {"round": 2}),
    (9.0, "round_closed", {"round": 2}),
    (9.0, "privacy_spent", {"node": "c", "value": 1.5, "note": "dp-sgd"}),
)


def test_a_sound_log_passes() -> None:
    assert check_events(GOOD, PLAN) == []


def load(at_s: float, link: str, peer: str, count: int, covered_s: float) -> Row:
    return (at_s, "link_load", {"link": link, "peer": peer, "size_bytes": count, "value": covered_s, "unit": "s"})


STARTED: Row = (1.0, "transfer_started", {**UP, "size_bytes": 100})
BROKEN = {
    "time falls": (log((5.0, "notice", {}), (4.0, "notice", {})), "time falls from 5.0 s"),
    "a row is missing": ([e for e in GOOD if e.seq != 3], "seq should be 3"),
    "unknown kind": (log((1.0, "teatime", {})), "unknown kind 'teatime'"),
    "no start": (GOOD[1:], "first row"),
    "second start": (log((1.0, "run_started", {})), "first row, and no other"),
    "no end": (log(finish=None), "ends without run_finished"),
    "row after the end": (log((1.0, "run_finished", {})), "follows run_finished"),
    "transfer never ends": (log(STARTED), "never ended"),
    "transfer ends twice": (
        log(STARTED, *[(2.0, "transfer_finished", {**UP, "size_bytes": 100})] * 2),
        "without a start, or for the second time",
    ),
    "transfer starts twice": (log(STARTED, STARTED), "starts again"),
    "more than was sent": (log(STARTED, (2.0, "transfer_lost", {**UP, "size_bytes": 101})), "101 bytes of 100"),
    "finished early": (log(STARTED, (2.0, "transfer_finished", {**UP, "size_bytes": 99})), "finished with 99 bytes"),
    "computation never ends": (log((1.0, "compute_started", TRAIN)), "the computation of 'm1' on 'c'"),
    "computation never began": (log((1.0, "compute_finished", TRAIN)), "compute_finished"),
    "computes while down": (
        log((1.0, "node_down", {"node": "c"}), (2.0, "compute_started", TRAIN), finish="interrupted"),
        "starts on 'c', which is down",
    ),
    "computes through an outage": (
        log(
            (1.0, "compute_started", TRAIN),
            (2.0, "node_down", {"node": "c"}),
            (3.0, "node_up", {"node": "c"}),
            (4.0, "compute_finished", TRAIN),
        ),
        "through its outage",
    ),
    "down twice": (log(*[(1.0, "node_down", {"node": "c"})] * 2), "goes down while it is down"),
    "up twice": (log((1.0, "node_up", {"node": "c"})), "comes up while it is up"),
    "rounds overlap": (log((1.0, "round_opened", {"round": 1}), (2.0, "round_opened", {"round": 2})), "is open"),
    "round closes unopened": (log((1.0, "round_closed", {"round": 1})), "closes while"),
    "round never closes": (log((1.0, "round_opened", {"round": 1})), "never closes"),
    "rounds go back": (
        log(
            (1.0, "round_opened", {"round": 2}),
            (2.0, "round_closed", {"round": 2}),
            (3.0, "round_opened", {"round": 1}),
            (3.0, "round_closed", {"round": 1}),
        ),
        "opens after round 2",
    ),
    "link over its rate": (log(load(10.0, "wire", "up", 10_002_000, 10.0)), "its rate allows 10000000"),
    "link over its changed rate": (log(load(60.0, "wire", "up", 11_010_000, 20.0)), "its rate allows 11000000"),
    "half duplex over its rate": (
        log(load(10.0, "ble", "up", 6_000_000, 10.0), load(10.0, "ble", "down", 4_010_000, 10.0)),
        "both ways",
    ),
    "half duplex over its changing rate": (
        log(load(10.0, "wifi", "up", 6_000_000, 10.0), load(10.0, "wifi", "down", 4_010_000, 10.0)),
        "both ways",
    ),
    "load of an unknown link": (log(load(1.0, "rope", "up", 1, 1.0)), "unknown link"),
    "negative energy": (log((1.0, "metric", {"value": -0.1, "unit": "J", "note": "energy"})), "0 or more"),
    "negative duration": (log((1.0, "notice", {"value": -1.0, "unit": "s"})), "0 or more"),
    "negative size": (log((1.0, "reply_received", {"size_bytes": -1})), "negative size"),
    "epsilon falls": (
        log(*[(1.0, "privacy_spent", {"node": "c", "value": value, "note": "dp"}) for value in (2.0, 1.0)]),
        "epsilon of 'c' falls from 2.0 to 1.0",
    ),
    "empty": ([], "the log is empty"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_log_is_found_out(name: str) -> None:
    events, expected = BROKEN[name]
    violations = check_events(events, PLAN)
    assert any(expected in text for text in violations), violations
    if events:
        assert all(text.startswith("row ") and " at " in text for text in violations)


@pytest.mark.parametrize("note", ["interrupted", "failed"])
def test_a_run_cut_short_may_leave_work_open(note: str) -> None:
    events = log(STARTED, (1.0, "compute_started", TRAIN), (1.0, "round_opened", {"round": 1}), finish=note)
    assert check_events(events, PLAN) == []


def test_loads_at_the_limit_pass() -> None:
    rows = [load(60.0, "wire", "up", 11_000_000, 20.0), load(60.0, "ble", "up", 20_000_000, 20.0)]
    assert check_events(log(*rows, load(80.0, "ble", "down", 20_000_000, 20.0)), PLAN) == []


def test_metrics_may_be_negative_and_epsilon_infinite() -> None:
    rows: list[Row] = [(1.0, "metric", {"value": -3.0, "note": "log-likelihood"})]
    rows.append((1.0, "privacy_spent", {"node": "c", "value": float("inf"), "note": "none"}))
    assert check_events(log(*rows), PLAN) == []


def test_the_list_of_violations_is_bounded() -> None:
    assert len(check_events(log(*[(1.0, "teatime", {})] * 1000), PLAN)) == MAX_VIOLATIONS
