"""The contract of a topology, over every registered one and one from outside; and the checks on its graph."""

from collections.abc import Callable

import networkx as nx
import planning_builder
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_builder import scenario

from emulator.plan import DOWN, UP, Plan
from emulator.planner import check, make_plan
from emulator.topology import ParameterError, bind, build
from topologies import TOPOLOGIES

ALL: dict[str, Callable[..., nx.Graph]] = {**TOPOLOGIES, "planning_builder:line": planning_builder.line}


@pytest.mark.parametrize("kind", sorted(ALL))
@given(sites=st.integers(1, 30))
def test_contract(kind: str, sites: int) -> None:
    plan = make_plan(scenario(kind, sites=sites))
    names = [node.name for node in plan.nodes]
    links = [link.name for link in plan.links]
    assert names == sorted(set(names))
    assert links == sorted(set(links))
    assert set(names).isdisjoint(links)
    assert [node.kind for node in plan.nodes].count("server") == 1
    assert [client.partition_id for client in plan.clients] == list(range(sites))
    for node in plan.nodes:
        assert (node.device is None) == (node.kind == "router")
    for client in plan.clients:
        assert walk(plan, client.name) == plan.server.name


def walk(plan: Plan, start: str) -> str:
    """Follow a node's route and return where it ends."""
    here = start
    for hop in plan.routes[start]:
        link = plan.link_by_name[hop.link]
        assert here == (link.leaf if hop.direction == UP else link.root)
        here = link.root if hop.direction == UP else link.leaf
    return here


@pytest.mark.parametrize("kind", sorted(ALL))
def test_calling_twice_gives_the_same_graph_and_no_shared_state(kind: str) -> None:
    one, other = ALL[kind](sites=3), ALL[kind](sites=3)
    assert nx.utils.graphs_equal(one, other)
    one.clear()
    assert len(other) > 0


@pytest.mark.parametrize("kind", sorted(TOPOLOGIES))
@given(sites=st.integers(1, 12))
def test_another_site_changes_nothing_for_the_others(kind: str, sites: int) -> None:
    smaller, larger = make_plan(scenario(kind, sites=sites)), make_plan(scenario(kind, sites=sites + 1))
    for node in smaller.nodes:
        assert larger.node_by_name[node.name] == node
        assert larger.routes.get(node.name) == smaller.routes.get(node.name)
    for link in smaller.links:
        assert larger.link_by_name[link.name] == link


def test_a_rural_clinic_streams_to_its_gateway_and_no_farther() -> None:
    plan = make_plan(scenario("rural_district", sites=2))
    patch = plan.node_by_name["clinic-02/patch-1"]
    assert patch.site == "clinic-02"
    (stream,) = patch.streams
    assert (stream.peer, stream.link, stream.rate_bps) == ("clinic-02/gateway", "clinic-02/ble-1", 360 * 2 * 12)
    assert [hop.link for hop in plan.routes["clinic-02/patch-1"]] == ["clinic-02/ble-1"]
    assert [hop.link for hop in plan.routes["clinic-02/gateway"]] == ["clinic-02/backhaul", "core"]


def test_listed_clinics_come_first_and_the_rest_follow_the_defaults() -> None:
    clinics = [{"name": "hospital", "backhaul": "ftth", "wearables": 0}, {"gateway": "phone_mid"}]
    params = {"clinics": clinics, "gateway": "rpi_5_4gb"}
    plan = make_plan(scenario("rural_district", sites=3, params=params))
    devices = {client.name: client.device.profile for client in plan.clients if client.device}
    assert devices == {
        "hospital/gateway": "rpi_5_4gb",
        "clinic-02/gateway": "phone_mid",
        "clinic-03/gateway": "rpi_5_4gb",
    }
    assert plan.link_by_name["hospital/backhaul"].profile == "ftth"
    assert "hospital/patch-1" not in plan.node_by_name


def test_a_chain_routes_through_its_neighbours() -> None:
    plan = make_plan(scenario("planning_builder:line", sites=3))
    assert [hop.link for hop in plan.routes["node-2"]] == ["node-1--node-2", "node-0--node-1", "hub--node-0"]
    assert plan.link_by_name["hub--node-0"].up[0].delay_s == 0.01


