"""What each shipped topology looks like, and maps that are read from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from planning_builder import REPOSITORY, scenario

from emulator.plan import Plan
from emulator.planner import check, make_plan


def planned(kind: str, sites: int, **params: Any) -> Plan:
    return make_plan(scenario(kind, sites=sites, params=params))


def hops(plan: Plan, client: str) -> list[str]:
    return [hop.link for hop in plan.routes[client]]


def test_a_district_shares_its_backhaul() -> None:
    plan = planned("tree", 5, sites_per_district=2)
    assert hops(plan, "site-03/gateway") == ["site-03/access", "district-02/backhaul", "core"]
    assert hops(plan, "site-04/gateway")[1:] == hops(plan, "site-03/gateway")[1:]
    assert sum(link.profile == "adsl_rural" for link in plan.links) == 3


def test_a_power_cut_at_an_exchange_takes_its_district_off_the_net() -> None:
    failures = [("power_cuts", {"sites": "district-01", "cuts_per_day": 5, "median": "1 h", "sigma": 0.1})]
    plan = make_plan(scenario("tree", sites=5, failures=failures))
    down = {outage.target for outage in plan.outages}
    own = {f"site-0{number}/access" for number in (1, 2, 3, 4)}
    assert down == {"district-01/exchange", "district-01/backhaul", *own}


def test_a_mesh_relays_over_the_fewest_hops() -> None:
    plan = planned("mesh", 9, columns=3)
    assert [len(plan.routes[client.name]) for client in plan.clients] == [2, 3, 4, 3, 4, 5, 4, 5, 6]
    assert hops(plan, "site-09/gateway")[-2:] == ["site-01/hop-portal", "uplink"]
    chain = planned("mesh", 4, columns=1)
    assert len(chain.routes["site-04/gateway"]) == 5
    assert all(link.is_shared_medium for link in plan.links if "/hop-" in link.name)


def test_wards_of_a_floor_share_one_half_duplex_cell() -> None:
    plan = planned("smart_hospital", 5, wards_per_floor=4)
    assert hops(plan, "ward-04/gateway") == ["ward-04/wifi", "floor-01/radio", "floor-01/riser", "datacentre"]
    assert hops(plan, "ward-05/gateway")[1] == "floor-02/radio"
    cell = plan.link_by_name["floor-01/radio"]
    assert cell.is_shared_medium
    assert cell.up[0].rate_bps < plan.link_by_name["ward-04/wifi"].up[0].rate_bps / 50
    assert plan.link_by_name["ward-04/wifi"].up[0].delay_s == 0
    assert sum(node.kind == "sensor" for node in plan.nodes) == 30


def test_homes_get_their_lines_in_turn() -> None:
    plan = planned("home_monitoring", 5, lines=["ftth", "vdsl2"])
    lines = [plan.link_by_name[f"home-0{number}/line"].profile for number in range(1, 6)]
    assert lines == ["ftth", "vdsl2", "ftth", "vdsl2", "ftth"]
    assert hops(plan, "home-02/gateway") == ["home-02/wifi", "home-02/radio", "home-02/line", "core"]


def test_ambulances_are_at_different_places_of_the_trace() -> None:
    plan = planned("ambulance_fleet", 3)
    first = [plan.link_by_name[f"ambulance-0{number}/lte"] for number in (1, 2, 3)]
    assert len({link.down[0].rate_bps for link in first}) == 3
    assert all(len(link.up) > 100 and link.up[0].delay_s > 0 for link in first)


def test_an_ambulance_trace_is_a_file_of_the_scenario(tmp_path: Path) -> None:
    path = tmp_path / "drive.csv"
    path.write_text("time_s,mbps\n0,1\n600,1\n", encoding="utf-8")
    plan = planned("ambulance_fleet", 1, down_file=str(path))
    (lte,) = (link for link in plan.links if link.name == "ambulance-01/lte")
    assert [state.rate_bps for state in lte.down] == [1e6]
    assert lte.up[0].rate_bps != 1e6
    (fault,) = check(scenario("ambulance_fleet", sites=1, params={"down_file": "nowhere.csv"}))
    assert fault.key == "topology.down_file"


def test_the_shipped_map() -> None:
    plan = planned("graphml", 9, server_at="Market")
    assert plan.link_by_name["core"].leaf == "pop/Market"
    assert len([link for link in plan.links if link.name.startswith("trunk/")]) == 10
    trunk = plan.link_by_name["trunk/Abbey--Moor"]
    assert trunk.up[0].rate_bps == 3.4e7
    # 23 km apart: 23 * 1.4 / 200 000 s.
    assert trunk.up[0].delay_s == pytest.approx(23.2 * 1.4 / 2e5, rel=0.02)
    assert plan.link_by_name["trunk/Moor--Quarry"].up[0].rate_bps == 1e9
    assert plan.link_by_name["site-08/access"].root == plan.link_by_name["site-01/access"].root == "pop/Harbour"
    assert not any(link.root == "pop/Market" for link in plan.links if link.name.endswith("/access"))


GML = """graph [
  node [ id 0 label "Town" ]
  node [ id 1 label "Town" ]
  node [ id 2 label "Hill" ]
  edge [ source 0 target 1 LinkSpeedRaw 1000000.0 ]
  edge [ source 1 target 2 ]
]
"""
PARALLEL = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="s" for="edge" attr.name="LinkSpeedRaw" attr.type="double"/>
<graph edgedefault="directed"><node id="a"/><node id="b"/>
<edge source="a" target="b"><data key="s">1000</data></edge>
<edge source="b" target="a"><data key="s">5000</data></edge>
<edge source="a" target="b"><data key="s">2000</data></edge></graph></graphml>
"""


