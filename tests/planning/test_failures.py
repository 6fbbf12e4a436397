"""The contract of a failure model, over every registered one and one from outside; and what each draws."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import planning_builder
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_builder import HOUR_S, scenario, star_view, view_of

from emulator.models.failures import FAILURES, Fault, View
from emulator.models.failures.outages import check_drawn, join_outages
from emulator.plan import Outage, PlacedFault
from emulator.planner import check, make_plan
from emulator.rng import Streams
from emulator.topology import ParameterError, bind

Model = Callable[..., Iterator[Fault]]
# fmt: off
ALL: dict[str, tuple[Model, dict[str, Any]]] = {
    "schedule": (FAILURES["schedule"], {"target": "site-*/gateway", "at": ["30 h", "4 h"], "for": "9 h"}),
    "exponential": (FAILURES["exponential"], {"links": "*", "nodes": "site-*", "mtbf": "10 h", "mttr": "1 h"}),
    "power_cuts": (FAILURES["power_cuts"], {"sites": "*", "cuts_per_day": 2, "median": "1 h", "sigma": 1.0}),
    "power_windows": (FAILURES["power_cuts"], {"sites": "*", "grid": "4 h", "generator": "6 h"}),
    "crash": (FAILURES["crash"], {"round": [3, 1], "node": "site-*", "phase": "upload"}),
    "weibull": (FAILURES["weibull"], {"nodes": "site-*", "links": "*/backhaul", "up_shape": 0.5, "up_mean": "10 h",
                                      "down_shape": 2.0, "down_scale": "1 h"}),
    "diurnal": (FAILURES["diurnal"], {"nodes": "site-*", "availability": [0.2, "90 %", 0.5], "memory": "2 h"}),
    "trace": (FAILURES["trace"], {"file": "traces/clinic_hours.csv", "nodes": "site-*", "links": "*/backhaul"}),
    "trace_once": (FAILURES["trace"], {"file": "traces/clinic_hours.csv", "nodes": "site-*", "repeat": False,
                                       "start": "30 h", "unknown": "up", "least_availability": "50 %"}),
    "regional": (FAILURES["regional"], {"sites": "*", "links": "*/backhaul", "common_mtbf": "20 h",
                                        "common_mttr": "3 h", "hit": "70 %", "own_mtbf": "30 h", "own_mttr": "1 h"}),
    "late_join": (FAILURES["late_join"], {"nodes": "site-*", "at": "2 h", "within": "10 h"}),
    "leave": (FAILURES["leave"], {"nodes": "site-*", "at": "0 h", "within": "100 h"}),
    "reboot": (FAILURES["reboot"], {"nodes": "site-*", "every": "24 h", "for": "5 min"}),
    "duty_cycle": (FAILURES["duty_cycle"], {"links": "*/backhaul", "on": "10 min", "every": "1 h"}),
    "partition": (FAILURES["partition"], {"sites": "*", "at": ["20 h", "1 h"], "for": "2 h"}),
    "battery_solar": (FAILURES["battery_solar"], {"nodes": "site-*", "capacity": "60 Wh", "load": "6 W",
                                                  "panel": "20 W", "cloudiness": 0.8}),
    "superlink": (FAILURES["superlink"], {"at": ["2 h", "50 h"], "for": "10 min"}),
    "server_app_loss": (FAILURES["server_app_loss"], {"round": 3}),
    "hostile": (FAILURES["hostile"], {"nodes": "site-*", "attack": "sign_flip"}),
    "outside": (planning_builder.every_hour, {"target": "core-of-star", "for": "2 min"}),
}
# fmt: on
ALL["outside"][1]["target"] = "server"


def draw(name: str, view: View, seed: int) -> list[Fault]:
    model, params = ALL[name]
    return list(model(view, Streams(seed), **bind(model, params)))


def test_every_registered_model_is_tested_here() -> None:
    assert set(FAILURES) <= set(ALL)


@pytest.mark.parametrize("name", sorted(ALL))
@given(seed=st.integers(0, 2**32), horizon_h=st.floats(1, 200), starts_h=st.floats(0, 23.9))
def test_contract(name: str, seed: int, horizon_h: float, starts_h: float) -> None:
    view = star_view(horizon_s=horizon_h * HOUR_S, starts_at_s=starts_h * HOUR_S)
    drawn = draw(name, view, seed)
    check_drawn(drawn, view)
    assert drawn == draw(name, view, seed)
    assert all(fault.start_s < view.horizon_s for fault in drawn if isinstance(fault, Outage))


@pytest.mark.parametrize("name", sorted(ALL))
@given(seed=st.integers(0, 2**32), horizon_h=st.floats(1, 100), more_h=st.floats(0, 100))
def test_a_longer_horizon_never_changes_an_earlier_fault(name: str, seed: int, horizon_h: float, more_h: float) -> None:
    shorter = draw(name, star_view(horizon_s=horizon_h * HOUR_S), seed)
    longer = draw(name, star_view(horizon_s=(horizon_h + more_h) * HOUR_S), seed)
    assert longer[: len(shorter)] == shorter


@pytest.mark.parametrize("name", sorted(ALL))
@given(seed=st.integers(0, 2**32), sites=st.integers(1, 8))
def test_another_clinic_moves_nobody_elses_faults(name: str, seed: int, sites: int) -> None:
    smaller, larger = star_view(sites), star_view(sites + 1)
    new = f"site-{sites + 1:02d}/"
    kept = [fault for fault in draw(name, larger, seed) if not _target(fault).startswith(new)]
    assert kept == draw(name, smaller, seed)


def _target(fault: Fault) -> str:
    return fault.target if isinstance(fault, Outage) else fault.node


def test_schedule_repeats_at_each_time_for_each_target() -> None:
    drawn = draw("schedule", star_view(2), 0)
    assert drawn == [
        Outage(start * HOUR_S, (start + 9) * HOUR_S, f"site-{site:02d}/gateway", "scheduled")
        for start in (4, 30)
        for site in (1, 2)
    ]


def test_exponential_outages_have_the_stated_means() -> None:
    view = star_view(1, horizon_s=100_000 * HOUR_S)
    model, _ = ALL["exponential"]
    drawn = [
        fault
        for fault in model(view, Streams(7), links="site-01/backhaul", mtbf="10 h", mttr="1 h")
        if isinstance(fault, Outage)
    ]
    down_h = sum(fault.end_s - fault.start_s for fault in drawn) / HOUR_S
    # About 9000 renewals: the relative error of each mean is near 1 %; 5 % is five of those.
    assert len(drawn) == pytest.approx(100_000 / 11, rel=0.05)
    assert down_h / len(drawn) == pytest.approx(1.0, rel=0.05)


def test_power_cuts_have_the_stated_rate_and_median() -> None:
    view = star_view(1, horizon_s=100_000 * HOUR_S)
    cuts = FAILURES["power_cuts"](view, Streams(3), sites="site-01", cuts_per_day=2, median="1 h", sigma=0.5)
    lengths = sorted(cut.end_s - cut.start_s for cut in cuts if isinstance(cut, Outage))
    mean_length_h = math.exp(0.5**2 / 2)
    assert len(lengths) == pytest.approx(100_000 / (12 + mean_length_h), rel=0.05)
    assert lengths[len(lengths) // 2] == pytest.approx(HOUR_S, rel=0.05)


@given(seed=st.integers(0, 2**32))
def test_a_site_with_grid_and_generator_windows_is_lit_at_most_their_hours(seed: int) -> None:
    view = star_view(1, horizon_s=30 * 24 * HOUR_S, starts_at_s=0.0)
    drawn = [fault for fault in draw("power_windows", view, seed) if isinstance(fault, Outage)]
    dark_s = sum(min(fault.end_s, view.horizon_s) - fault.start_s for fault in drawn)
    assert dark_s + 4 * HOUR_S >= 30 * 14 * HOUR_S
    assert dark_s <= 30 * 18 * HOUR_S
    for day in range(30):  # the generator's evening is never dark
        evening_s = (24 * day + 18) * HOUR_S
        assert not any(fault.start_s < evening_s + 6 * HOUR_S and fault.end_s > evening_s for fault in drawn)


def test_a_power_cut_spares_batteries() -> None:
    clinics = [{"gateway": "phone_mid"}, {"gateway": "rpi_4b_4gb"}]
    failures = [("power_cuts", {"sites": "*", "cuts_per_day": 4, "median": "1 h", "sigma": 1.0})]
    plan = make_plan(scenario("rural_district", sites=2, params={"clinics": clinics}, failures=failures))
    assert {outage.target for outage in plan.outages} == {"clinic-02/gateway"}


def test_crash_is_placed_at_clients_only() -> None:
    plan = make_plan(scenario(sites=2, failures=[("crash", {"round": 3, "node": "*", "action": "leave"})]))
    assert plan.placed == (
        PlacedFault(3, "site-01/gateway", "train", "leave"),
        PlacedFault(3, "site-02/gateway", "train", "leave"),
    )


def test_profile_reliability_is_used_and_named_as_assumed() -> None:
    failures = [("exponential", {"links": "*/backhaul", "mtbf": "profile", "mttr": "profile"})]
    clock = replace(scenario().clock, horizon_s=3000 * HOUR_S)
    plan = make_plan(scenario(sites=1, failures=failures, clock=clock))
    assert 3 <= len(plan.outages) <= 20  # 3000 h at 336 h between outages: 8.9 expected
    reliability = {item.quantity for item in plan.assumptions if item.subject == "lte_errant"}
    assert {"mtbf_h", "mttr_h"} <= reliability
    without = make_plan(scenario(sites=1))
    assert not any(item.quantity == "mtbf_h" for item in without.assumptions)


def test_outages_of_one_target_are_joined_where_they_overlap() -> None:
    drawn = [Outage(0, 10, "a", "x"), Outage(5, 8, "a", "y"), Outage(10, 12, "a", "x"), Outage(13, 14, "a", "x")]
    assert join_outages([*drawn, Outage(5, 6, "b", "z")]) == [
        Outage(0, 12, "a", "x + y"),
        Outage(5, 6, "b", "z"),
        Outage(13, 14, "a", "x"),
    ]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9), st.sampled_from("abc"))))
def test_joined_outages_cover_the_same_time_and_never_touch(parts: list[tuple[int, int, str]]) -> None:
    outages = [Outage(start, start + length, target) for start, length, target in parts]
    joined = join_outages(outages)

    def covered(of: list[Outage]) -> set[tuple[str, int]]:
        return {(item.target, second) for item in of for second in range(int(item.start_s), int(item.end_s))}

    assert covered(joined) == covered(outages)
    last: dict[str, float] = {}
    for outage in joined:
        assert outage.start_s > last.get(outage.target, -1.0)
        last[outage.target] = outage.end_s


@pytest.mark.parametrize(
    ("kind", "params", "key", "text"),
    [
        ("scheduel", {}, "kind", "did you mean 'schedule'?"),
        (
            "schedule",
            {"target": "site-01/gatway", "at": "1 h", "for": "1 h"},
            "target",
            "did you mean 'site-01/gateway'?",
        ),
        ("schedule", {"target": "server", "at": "-1 h", "for": "1 h"}, "at", "cannot start before 0 s"),
        ("schedule", {"target": "server", "at": "1 h", "for": "0 s"}, "for", "longer than 0 s"),
        ("schedule", {"target": "server", "at": "1 h", "for": "1"}, "for", "has no unit"),
        ("schedule", {"target": "server", "at": "1 h"}, "", "'for' is missing"),
        ("schedule", {"target": "server", "at": "1 h", "for": "1 h", "cuase": "x"}, "cuase", "did you mean 'cause'?"),
        ("exponential", {"mtbf": "1 h", "mttr": "1 h"}, "", "names no target"),
        ("exponential", {"links": "x", "mtbf": "1 h", "mttr": "1 h"}, "links", "no link matches 'x'"),
        ("exponential", {"links": "*", "mtbf": "0 h", "mttr": "1 h"}, "mtbf", "above 0"),
        ("exponential", {"nodes": "server", "mtbf": "profile", "mttr": "1 h"}, "mtbf", "has no mtbf in its profile"),
        ("power_cuts", {"sites": "*"}, "", "give cuts_per_day"),
        ("power_cuts", {"sites": "*", "cuts_per_day": 1, "grid": "4 h"}, "", "give cuts_per_day"),
        ("power_cuts", {"sites": "*", "cuts_per_day": 0, "median": "1 h", "sigma": 1}, "cuts_per_day", "above 0"),
        ("power_cuts", {"sites": "*", "grid": "25 h"}, "grid", "0 h to 24 h"),
        ("power_cuts", {"sites": "*", "grid": "0 h"}, "grid", "never has power"),
        ("power_cuts", {"sites": "nowhere", "grid": "4 h"}, "sites", "no site matches 'nowhere'"),
        ("crash", {"round": 0, "node": "*"}, "round", "count from 1"),
        ("crash", {"round": 1, "node": "server"}, "node", "is no client"),
        ("crash", {"round": 1, "node": "*", "phase": "unmask"}, "phase", "'train' or 'upload'"),
        ("planning_builder:backwards", {}, "", "out of order"),
    ],
)
def test_faults(kind: str, params: dict[str, object], key: str, text: str) -> None:
    (fault,) = check(scenario(failures=[(kind, params)]))
    assert fault.key == (f"failures[0].{key}" if key else "failures[0]")
    assert text in fault.message


def test_a_view_matches_patterns() -> None:
    view = view_of(make_plan(scenario("rural_district", sites=3)))
    assert view.match_sites(["clinic-0[12]"], "sites") == ["clinic-01", "clinic-02"]
    assert view.match_links(["*/backhaul"], "links") == [f"clinic-0{number}/backhaul" for number in (1, 2, 3)]
    with pytest.raises(ParameterError, match="no node matches"):
        view.match_nodes(["Server"], "nodes")
