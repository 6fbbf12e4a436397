"""From a scenario to a plan: whole plans, all faults at once, and the shipped scenarios."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_builder import REPOSITORY, scenario

from emulator.errors import ScenarioError
from emulator.plan import Plan, plan_from_json
from emulator.planner import check, make_plan
from emulator.scenario.model import Scenario

FAILURES = [
    ("schedule", {"target": "clinic-01/gateway", "at": "4 h", "for": "9 h"}),
    ("exponential", {"links": "*/backhaul", "mtbf": "profile", "mttr": "profile"}),
    ("power_cuts", {"sites": "*", "cuts_per_day": 1, "median": "1.5 h", "sigma": 1}),
    ("power_cuts", {"sites": "clinic-02", "grid": "4 h", "generator": "6 h"}),
    ("crash", {"round": 2, "node": "clinic-02/gateway"}),
]


def district(**changes: object) -> Scenario:
    return scenario("rural_district", sites=4, failures=FAILURES, **changes)


def as_json(plan: Plan) -> str:
    return json.dumps(plan.to_dict(), sort_keys=True)


@given(seed=st.integers(0, 2**63))
def test_a_plan_is_a_pure_function_and_survives_json(seed: int) -> None:
    plan = make_plan(district(seed=seed))
    assert plan == make_plan(district(seed=seed))
    assert plan_from_json(as_json(plan)) == plan
    assert list(plan.outages) == sorted(plan.outages)
    assert list(plan.assumptions) == sorted(set(plan.assumptions))


def test_another_seed_draws_other_outages_and_leaves_the_network() -> None:
    one, other = make_plan(district(seed=1)), make_plan(district(seed=2))
    assert one.outages != other.outages
    assert (one.nodes, one.links, one.routes) == (other.nodes, other.links, other.routes)


def test_a_further_failure_block_changes_nothing_for_the_others() -> None:
    more = [("power_cuts", {"sites": "clinic-04", "grid": "4 h"})]
    plan = make_plan(scenario("rural_district", sites=4, failures=[*FAILURES, *more]))
    kept = [outage for outage in plan.outages if not outage.target.startswith("clinic-04")]
    assert kept == [outage for outage in make_plan(district()).outages if not outage.target.startswith("clinic-04")]


def test_a_plan_is_the_same_under_another_hash_seed() -> None:
    code = (
        "import hashlib, json, test_planner as t\n"
        "print(hashlib.sha256(t.as_json(t.make_plan(t.district())).encode()).hexdigest())"
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


def test_run_config_and_rounds_are_handed_on() -> None:
    plan = make_plan(scenario())
    assert plan.app.rounds == 10
    base = scenario()
    without = make_plan(replace(base, app=replace(base.app, config={"b": 1, "a": "x"})))
    assert without.app.rounds is None
    assert list(without.app.run_config) == ["a", "b"]


def test_overrides_change_single_links_and_keep_the_rest() -> None:
    changed = make_plan(scenario(overrides={"site-0[12]/backhaul": {"loss": "2 %", "queue": "64 kB"}}))
    plain = make_plan(scenario())
    for name in ("site-01/backhaul", "site-02/backhaul"):
        link = changed.link_by_name[name]
        assert (link.up[0].loss, link.down[0].loss, link.queue_bytes) == (0.02, 0.02, 64e3)
        assert link.up[0].rate_bps == plain.link_by_name[name].up[0].rate_bps
        assert link.profile == "lte_errant"
    assert changed.link_by_name["site-03/backhaul"] == plain.link_by_name["site-03/backhaul"]


def test_own_profiles_reach_the_plan() -> None:
    plan = make_plan(
        scenario(
            params={"gateway": "slow_pi", "backhaul": "lan"},
            devices={"slow_pi": {"like": "rpi_4b_4gb", "speed": 0.5}},
            links={"lan": {"rate": "100 Mbit/s", "rtt": "2 ms", "tariff": "1 USD/GB"}},
        )
    )
    device, link = plan.clients[0].device, plan.link_by_name["site-01/backhaul"]
    assert device is not None
    assert device.profile == "slow_pi"
    assert (link.profile, link.up[0].delay_s, link.tariff_usd_per_gb) == ("lan", 0.001, 1.0)


def test_every_fault_is_told_at_once() -> None:
    broken = scenario(
        params={"gateway": "rpi_4b_4g", "backhaul": "geo_vast"},
        devices={"mine": {"like": "nothing_like_it"}},
        links={"dsl": {"rate": "5 Mbit/s"}},
        overrides={"site-09/backhaul": {"loss": "1 %"}},
    )
    assert {fault.key for fault in check(broken)} == {
        "topology.gateway",
        "topology.backhaul",
        "devices.mine.like",
        "links.dsl",
        "overrides.site-09/backhaul",
    }
    with pytest.raises(ScenarioError) as caught:
        make_plan(broken)
    assert list(caught.value.faults) == check(broken)


def test_failures_and_clients_are_checked_together() -> None:
    broken = scenario(
        params={"backhaul": "lorawan_eu868_sf12"},
        failures=[("schedule", {"target": "nowhere", "at": "1 h", "for": "1 h"}), ("crash", {"round": 0, "node": "*"})],
    )
    assert {fault.key for fault in check(broken)} == {"topology.backhaul", "failures[0].target", "failures[1].round"}


def test_faults_point_to_the_line() -> None:
    placed = scenario(
        params={"gateway": "rpi_4b_4g"}, places={"topology": ("t.yaml", 3), "topology.gateway": ("t.yaml", 5)}
    )
    assert [(fault.file, fault.line) for fault in check(placed)] == [("t.yaml", 5)]


SHIPPED = sorted((REPOSITORY / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
@pytest.mark.parametrize("quick", [False, True])
def test_shipped_scenarios_plan_without_faults(path: Path, quick: bool) -> None:
    from emulator.scenario import load_scenario

    loaded = load_scenario(path, quick=quick)
    assert check(loaded) == []
    plan = make_plan(loaded)
    assert plan_from_json(as_json(plan)) == plan
    comment = [line for line in path.read_text(encoding="utf-8").splitlines()[:6] if line.startswith("#")]
    assert len(comment) == 5
