"""What each failure model draws: stated rates, means, boundaries and ends."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_builder import HOUR_S, REPOSITORY, data_file, scenario, star_view, view_of

from emulator.models.failures import FAILURES, View
from emulator.models.failures.outages import MOST_FAULTS
from emulator.plan import Outage
from emulator.planner import check, make_plan
from emulator.rng import Streams
from emulator.topology import bind

DAY_S = 24 * HOUR_S
FLASH = "traces/availability/flash_phones_30min.csv.gz"


def draw(kind: str, view: View, seed: int = 1, **params: Any) -> list[Outage]:
    model = FAILURES[kind]
    drawn = model(view, Streams(seed), **bind(model, {name.rstrip("_"): value for name, value in params.items()}))
    return [fault for fault in drawn if isinstance(fault, Outage)]


def down_share(outages: list[Outage], horizon_s: float) -> float:
    return sum(min(outage.end_s, horizon_s) - outage.start_s for outage in outages) / horizon_s


def test_weibull_times_have_the_stated_means() -> None:
    view = star_view(1, horizon_s=200_000 * HOUR_S)
    drawn = draw("weibull", view, links="site-01/backhaul", up_shape=1.5, up_mean="10 h", down_shape=2, down_mean="2 h")
    down_h = sum(outage.end_s - outage.start_s for outage in drawn) / HOUR_S
    # Some 17 000 renewals; a relative standard error of about 0.5 % for either mean.
    assert len(drawn) == pytest.approx(200_000 / 12, rel=0.03)
    assert down_h / len(drawn) == pytest.approx(2.0, rel=0.03)


def test_weibull_of_shape_one_is_exponential() -> None:
    view = star_view(1, horizon_s=100_000 * HOUR_S)
    drawn = draw("weibull", view, nodes="server", up_shape=1, up_scale="10 h", down_shape=1, down_scale="1 h")
    lengths = [outage.end_s - outage.start_s for outage in drawn]
    longer = sum(length > HOUR_S for length in lengths) / len(lengths)
    assert longer == pytest.approx(math.exp(-1), abs=0.02)


def test_diurnal_availability_is_as_stated_at_every_hour() -> None:
    view = star_view(1, horizon_s=2000 * DAY_S, starts_at_s=18 * HOUR_S)
    shares = [0.1] * 8 + [0.9] * 8 + [0.5] * 8
    drawn = draw("diurnal", view, nodes="site-01/gateway", availability=shares, memory="5 h")
    up = [0] * 24
    outages = iter(drawn)
    current = next(outages)
    for hour in range(2000 * 24):
        at_s = (hour + 0.5) * HOUR_S
        while current.end_s <= at_s:
            current = next(outages, Outage(math.inf, math.inf, "none"))
        up[(hour + 18) % 24] += not current.start_s <= at_s < current.end_s
    for hour, share in enumerate(shares):
        assert up[hour] / 2000 == pytest.approx(share, abs=0.05)


def test_diurnal_always_available_has_no_outage() -> None:
    assert draw("diurnal", star_view(), nodes="site-*", availability=["100 %"]) == []


def write(folder: Path, text: str) -> str:
    path = folder / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_trace_by_name_is_replayed_and_repeated(tmp_path: Path) -> None:
    name = "site-01/gateway"
    file = write(tmp_path, f"time,{name}\n0,1\n100,0\n200,-1\n300,1\n400,0\n500,0\n")
    view = star_view(1, horizon_s=1000.0)
    drawn = draw("trace", view, file=file, nodes=name, columns="by name")
    assert [(outage.start_s, outage.end_s) for outage in drawn] == [(100, 300), (400, 500), (600, 800), (900, 1000)]
    known = draw("trace", view, file=file, nodes=name, columns="by name", unknown="up", repeat=False, start="150 s")
    assert [(outage.start_s, outage.end_s) for outage in known] == [(0, 50), (250, 350)]


def test_a_long_trace_and_a_wide_one_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    wide = write(tmp_path / "a", "time,x,y\n0,1,0\n10,0,0\n30,0,0\n")
    long = write(tmp_path, "node,time,state\nx,0,1\nx,10,0\ny,0,0\ny,30,0\n")
    view = star_view(2, horizon_s=90.0)
    assert draw("trace", view, file=wide, nodes="*") == draw("trace", view, file=long, nodes="*")


def test_a_node_that_is_never_there_is_away_for_good(tmp_path: Path) -> None:
    file = write(tmp_path, "time,x\n0,0\n10,0\n")
    assert draw("trace", star_view(1), file=file, nodes="server") == [Outage(0.0, math.inf, "server", "not available")]
    plan = make_plan(scenario(failures=[("trace", {"file": file, "nodes": "site-01/gateway"})]))
    assert [outage.end_s for outage in plan.outages] == [plan.horizon_s]


def test_a_dated_trace_is_laid_by_the_clock(tmp_path: Path) -> None:
    file = write(tmp_path, "time,x\n2024-01-01 06:00,1\n2024-01-01 20:00,0\n2024-01-02 06:00,1\n")
    drawn = draw("trace", star_view(1, starts_at_s=18 * HOUR_S, horizon_s=DAY_S), file=file, nodes="server")
    assert [(outage.start_s / HOUR_S, outage.end_s / HOUR_S) for outage in drawn] == [(2, 12)]


def test_flash_phones_are_there_mostly_at_night() -> None:
    file = str(data_file(FLASH))
    view = star_view(30, horizon_s=5 * DAY_S, starts_at_s=0.0)
    drawn = draw("trace", view, file=file, nodes="site-*")
    up = 30 - sum(
        down_share([o for o in drawn if o.target == f"site-{n:02d}/gateway"], 5 * DAY_S) for n in range(1, 31)
    )
    assert 0.02 < up / 30 < 0.2  # 8 % of the whole trace is 1
    picky = draw("trace", view, file=file, nodes="site-*", least_availability="30 %")
    assert down_share(picky, 5 * DAY_S) < down_share(drawn, 5 * DAY_S)


def test_a_region_fails_together_and_apart() -> None:
    view = star_view(6, horizon_s=2000 * HOUR_S)
    params = {"sites": "site-*", "common_mtbf": "50 h", "common_mttr": "2 h"}
    together = draw("regional", view, **params)
    by_start = defaultdict(list)
    for outage in together:
        by_start[outage.start_s, outage.end_s].append(outage.target)
    assert len(by_start) == pytest.approx(2000 / 52, rel=0.5)
    assert all(len(targets) == 6 for targets in by_start.values())
    half = draw("regional", view, hit="50 %", **params)
    assert set(half) < set(together)
    assert len(half) / len(together) == pytest.approx(0.5, abs=0.15)
    own = draw("regional", view, own_mtbf="50 h", own_mttr="1 h", **params)
    assert set(together) < set(own)
    assert {outage.cause for outage in own} == {"regional outage", "power cut"}


def test_nodes_join_late_and_leave_for_good() -> None:
    plan = make_plan(
        scenario(
            failures=[
                ("late_join", {"nodes": "site-01/gateway", "at": "3 h"}),
                ("leave", {"nodes": "site-02/gateway", "at": "5 h"}),
            ]
        )
    )
    assert plan.outages == (
        Outage(0.0, 3 * HOUR_S, "site-01/gateway", "has not joined yet"),
        Outage(5 * HOUR_S, plan.horizon_s, "site-02/gateway", "left for good"),
    )
    spread = draw("late_join", star_view(40), nodes="site-*", at="1 h", within="10 h")
    ends = [outage.end_s / HOUR_S for outage in spread]
    assert 1 < min(ends) < 3 < 9 < max(ends) < 11


def test_reboots_are_regular() -> None:
    view = star_view(1, horizon_s=3 * DAY_S)
    drawn = draw("reboot", view, nodes="server", every="24 h", for_="2 min", phase="3 h")
    assert [(outage.start_s, outage.end_s) for outage in drawn] == [
        (3 * HOUR_S + day * DAY_S, 3 * HOUR_S + day * DAY_S + 120) for day in range(3)
    ]
    phases = {draw("reboot", star_view(4), nodes=f"site-0{n}/gateway", every="24 h")[0].start_s for n in range(1, 5)}
    assert len(phases) == 4


@given(on=st.integers(1, 59), phase=st.integers(0, 59))
def test_a_duty_cycle_is_on_for_its_share(on: int, phase: int) -> None:
    view = star_view(1, horizon_s=100 * HOUR_S)
    drawn = draw("duty_cycle", view, links="site-01/backhaul", on=f"{on} min", every="1 h", phase=f"{phase} min")
    assert down_share(drawn, view.horizon_s) == pytest.approx(1 - on / 60)
    at_s = (phase + on / 2) * 60.0
    assert not any(outage.start_s < at_s < outage.end_s for outage in drawn)
    assert {outage.target for outage in drawn} == {"site-01/backhaul"}


def test_a_partition_cuts_the_boundary_and_nothing_else() -> None:
    plan = make_plan(scenario("rural_district", sites=3))
    view = view_of(plan)
    district = draw("partition", view, sites="clinic-0[12]", at="1 h", for_="1 h")
    assert [outage.target for outage in district] == ["clinic-01/backhaul", "clinic-02/backhaul"]
    core = draw("partition", view, nodes=["internet", "clinic-*"], at="1 h", for_="1 h")
    assert [outage.target for outage in core] == ["core"]


def test_a_small_battery_empties_at_night_and_recovers_by_day() -> None:
    view = star_view(1, horizon_s=5 * DAY_S, starts_at_s=0.0)
    params = {"nodes": "site-01/gateway", "load": "5 W", "panel": "30 W", "cloudiness": 0.0, "charge_at_start": "50 %"}
    drawn = draw("battery_solar", view, capacity="40 Wh", **params)
    # Half of 40 Wh at 5 W is 4 h; later a full battery lasts 8 h from when the sun gives less than the load.
    assert drawn[0].start_s == 4 * HOUR_S
    assert len(drawn) == 5
    for outage in drawn[1:]:
        assert 0 < outage.start_s % DAY_S / HOUR_S < 6 < outage.end_s % DAY_S / HOUR_S < 10
    assert draw("battery_solar", view, capacity="400 Wh", **params) == []


def test_more_clouds_more_hours_without_power() -> None:
    view = star_view(1, horizon_s=60 * DAY_S, starts_at_s=0.0)
    params = {"nodes": "site-01/gateway", "capacity": "60 Wh", "load": "6 W", "panel": "25 W"}
    shares = [
        down_share(draw("battery_solar", view, cloudiness=clouds, **params), view.horizon_s)
        for clouds in (0.0, 0.5, 1.0)
    ]
    assert shares == sorted(shares)
    assert shares[0] < shares[2]


def test_a_panel_that_never_suffices_leaves_the_node_off_for_good() -> None:
    view = star_view(1, horizon_s=5 * DAY_S)
    (outage,) = draw(
        "battery_solar", view, nodes="server", capacity="1000 Wh", load="500 W", panel="1 uW", charge_at_start=0.0
    )
    assert outage == Outage(0.0, math.inf, "server", "battery empty")


def test_nodes_of_one_site_are_under_one_sky() -> None:
    plan = make_plan(scenario("rural_district", sites=1))
    view = replace(view_of(plan, horizon_s=20 * DAY_S), starts_at_s=0.0)
    drawn = draw(
        "battery_solar", view, nodes=["clinic-01/gateway", "clinic-01/patch-1"], capacity="30 Wh", load="5 W",
        panel="20 W", cloudiness=1.0,
    )  # fmt: skip
    spans = defaultdict(list)
    for outage in drawn:
        spans[outage.target].append((outage.start_s, outage.end_s))
    assert spans["clinic-01/gateway"] == spans["clinic-01/patch-1"]


def test_a_superlink_outage_cuts_the_servers_links() -> None:
    plan = make_plan(scenario(sites=2, failures=[("superlink", {"at": "1 h", "for": "10 min"})]))
    assert [(outage.target, outage.start_s, outage.end_s) for outage in plan.outages] == [
        (target, 3600.0, 4200.0) for target in ("server", "site-01/backhaul", "site-02/backhaul")
    ]
    assert plan.outages[1].cause == "server: SuperLink down"


def test_an_outage_of_a_relay_cuts_off_those_behind_it() -> None:
    failures = [("schedule", {"target": "node-1", "at": "1 h", "for": "1 h"})]
    plan = make_plan(scenario("planning_builder:line", sites=4, failures=failures))
    assert {outage.target for outage in plan.outages} == {"node-1", "node-0--node-1", "node-1--node-2"}
    alone = make_plan(scenario(failures=[("schedule", {"target": "site-01/gateway", "at": "1 h", "for": "1 h"})]))
    assert {outage.target for outage in alone.outages} == {"site-01/gateway"}


FAULTS = [
    ("weibull", {"nodes": "*", "up_shape": 0, "up_mean": "1 h", "down_shape": 1, "down_mean": "1 h"}, "up_shape", "0."),
    ("weibull", {"nodes": "*", "up_shape": 1, "down_shape": 1, "down_mean": "1 h"}, "up_mean", "one of the two"),
    ("weibull", {"up_shape": 1, "up_mean": "1 h", "down_shape": 1, "down_mean": "1 h"}, "", "names no target"),
    ("diurnal", {"nodes": "*", "availability": [1.2]}, "availability", "at most 1"),
    ("diurnal", {"nodes": "*", "availability": [0, "0 %"]}, "availability", "not all 0"),
    ("diurnal", {"nodes": "*", "availability": [0.5], "memory": "0 h"}, "memory", "above 0"),
    ("diurnal", {"nodes": "site-1/gateway", "availability": [0.5]}, "nodes", "did you mean 'site-"),
    ("trace", {"nodes": "*", "file": "no/such.csv"}, "file", "set FEDGEN_DATA"),
    ("trace", {"nodes": "*", "file": 7}, "file", "want the path of a file"),
    ("trace", {"nodes": "*", "file": "traces/lte_drive.csv"}, "file", "is no availability trace"),
    ("trace", {"nodes": "server", "file": "traces/clinic_hours.csv", "columns": "by name"}, "columns", "for 'server'"),
    ("trace", {"nodes": "*", "file": "traces/clinic_hours.csv", "least_availability": 1}, "least_availability", "no "),
    ("trace", {"nodes": "*", "file": "traces/clinic_hours.csv", "unknown": "sideways"}, "unknown", "'down' or 'up'"),
    ("regional", {"common_mtbf": "1 h", "common_mttr": "1 h"}, "", "names no member"),
    ("regional", {"sites": "*", "common_mtbf": "1 h", "common_mttr": "1 h", "hit": 0}, "hit", "above 0"),
    ("regional", {"sites": "*", "common_mtbf": "1 h", "common_mttr": "1 h", "own_mtbf": "1 h"}, "own_mttr", "neither"),
    ("regional", {"sites": "site-9", "common_mtbf": "1 h", "common_mttr": "1 h"}, "sites", "no site matches 'site-9'"),
    ("late_join", {"nodes": "*", "at": "0 h"}, "at", "above 0"),
    ("leave", {"nodes": "*", "at": "1 h", "within": "-1 h"}, "within", "0 or more"),
    ("reboot", {"nodes": "*", "every": "1 h", "for": "1 h"}, "for", "less than 'every'"),
    ("reboot", {"nodes": "*", "every": "1 h", "phase": "2 h"}, "phase", "below the period"),
    ("duty_cycle", {"links": "*", "on": "2 h", "every": "1 h"}, "on", "less than 'every'"),
    ("duty_cycle", {"links": "server", "on": "2 min", "every": "1 h"}, "links", "no link matches"),
    ("duty_cycle", {"links": "*", "on": "1 ms", "every": "2 ms"}, "", f"more than {MOST_FAULTS:,} faults"),
    ("partition", {"at": "1 h", "for": "1 h"}, "", "names no nodes"),
    ("partition", {"nodes": "*", "at": "1 h", "for": "1 h"}, "nodes", "none to cut"),
    ("battery_solar", {"nodes": "*", "capacity": "60 W", "load": "6 W", "panel": "5 W"}, "capacity", "unknown unit"),
    ("battery_solar", {"nodes": "*", "capacity": "6 Wh", "load": "6 W", "panel": "5 W", "sunset": "5 h"}, "sunset", ""),
    ("superlink", {"at": "1 h", "for": "0 s"}, "for", "above 0"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "params", "key", "text"), FAULTS)
def test_faults(kind: str, params: dict[str, object], key: str, text: str) -> None:
    (fault,) = check(scenario(failures=[(kind, params)]))
    assert fault.key == (f"failures[0].{key}" if key else "failures[0]")
    assert text in fault.message


def test_all_faults_of_a_block_are_told_at_once() -> None:
    params = {"nodes": "nobody", "capacity": "0 Wh", "load": "x", "panel": "5 W", "cloudiness": 2}
    faults = check(scenario(failures=[("battery_solar", params)]))
    assert {fault.key.rpartition(".")[2] for fault in faults} == {"nodes", "capacity", "load", "cloudiness"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no availability trace"),
        ("time,a,a\n0,1,1\n1,1,1\n", "is no availability trace"),
        ("time,a\n0,1\n1,2\n", "line 3: got the state '2'"),
        ("time,a\n0,1\n1\n", "line 3: 1 cells"),
        ("time,a\n0,1\nnoon,1\n", "line 3: got the time 'noon'"),
        ("time,a\n0,1\n2024-01-01,1\n", "all in seconds or all dates"),
        ("time,a\n0,1\n", "two times or more"),
        ("node,time,state\na,0,1\na,0,0\na,1,0\n", "two states at one time"),
    ],
)
def test_a_broken_trace_says_where(tmp_path: Path, text: str, message: str) -> None:
    (fault,) = check(scenario(failures=[("trace", {"nodes": "*", "file": write(tmp_path, text)})]))
    assert fault.key == "failures[0].file"
    assert message in fault.message


EVERYTHING = [
    ("regional", {"sites": "*", "common_mtbf": "20 h", "common_mttr": "3 h", "hit": 0.5}),
    ("partition", {"sites": ["clinic-02", "clinic-01"], "at": ["9 h", "3 h"], "for": "1 h"}),
    ("trace", {"file": "traces/clinic_hours.csv", "nodes": "*", "links": "*"}),
    ("diurnal", {"nodes": "*", "availability": [0.1, 0.9]}),
    ("superlink", {"at": "5 h", "for": "1 min"}),
]  # fmt: skip


def test_outages_are_the_same_under_another_hash_seed() -> None:
    code = (
        "import hashlib, test_failure_models as t\n"
        "plan = t.make_plan(t.scenario('rural_district', sites=3, failures=t.EVERYTHING))\n"
        "print(hashlib.sha256(repr(plan.outages).encode()).hexdigest())"
    )
    digests = set()
    for hash_seed in ("1", "2"):
        paths = os.pathsep.join([str(Path(__file__).parent), str(REPOSITORY)])
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        digests.add(done.stdout)
    assert len(digests) == 1