def test_gml_with_a_label_that_comes_twice(tmp_path: Path) -> None:
    path = tmp_path / "zoo.gml"
    path.write_text(GML, encoding="utf-8")
    plan = planned("graphml", 2, file=str(path), rate="5 Mbit/s", delay="7 ms", server_at="Hill")
    assert {node.name for node in plan.nodes if node.kind == "router"} == {"pop/Town (0)", "pop/Town (1)", "pop/Hill"}
    rates = {link.name: link.up[0].rate_bps for link in plan.links if link.name.startswith("trunk")}
    assert rates == {"trunk/Town (0)--Town (1)": 1e6, "trunk/Hill--Town (1)": 5e6}
    assert plan.link_by_name["trunk/Hill--Town (1)"].up[0].delay_s == 0.007


def test_of_parallel_edges_the_fastest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "zoo.graphml"
    path.write_text(PARALLEL, encoding="utf-8")
    plan = planned("graphml", 1, file=str(path))
    assert plan.link_by_name["trunk/a--b"].up[0].rate_bps == 5000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not a map", "cannot be read as GraphML or GML"),
        (
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected"/></graphml>',
            "no nodes",
        ),
        (
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected">'
            '<node id="a"/><node id="b"/></graph></graphml>',
            "is in 2 parts; link or remove what stands apart: pop/b",
        ),
    ],
)
def test_a_broken_map_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "map.graphml"
    path.write_text(text, encoding="utf-8")
    (fault,) = check(scenario("graphml", sites=1, params={"file": str(path)}))
    assert message in fault.message


@pytest.mark.parametrize(
    ("kind", "params", "key", "text"),
    [
        ("tree", {"sites_per_district": 0}, "", "sites_per_district: got 0"),
        ("mesh", {"columns": 0}, "", "columns: got 0"),
        ("mesh", {"hop": "lorawan_eu868_sf7"}, "hop", "carries no model updates"),
        ("mesh", {"sensors": -1}, "", "sensors: got -1"),
        ("smart_hospital", {"cell": "wify_pi4"}, "cell", "did you mean 'wifi_pi4'?"),
        ("home_monitoring", {"lines": []}, "", "lines: got 0"),
        ("home_monitoring", {"lines": ["ftth", "fthh"]}, "lines", "did you mean 'ftth'?"),
        ("ambulance_fleet", {"bin": "1 s"}, "uplink.model.bin", "raise bin to 13 s"),
        ("graphml", {"server_at": "Atlantis"}, "", "has no node 'Atlantis'; for example Abbey"),
        ("graphml", {"detour": 0.5}, "", "detour: got 0.5"),
        ("graphml", {"file": "maps/nowhere.graphml"}, "file", "maps/lake_valley.graphml"),
    ],
)
def test_faults(kind: str, params: dict[str, Any], key: str, text: str) -> None:
    faults = check(scenario(kind, sites=2, params=params))
    assert {fault.key for fault in faults} == {f"topology.{key}" if key else "topology"}
    assert text in faults[0].message


def test_every_shipped_topology_has_a_scenario() -> None:
    from topologies import TOPOLOGIES

    text = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "scenarios").glob("*.yaml"))
    assert [kind for kind in TOPOLOGIES if f"kind: {kind}" not in text] == ["star"]
