"""A described network leads every packet along the plan's links, there and back."""

from dataclasses import replace
from pathlib import Path

import pytest
from live_builder import star_plan, two_nodes

from emulator.backends.live.faults import node_actions, off_at_start
from emulator.backends.live.network import LiveNetwork, describe_network
from emulator.backends.live.shaping import down_spans, netem_arguments, netem_changes, refused
from emulator.backends.live.slices import slice_plan
from emulator.plan import LinkState, Outage
from emulator.runner import plan_scenario

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))
LINE = {"up": LinkState(0, 1e6, 0.02, 0.004, 0.01), "down": LinkState(0, 5e6, 0.02)}


def walk(network: LiveNetwork, start: str, goal: str) -> list[str]:
    """Return the links a packet takes from one node to another, hop by hop by the hosts' own tables."""
    address = network.host_of(goal).address
    by_address = {host.address: host for host in network.hosts}
    wires = {wire.name: wire for wire in network.wires}
    here, links = network.host_of(start), []
    while here.address != address:
        route = next(route for route in here.routes if route.destination == address)
        wire, there = wires[route.wire], by_address[route.via]
        assert {wire.leaf, wire.root} == {here.name, there.name}, "the neighbour is at the wire's other end"
        links.append(wire.link.name)
        here = there
        assert len(links) <= len(network.wires)
    return links


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_packets_take_the_plans_links_there_and_back(path):
    plan = plan_scenario(path)[1]
    network = describe_network(plan)
    for node in plan.clients:
        planned = [hop.link for hop in plan.routes[node.name]]
        assert walk(network, node.name, plan.server.name) == planned
        assert walk(network, plan.server.name, node.name) == planned[::-1]
    for node in plan.nodes:
        for stream in node.streams:
            assert walk(network, node.name, stream.peer) == [stream.link]
    names = [host.name for host in network.hosts] + [wire.leaf_interface for wire in network.wires]
    assert max(map(len, names)) <= 15
    assert len({host.address for host in network.hosts}) == len(plan.nodes)


def test_netem_is_given_the_links_figures_at_the_ip_layer():
    link = two_nodes(**LINE, queue_bytes=30_000).links[0]
    assert netem_arguments(link.up[0], link, is_down=False) == (
        "limit", "23", "delay", "20000us", "4000us", "distribution", "normal", "loss", "1%", "rate", "1000000bit", "-14",
    )  # fmt: skip
    assert "100%" in netem_arguments(link.up[0], link, is_down=True)


def test_netem_replays_outages_at_their_offsets():
    plan = two_nodes(**LINE, outages=(Outage(3.0, 5.0, "line"), Outage(4.0, 6.0, "client")))
    wire = describe_network(plan).wires[0]
    spans = down_spans(plan)["line"]
    assert spans == ((3.0, 6.0),)
    changes = [change for change in netem_changes(wire, spans) if change.interface == "w0u"]
    assert [(change.at_s, change.arguments[1], "100%" in change.arguments) for change in changes] == [
        (0.0, "add", False), (3.0, "change", True), (6.0, "change", False),
    ]  # fmt: skip


def test_netem_refuses_half_duplex_and_the_relay_does_not():
    plan = two_nodes(**LINE, is_shared_medium=True)
    assert "half duplex" in refused(plan, "netem")[0]
    assert refused(plan, "userspace") == []


def test_a_slice_keeps_what_is_under_way_and_moves_the_rest():
    states = (LinkState(0, 1e6, 0.1), LinkState(50, 2e6, 0.1), LinkState(120, 3e6, 0.1))
    plan = two_nodes(**LINE, outages=(Outage(10, 20, "line"), Outage(90, 130, "line"), Outage(300, 310, "line")))
    link = plan.links[0]
    plan = replace(plan, links=(replace(link, up=states),))
    part = slice_plan(plan, 100, 60)
    assert part.outages == (Outage(0, 30, "line"),)
    assert [(state.from_s, state.rate_bps) for state in part.links[0].up] == [(0, 2e6), (20, 3e6)]
    assert (part.horizon_s, part.starts_at_s) == (60, 100)
    whole = slice_plan(plan, 0, None)
    assert (whole.outages, whole.links, whole.horizon_s) == (plan.outages, plan.links, plan.horizon_s)


def test_a_client_boots_after_its_power_is_back_unless_it_goes_again():
    plan = star_plan("topology.sites=2", "app.config.min-nodes=2")
    node = plan.clients[0]
    boot_s = node.device.boot_s
    outages = (
        Outage(0, 10, node.name, "cut"),
        Outage(100, 120, node.name, "cut"),
        Outage(110, 130, node.name, "cut"),
        Outage(130 + boot_s / 2, 300, node.name, "cut"),
    )
    plan = replace(plan, outages=outages)
    assert off_at_start(plan) == {node.name}
    assert [(round(action.at_s, 3), action.what) for action in node_actions(plan)] == [
        (0, "down"), (10, "up"), (round(10 + boot_s, 3), "boot"), (100, "down"), (130, "up"),
        (round(130 + boot_s / 2, 3), "down"), (300, "up"), (round(300 + boot_s, 3), "boot"),
    ]  # fmt: skip
