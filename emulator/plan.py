"""The plan: everything a backend needs to know, and nothing about how it is carried out.

A plan is a pure function of the scenario and its seed. It is frozen, printable (``emulate SCENARIO --plan``) and kept in
the run folder; every table and report is a pure function of the plan and the event log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from emulator.hostility import Hostility
from emulator.network_settings import ControlName as ControlName
from emulator.network_settings import NetworkSettings as NetworkSettings

UP: Literal["up"] = "up"
DOWN: Literal["down"] = "down"
Direction = Literal["up", "down"]


@dataclass(frozen=True)
class LinkState:
    """One direction of a link from ``from_s`` until the next state's ``from_s``.

    Attributes:
        from_s: Virtual time at which the state begins.
        rate_bps: Rate in bits per second at the IP layer; 0 means nothing passes.
        delay_s: One-way propagation delay.
        jitter_s: Standard deviation of the delay.
        loss: Independent packet loss probability, 0 to 1.
    """

    from_s: float
    rate_bps: float
    delay_s: float
    jitter_s: float = 0.0
    loss: float = 0.0


@dataclass(frozen=True)
class Link:
    """A link between two neighbouring nodes; ``up`` leads from ``leaf`` to ``root``, ``down`` back.

    Attributes:
        name: Unique, for example ``clinic-03/backhaul``.
        leaf: The end farther from the server.
        root: The end nearer to the server.
        profile: Name of the link profile (``geo_vsat`` ...), or ``custom``.
        up: States of the direction leaf to root, the first at 0 s, in order of time.
        down: States of the direction root to leaf.
        is_shared_medium: Both directions share one capacity (half duplex: BLE, Wi-Fi cells).
        queue_bytes: Buffer in front of the link; None where the profile gives none.
        tariff_usd_per_gb: Price of data in either direction; None where unknown.
        tx_j_per_byte: Radio energy of the sender per byte; None where unknown.
        congestion_control: Of transfers that cross the link; None for the run's.
    """

    name: str
    leaf: str
    root: str
    profile: str
    up: tuple[LinkState, ...]
    down: tuple[LinkState, ...]
    is_shared_medium: bool = False
    queue_bytes: float | None = None
    tariff_usd_per_gb: float | None = None
    tx_j_per_byte: float | None = None
    congestion_control: ControlName | None = None


@dataclass(frozen=True)
class RateCurve:
    """Arithmetic rate of training by work per step: what is left of it once the fixed cost of a step is paid for.

    Attributes:
        small_macs: Multiply-accumulates (forward) of a step at which ``small_flops`` holds.
        small_flops: Rate in FLOP/s there and below.
        large_macs: Multiply-accumulates of a step at which ``large_flops`` holds.
        large_flops: Rate in FLOP/s there and above.
    """

    small_macs: float
    small_flops: float
    large_macs: float
    large_flops: float


@dataclass(frozen=True)
class Thermal:
    """How a device without enough cooling slows down (see ``emulator.models.thermal``).

    Attributes:
        time_constant_s: Of warming and cooling.
        limit_heat: Share of the temperature rise of full load at which the clock falls, 0 to 1.
        throttled_speed: Speed from there on, relative to full speed.
    """

    time_constant_s: float
    limit_heat: float
    throttled_speed: float


@dataclass(frozen=True)
class Device:
    """What a node's hardware can do; null where no figure is known, never 0.

    Attributes:
        profile: Name of the device profile, for example ``rpi_4b_4gb``.
        klass: Class in the profile table (``gateway``, ``phone``, ``cloud``, ``sensor`` ...).
        cores: CPU cores.
        memory_bytes: Memory a job may use.
        idle_w: Power when on and idle.
        busy_w: Power when computing.
        tx_w: Extra power while sending.
        rx_w: Extra power while receiving.
        boot_s: Seconds from power-on until the SuperNode polls again.
        cpu_time_factor: Seconds this device's core takes for one second of the reference host's core (for measured apps).
        base_memory_bytes: Memory of a ClientApp process before its own data (Python and libraries).
        seconds_per_unit: Cost table: seconds per unit of work, by work unit name.
        rate_curve: Cost of multiply-accumulates where steps are reported too; None where the device runs no Python.
        thermal: How it slows down under lasting load; None where it is cooled well enough.
        background_cores: Cores that other jobs keep busy all the time; the cost table has it in it.
    """

    profile: str
    klass: str
    cores: int | None = None
    memory_bytes: float | None = None
    idle_w: float | None = None
    busy_w: float | None = None
    tx_w: float | None = None
    rx_w: float | None = None
    boot_s: float | None = None
    cpu_time_factor: float | None = None
    base_memory_bytes: float | None = None
    seconds_per_unit: Mapping[str, float] = field(default_factory=dict)
    rate_curve: RateCurve | None = None
    thermal: Thermal | None = None
    background_cores: float = 0.0


@dataclass(frozen=True)
class Stream:
    """A constant-rate data stream a sensor sends to a neighbour while both are up."""

    peer: str
    link: str
    rate_bps: float


@dataclass(frozen=True)
class Node:
    """A place in the network of its own ``name``; a client with a ``role`` holds no data.

    Attributes:
        kind: ``server`` (exactly one), ``client`` (runs a SuperNode), ``sensor`` or ``router``.
        site: Clinic or site the node stands in; power cuts hit a whole site. Empty for none.
        device: Hardware; None for routers that are not modelled as devices.
        partition_id: 0-based number handed to the ClientApp as ``partition-id``; None unless a client.
        streams: Streams a sensor sends.
    """

    name: str
    kind: Literal["server", "client", "sensor", "router"]
    site: str = ""
    device: Device | None = None
    partition_id: int | None = None
    streams: tuple[Stream, ...] = ()
    role: str = ""


@dataclass(frozen=True, order=True)
class Outage:
    """A node or a link that is down from ``start_s`` to ``end_s``; ``cause`` is for people (``power cut``)."""

    start_s: float
    end_s: float
    target: str
    cause: str = "outage"


@dataclass(frozen=True)
class PlacedFault:
    """A fault at a place in the protocol: in round ``round``, at node ``node``, in ``phase``.

    ``action`` is ``crash`` (the ClientApp process dies, its work is lost, no reply) or ``leave`` (the node is gone for good).
    In phase ``serve`` the node is the server: its ServerApp dies once the round's messages are out, and with it the run.
    """

    round: int
    node: str
    phase: Literal["train", "upload", "serve"]
    action: Literal["crash", "leave"] = "crash"


@dataclass(frozen=True)
class Hop:
    """One link of a route and the direction in which it is crossed."""

    link: str
    direction: Direction


def way_back(hops: Sequence[Hop]) -> tuple[Hop, ...]:
    """Return the same links in the other order and direction."""
    return tuple(Hop(hop.link, DOWN if hop.direction == UP else UP) for hop in reversed(hops))


@dataclass(frozen=True)
class AppPlan:
    """The Flower app: where it is, its run config, and what happens when it reports no work.

    Attributes:
        path: Folder with the app's ``pyproject.toml``.
        run_config: Flat Flower run config (dotted keys).
        rounds: Rounds the run is expected to take, for progress display; None where unknown.
        trained: Clients that train for real, the others standing in with their sizes and work; empty where all train.
        fresh_process: Each ClientApp call gets a process of its own.
    """

    path: str
    run_config: Mapping[str, str | int | float | bool]
    rounds: int | None = None
    trained: tuple[str, ...] = ()
    fresh_process: bool = False


@dataclass(frozen=True)
class FlowerSettings:
    """Constants of Flower's deployment protocol (flwr 1.41); a planner may turn them.

    Attributes:
        supernode_poll_s: Pause of a SuperNode between two empty polls.
        serverapp_poll_s: Pause of the ServerApp's grid between two pulls.
        superexec_poll_s: Pause of the SuperExec that starts ClientApp processes.
        reply_poll_s: Pause of a SuperNode waiting for its ClientApp's reply.
        heartbeat_s: Mean interval between heartbeats.
        offline_after_s: A node unheard for so long is no longer listed.
        lanes: Objects transferred at once.
        chunk_bytes: Largest piece of an array sent as one object.
        is_tls: TLS 1.3 on every connection.
        is_fused: The arrays of a record travel as one array.
        request_cpu_s: Seconds of the reference core that a request costs the SuperLink.
    """

    supernode_poll_s: float = 3.0
    serverapp_poll_s: float = 3.0
    superexec_poll_s: float = 1.0
    reply_poll_s: float = 0.5
    heartbeat_s: float = 20.0
    offline_after_s: float = 60.0
    lanes: int = 2
    chunk_bytes: int = 5 * 1024 * 1024
    is_tls: bool = True
    is_fused: bool = False
    request_cpu_s: float = 0.005


@dataclass(frozen=True)
class RecordedCall:
    """One training call of a real client: what it received, sent and did.

    Attributes:
        download_bytes: Serialised message to the client.
        download_objects: Objects in which it travelled.
        upload_bytes: Serialised reply.
        upload_objects: Objects in which it travelled.
        work: Units of work it reported; None where the app reports none.
        memory_bytes: Peak memory, without the process itself.
        cpu_s: CPU seconds on the host, for an app that reports no work.
    """

    download_bytes: float
    download_objects: int
    upload_bytes: float
    upload_objects: int
    work: Mapping[str, float] | None
    memory_bytes: float
    cpu_s: float = 0.0


@dataclass(frozen=True)
class TimingOnly:
    """Rounds without learning: what a message weighs and what a call costs.

    Attributes:
        rounds: Number of rounds.
        deadline_s: Seconds the server waits for replies.
        min_nodes: Nodes that must be listed before a round opens.
        download_bytes: Serialised message to a client.
        download_objects: Objects in which it travels.
        upload_bytes: Serialised reply.
        upload_objects: Objects in which it travels.
        work: Units of work of one call.
        memory_bytes: Peak memory of one call, without the process itself.
        calls: Recorded calls instead of the figures above, the first for the first round; the last serves all further rounds.
    """

    rounds: int
    deadline_s: float
    min_nodes: int = 1
    download_bytes: float = 250e3
    download_objects: int = 20
    upload_bytes: float = 250e3
    upload_objects: int = 20
    work: Mapping[str, float] = field(default_factory=dict)
    memory_bytes: float = 0.0
    calls: tuple[RecordedCall, ...] = ()

    def call(self, round_number: int) -> RecordedCall:
        """Return what every client receives, does and sends in a round."""
        if self.calls:
            return self.calls[min(round_number, len(self.calls)) - 1]
        return RecordedCall(
            self.download_bytes, self.download_objects, self.upload_bytes, self.upload_objects, self.work, self.memory_bytes
        )  # fmt: skip


@dataclass(frozen=True, order=True)
class Assumption:
    """A figure a run used that nobody measured (``kind: estimate`` in the profile tables)."""

    subject: str
    quantity: str
    value: str
    source: str


@dataclass(frozen=True)
class Plan:
    """See the module docstring. Nodes and links are sorted by name; ``routes`` holds each client's hops up to the server.

    Attributes:
        scenario: Name of the scenario.
        seed: Root of every random stream.
        starts_at_s: Time of day at virtual time 0, in seconds after midnight.
        horizon_s: Faults and link states are drawn up to here; a run may not pass it.
        nodes: All nodes; ``links`` are all links.
        routes: For each client and sensor, its hops towards the server (a sensor's lead to its gateway only).
        outages: In order of time.
        placed: Faults placed in the protocol; ``hostile`` are clients that work against the training.
        app: The Flower app, and in ``flower`` the protocol's constants.
        assumptions: Figures that are estimates.
        timing: Set for a run without learning; the app is then not run.
        network: How transfers are modelled.
    """

    scenario: str
    seed: int
    starts_at_s: float
    horizon_s: float
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    routes: Mapping[str, tuple[Hop, ...]]
    outages: tuple[Outage, ...]
    placed: tuple[PlacedFault, ...]
    app: AppPlan
    flower: FlowerSettings
    assumptions: tuple[Assumption, ...] = ()
    timing: TimingOnly | None = None
    hostile: tuple[Hostility, ...] = ()
    network: NetworkSettings = field(default_factory=NetworkSettings)

    @cached_property
    def node_by_name(self) -> dict[str, Node]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def link_by_name(self) -> dict[str, Link]:
        """Links by name."""
        return {link.name: link for link in self.links}

    @cached_property
    def server(self) -> Node:
        """The one server."""
        return next(node for node in self.nodes if node.kind == "server")

    @cached_property
    def clients(self) -> tuple[Node, ...]:
        """Client nodes in order of ``partition_id``."""
        found = (node for node in self.nodes if node.kind == "client")
        return tuple(sorted(found, key=lambda node: (node.partition_id or 0, node.name)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data (JSON-ready)."""
        return asdict(self)


def plan_from_json(text: str | bytes) -> Plan:
    """Return the plan written by ``Plan.to_dict`` as JSON.

    Raises:
        pydantic.ValidationError: The text is not a plan.
    """
    from pydantic import TypeAdapter  # at the file edge only: keeps the core free of pydantic

    return TypeAdapter(Plan).validate_json(text)