def test_routes_take_the_least_delay_and_cross_links_in_either_direction() -> None:
    graph = nx.Graph()
    graph.add_node("s", kind="server", profile="cloud_x86_8vcpu")
    for name in ("a", "b"):
        graph.add_node(name, kind="client", profile="rpi_4b_4gb")
    graph.add_edge("a", "s", rate="1 Mbit/s", delay="300 ms", name="sat")
    graph.add_edge("b", "s", rate="1 Mbit/s", delay="10 ms", name="fibre")
    graph.add_edge("a", "b", rate="1 Mbit/s", delay="20 ms", name="radio", leaf="b")
    topology = build(graph)
    assert [link.name for link in topology.links] == ["fibre", "radio", "sat"]

    from emulator.models.links import constant
    from emulator.models.links.profile import apply_fields
    from emulator.plan import Link, Node
    from emulator.rng import Streams
    from emulator.topology import find_routes

    links = []
    for link in topology.links:
        profile = apply_fields(None, link.fields, name="custom", key=link.name)
        states = tuple(constant(profile, direction="up", horizon_s=1.0, rng=Streams(0)("x")))
        links.append(Link(link.name, link.leaf, link.root, "custom", states, states))
    routes = find_routes([Node(node.name, node.kind) for node in topology.nodes], links)
    assert [(hop.link, hop.direction) for hop in routes["a"]] == [("radio", DOWN), ("fibre", UP)]


@pytest.mark.parametrize(
    ("kind", "params", "key", "text"),
    [
        ("planning_builder:two_servers", {}, "topology", "exactly one server; got 2 (hub, second)"),
        ("planning_builder:cut_off", {}, "topology", "client 'alone' has no route to the server 'hub'"),
        ("rural_distrikt", {}, "topology.kind", "did you mean 'rural_district'?"),
        ("star", {"gatway": "rpi_4b_4gb"}, "topology.gatway", "did you mean 'gateway'?"),
        ("star", {"gateway": 4}, "topology.gateway", "got 4; want str"),
        ("star", {"sites": "three"}, "topology.sites", "got 'three'; want int"),
        ("star", {"sites": 0}, "topology", "sites: got 0; want 1 or more"),
        ("star", {"gateway": "rpi_4b_4g"}, "topology.gateway", "did you mean 'rpi_4b_4gb'?"),
        ("star", {"gateway": "nrf5340"}, "topology.gateway", "runs no Python"),
        ("star", {"backhaul": "lorawan_eu868_sf7"}, "topology.backhaul", "519,951 bytes a day"),
        ("star", {"backhaul": "lorawan_eu868_sf7"}, "topology.backhaul", "200,000 bytes would take 9.2 h each way"),
        ("star", {"backhaul": "adsl_rual"}, "topology.backhaul", "did you mean 'adsl_rural'?"),
        (
            "rural_district",
            {"clinics": [{}, {"backhaul": "ftt"}]},
            "topology.clinics[1].backhaul",
            "did you mean 'ftth'?",
        ),
        ("rural_district", {"clinics": [{"gatevay": "x"}]}, "topology", "did you mean 'gateway'?"),
        ("rural_district", {"clinics": [{"name": "a"}, {"name": "a"}]}, "topology", "two clinics are called 'a'"),
        ("rural_district", {"clinics": [{"wearables": "3"}]}, "topology", "want a whole number"),
        ("rural_district", {"stream_rate": "8640"}, "topology.patch", "has no unit"),
        ("rural_district", {"stream_rate": "1 Gbit/s"}, "topology", "streams 1e+09 bit/s over"),
    ],
)
def test_faults(kind: str, params: dict[str, object], key: str, text: str) -> None:
    faults = check(scenario(kind, params=params))
    assert faults
    assert {fault.key for fault in faults} == {key}
    assert text in faults[0].message


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda graph: graph.add_node("x", kind="clinet", profile="rpi_4b_4gb"), "did you mean 'client'?"),
        (lambda graph: graph.add_node("x", kind="client"), "needs a device profile"),
        (lambda graph: graph.add_node(7, kind="router"), "node names are text"),
        (lambda graph: graph.add_node("x", kind="router", colour="red"), "unknown field 'colour'"),
        (lambda graph: graph.add_edge("node-0", "node-2", name="node-0--node-1"), "has the name of another link"),
        (lambda graph: graph.add_edge("node-0", "node-2", name="hub"), "has the name of a node"),
        (lambda graph: graph.add_edge("node-0", "node-2", leaf="hub"), "is neither"),
        (lambda graph: graph.add_edge("node-0", "node-0"), "to itself"),
        (
            lambda graph: graph.add_node("x", kind="sensor", profile="nrf5340"),
            "exactly one link, and to a client; got none",
        ),
        (lambda graph: graph.nodes["node-0"].update(stream_rate=5.0), "only sensors stream"),
        (lambda graph: graph.remove_node("hub"), "exactly one server; got 0 (none)"),
    ],
)
def test_graph_faults(change: Callable[[nx.Graph], None], text: str) -> None:
    graph = planning_builder.line(sites=3)
    change(graph)
    with pytest.raises(ParameterError) as caught:
        build(graph)
    assert any(text in message for _, message in caught.value.faults)


def test_all_parameter_faults_are_told_at_once() -> None:
    with pytest.raises(ParameterError) as caught:
        bind(TOPOLOGIES["star"], {"site": 3, "gateway": 1})
    assert [key for key, _ in caught.value.faults] == ["site", "gateway", ""]
