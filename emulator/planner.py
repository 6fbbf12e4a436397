"""From a scenario to a plan: topology, profiles, routes, failures; every fault is found before any is reported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from emulator.compute.costs import WORK_UNITS, add_costs, reserve_bytes
from emulator.compute.recorded import read_calls
from emulator.datafiles import find_file
from emulator.errors import Fault, ScenarioError
from emulator.hostility import Hostility
from emulator.models.devices import Hardware, resolve_hardware
from emulator.models.failures import FAILURES, Reliability, View
from emulator.models.failures.assumed import reliability_assumptions
from emulator.models.failures.outages import close_outages, join_outages, spread_to_links, take
from emulator.models.failures.view import match
from emulator.models.links import LINKS, LinkProfile, resolve_link
from emulator.models.links.profile import apply_fields
from emulator.models.links.timeline import draw_states
from emulator.plan import (
    AppPlan,
    Assumption,
    Hop,
    Link,
    LinkState,
    Node,
    Outage,
    PlacedFault,
    Plan,
    Stream,
    TimingOnly,
)  # fmt: skip
from emulator.registry import find_plugin, nearest
from emulator.rng import Streams, derive_seed
from emulator.scenario.model import PluginSpec, Scenario
from emulator.topology import ParameterError, Topology, TopologyLink, TopologyNode, bind, build, find_routes
from topologies import TOPOLOGIES

# One message of a small generative model: some 50 000 float32 with Flower's framing.
SMALLEST_MESSAGE_BYTES = 200_000
ROUNDS_KEY = "num-server-rounds"


def check(scenario: Scenario) -> list[Fault]:
    """Return every fault in what ``scenario`` means, in order of file and line; empty where it can be planned."""
    faults = _Faults(scenario)
    _plan(scenario, faults)
    return faults.sorted()


def make_plan(scenario: Scenario) -> Plan:
    """Return the plan of ``scenario``, a pure function of the scenario and its seed.

    Raises:
        ScenarioError: The scenario has faults; carries all of them.
    """
    faults = _Faults(scenario)
    plan = _plan(scenario, faults)
    if plan is None or faults.found:
        raise ScenarioError(faults.sorted())
    return plan


class _Faults:
    """Collects faults so that all are reported at once."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.found: set[Fault] = set()

    def add(self, key: str, message: str) -> None:
        self.found.add(self._scenario.fault(key, message))

    def sorted(self) -> list[Fault]:
        return sorted(self.found)

    @contextmanager
    def at(self, key: str, *, below: bool = False) -> Iterator[None]:
        """Turn a ValueError into faults at ``key``; the keys in a ParameterError are full paths, or stand ``below``."""
        try:
            yield
        except ParameterError as error:
            for part, message in error.faults:
                self.add(_join(key, part) if below else part or key, message)
        except ValueError as error:
            self.add(key, str(error))


def _join(key: str, part: str) -> str:
    return f"{key}.{part}" if part else key


@dataclass(frozen=True)
class _Network:
    """The resolved network: nodes and links of the plan with what stands behind them."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    hardware: Mapping[str, Hardware]
    profiles: Mapping[str, LinkProfile]
    assumptions: frozenset[Assumption]


def _plan(scenario: Scenario, faults: _Faults) -> Plan | None:
    topology = _topology(scenario, faults)
    if topology is None:
        return None
    network = _network(scenario, topology, faults)
    if network is None:
        return None
    routes = find_routes(network.nodes, network.links)
    _check_clients(scenario, topology, network, routes=routes, faults=faults)
    _check_streams(scenario, network, faults)
    outages, placed, hostile = _draw_failures(scenario, network, faults)
    _check_timing(scenario, faults)
    if unshown := scenario.network.unshown([link.congestion_control for link in network.links]):
        faults.add("network.model", unshown)
    timing = _with_recorded_calls(scenario, faults)
    trained = _trained_clients(scenario, network, faults)
    client_routes = {node.name: routes[node.name] for node in network.nodes if node.kind == "client"}
    outages = close_outages(spread_to_links(outages, network.links, client_routes), scenario.clock.horizon_s)
    return Plan(
        scenario=scenario.name,
        seed=scenario.seed,
        starts_at_s=scenario.clock.starts_at_s,
        horizon_s=scenario.clock.horizon_s,
        nodes=network.nodes,
        links=network.links,
        routes=dict(sorted(routes.items())),
        outages=tuple(join_outages(outages)),
        placed=tuple(sorted(placed, key=lambda fault: (fault.round, fault.node, fault.phase, fault.action))),
        hostile=tuple(sorted(hostile, key=lambda item: item.node)),
        app=AppPlan(
            path=str(scenario.app.path),
            run_config=dict(sorted(scenario.app.config.items())),
            rounds=_rounds(scenario),
            trained=trained,
            fresh_process=scenario.app.fresh_process,
        ),
        flower=scenario.flower,
        assumptions=tuple(
            sorted(
                network.assumptions
                | reliability_assumptions([spec.params for spec in scenario.failures], network.profiles)
            )
        ),
        timing=timing,
        network=scenario.network,
    )


def _rounds(scenario: Scenario) -> int | None:
    """Return how many rounds a run will take, where that is known."""
    if scenario.timing is not None:
        return scenario.timing.rounds
    rounds = scenario.app.config.get(ROUNDS_KEY)
    return rounds if isinstance(rounds, int) and not isinstance(rounds, bool) else None


def _check_timing(scenario: Scenario, faults: _Faults) -> None:
    """Without learning, the work of a call is the scenario's to give, in units of the cost table."""
    for unit, amount in (scenario.timing.work if scenario.timing else {}).items():
        if unit not in WORK_UNITS:
            known = sorted(WORK_UNITS)
            faults.add(f"learning.work.{unit}", f"unknown unit; allowed: {', '.join(known)}{nearest(unit, known)}")
        elif isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount < 0:
            faults.add(f"learning.work.{unit}", f"got {amount!r}; must be a number, 0 or more")


def _with_recorded_calls(scenario: Scenario, faults: _Faults) -> TimingOnly | None:
    """Return the timing with the calls of the file the scenario names, if any."""
    if scenario.timing is None or scenario.recorded is None:
        return scenario.timing
    file, client = scenario.recorded
    with faults.at("learning.recorded_file"):
        return replace(scenario.timing, calls=read_calls(find_file(file), client))
    return None


def _trained_clients(scenario: Scenario, network: _Network, faults: _Faults) -> tuple[str, ...]:
    """Draw the clients that train for real; none where all do."""
    if scenario.sample is None:
        return ()
    part, whole = scenario.sample
    names = [node.name for node in network.nodes if node.kind == "client"]
    if len(names) != whole:
        faults.add("learning.trained_clients", f"got '{part} of {whole}', and the topology has {len(names)} clients")
        return ()
    chosen = Streams(derive_seed(scenario.seed, "trained"))("clients").choice(whole, size=part, replace=False)
    return tuple(sorted(names[int(index)] for index in chosen))


def _topology(scenario: Scenario, faults: _Faults) -> Topology | None:
    spec = scenario.topology
    with faults.at(f"{spec.key}.kind"):
        function = find_plugin(spec.kind, TOPOLOGIES, group="emulator.topologies")
        with faults.at(spec.key, below=True):
            return build(function(**bind(function, spec.params)))
    return None


def _network(scenario: Scenario, topology: Topology, faults: _Faults) -> _Network | None:
    """Resolve every device and link; own profiles are read even where nothing uses them."""
    hardware: dict[str, Hardware] = {}
    assumptions: set[Assumption] = set()
    for name in scenario.devices:
        with faults.at(f"devices.{name}"):
            resolve_hardware(name, scenario.devices)
    for node in topology.nodes:
        if node.profile:
            with faults.at(_join(scenario.topology.key, node.key)):
                hardware[node.name] = resolve_hardware(node.profile, scenario.devices, reserve_bytes=reserve_bytes())
    profiles = _link_profiles(scenario, topology, faults)
    if faults.found:
        return None
    links = _links(scenario, topology, profiles, faults=faults)
    if links is None:
        return None
    uplinks = {end: link for link in links for end in (link.leaf, link.root)}  # a sensor's one link, by its name
    planned_nodes = [_node(item, uplinks) for item in topology.nodes]
    received_bps: defaultdict[str, float] = defaultdict(float)
    for planned in planned_nodes:
        for stream in planned.streams:
            received_bps[stream.peer] += stream.rate_bps
    nodes = []
    for item, planned in zip(topology.nodes, planned_nodes, strict=True):
        if item.name in hardware:
            device, behind = add_costs(hardware[item.name], stream_bps=received_bps.get(item.name, 0.0))
            planned = replace(planned, device=device)
            assumptions.update(behind)
        nodes.append(planned)
    for link in links:
        profile = profiles[link.name]
        rates = {"up_bps": link.up, "down_bps": link.down}
        replaced = [
            name for name, states in rates.items() if getattr(profile, name) not in {s.rate_bps for s in states}
        ]
        assumptions.update(profile.assumptions(without=replaced))
    return _Network(tuple(nodes), links, hardware, profiles, frozenset(assumptions))


def _link_profiles(scenario: Scenario, topology: Topology, faults: _Faults) -> dict[str, LinkProfile]:
    profiles: dict[str, LinkProfile] = {}
    for name in scenario.links:
        with faults.at(f"links.{name}"):
            resolve_link(name, scenario.links)
    for link in topology.links:
        key = _join(scenario.topology.key, link.key)
        with faults.at(key):
            profile = None if link.profile is None else resolve_link(link.profile, scenario.links)[0]
            if link.fields or profile is None:
                profile = apply_fields(profile, link.fields, name=link.profile or "custom", key=key)
            profiles[link.name] = profile
    names = [link.name for link in topology.links]
    for pattern, fields in scenario.overrides.items():
        key = f"overrides.{pattern}"
        with faults.at(key):
            for name in match([pattern], names, what="link", key=key):
                if name in profiles:
                    profiles[name] = apply_fields(profiles[name], fields, name=profiles[name].name, key=key)
    return profiles


def _links(
    scenario: Scenario, topology: Topology, profiles: Mapping[str, LinkProfile], *, faults: _Faults
) -> tuple[Link, ...] | None:
    """Draw the states of every link; None where one cannot be drawn. An own profile's model is tried even unused."""
    horizon_s = scenario.clock.horizon_s
    streams = Streams(derive_seed(scenario.seed, "links"))
    used = {profile.model.key for profile in profiles.values() if profile.model}
    for name in scenario.links:
        profile = resolve_link(name, scenario.links)[0]
        if profile.model is not None and profile.model.key not in used:
            with faults.at(profile.model.key, below=True):
                draw_states(name, profile, LINKS, horizon_s=horizon_s, streams=streams)
    links = []
    for item in topology.links:
        profile = profiles[item.name]
        with faults.at(profile.model.key if profile.model else _join(scenario.topology.key, item.key), below=True):
            states = draw_states(item.name, profile, LINKS, horizon_s=horizon_s, streams=streams)
            links.append(_link(item, profile, states))
    return None if faults.found else tuple(links)


def _link(
    item: TopologyLink, profile: LinkProfile, states: tuple[tuple[LinkState, ...], tuple[LinkState, ...]]
) -> Link:
    return Link(
        name=item.name,
        leaf=item.leaf,
        root=item.root,
        profile=profile.name,
        up=states[0],
        down=states[1],
        is_shared_medium=profile.is_shared_medium,
        queue_bytes=profile.queue_bytes,
        tariff_usd_per_gb=profile.tariff_usd_per_gb,
        tx_j_per_byte=profile.tx_j_per_byte,
        congestion_control=profile.congestion_control,
    )


def _node(item: TopologyNode, uplinks: Mapping[str, Link]) -> Node:
    streams: tuple[Stream, ...] = ()
    if item.stream_bps is not None:
        uplink = uplinks[item.name]
        peer = uplink.root if uplink.leaf == item.name else uplink.leaf
        streams = (Stream(peer, uplink.name, item.stream_bps),)
    return Node(item.name, item.kind, item.site, partition_id=item.partition_id, streams=streams, role=item.role)


def _check_clients(
    scenario: Scenario,
    topology: Topology,
    network: _Network,
    *,
    routes: Mapping[str, tuple[Hop, ...]],
    faults: _Faults,
) -> None:
    keys = {node.name: _join(scenario.topology.key, node.key) for node in topology.nodes}
    link_keys = {link.name: _join(scenario.topology.key, link.key) for link in topology.links}
    for node in network.nodes:
        if node.kind == "sensor":
            continue
        hardware = network.hardware.get(node.name)
        if hardware is not None and not hardware.can_be_client:
            profile = hardware.device.profile
            faults.add(
                keys[node.name],
                f"{node.name!r} is a {node.kind} on {profile!r}, a {hardware.device.klass} that runs no Python; "
                "make it a sensor that streams to a gateway, or choose a gateway profile such as 'rpi_4b_4gb'",
            )
        for hop in routes.get(node.name, ()):
            if not network.profiles[hop.link].can_carry_models:
                faults.add(link_keys[hop.link], _too_slow(node.name, hop.link, network.profiles[hop.link]))


def _too_slow(client: str, link: str, profile: LinkProfile) -> str:
    message = f"client {client!r} reaches the server over {link!r} ({profile.name}), which carries no model updates"
    if profile.bytes_per_day is None:
        return f"{message}; choose another profile for it"
    hours = SMALLEST_MESSAGE_BYTES / profile.bytes_per_day * 24
    return (
        f"{message}: regulation leaves it {profile.bytes_per_day:,.0f} bytes a day, and one message of at least "
        f"{SMALLEST_MESSAGE_BYTES:,} bytes would take {hours:,.1f} h each way; choose another profile for it"
    )


def _check_streams(scenario: Scenario, network: _Network, faults: _Faults) -> None:
    by_name = {link.name: link for link in network.links}
    for node in network.nodes:
        for stream in node.streams:
            link = by_name[stream.link]
            rate = (link.up if link.leaf == node.name else link.down)[0].rate_bps
            if stream.rate_bps > rate:
                faults.add(
                    scenario.topology.key,
                    f"sensor {node.name!r} streams {stream.rate_bps:g} bit/s over {link.name!r} of {rate:g}",
                )


def _draw_failures(
    scenario: Scenario, network: _Network, faults: _Faults
) -> tuple[list[Outage], list[PlacedFault], list[Hostility]]:
    view = View(
        nodes=network.nodes,
        links=network.links,
        horizon_s=scenario.clock.horizon_s,
        starts_at_s=scenario.clock.starts_at_s,
        reliability={name: Reliability(item.mtbf_s, item.mttr_s) for name, item in network.profiles.items()},
        on_battery=frozenset(name for name, item in network.hardware.items() if item.has_battery),
    )
    outages, placed = list[Outage](), list[PlacedFault]()
    hostile, seen = dict[str, Hostility](), dict[str, int]()
    for spec in scenario.failures:
        number = seen[spec.kind] = seen.get(spec.kind, 0) + 1
        streams = Streams(derive_seed(scenario.seed, "failures", spec.kind, number))
        for fault in _draw(spec, view, streams, faults=faults):
            if isinstance(fault, Outage):
                outages.append(fault)
            elif isinstance(fault, PlacedFault):
                placed.append(fault)
            elif hostile.setdefault(fault.node, fault) is not fault:
                faults.add(
                    spec.key,
                    f"{fault.node!r} is hostile already, with {hostile[fault.node].attack!r}; one attack a client",
                )
    return outages, placed, list(hostile.values())


def _draw(spec: PluginSpec, view: View, streams: Streams, *, faults: _Faults) -> list[Outage | PlacedFault | Hostility]:
    with faults.at(f"{spec.key}.kind"):
        function = find_plugin(spec.kind, FAILURES, group="emulator.failures")
        with faults.at(spec.key, below=True):
            return take(function(view, streams, **bind(function, spec.params)), view)
    return []
