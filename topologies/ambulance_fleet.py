"""Ambulances on the road: a monitor on the patient, a computer on board, LTE whose rate follows a trace."""

from __future__ import annotations

from pathlib import Path

import networkx as nx

from topologies.parts import add_client, add_link, add_sensors, add_server, check_counts

TRACE = Path(__file__).parent / "traces" / "lte_drive.csv"


def ambulance_fleet(
    *,
    sites: int,
    gateway: str = "rpi_5_8gb",
    monitors: int = 1,
    monitor: str = "esp32_s3",
    stream_rate: str = "72 kbit/s",
    monitor_link: str = "ble_4_2_dle_1m",
    uplink: str = "lte_errant",
    trace_file: Path | None = None,
    up_file: Path | None = None,
    down_file: Path | None = None,
    trace: str = "",
    bin: str = "2 min",
    dispatch: str = "cloud_port",
    server: str = "cloud_x86_8vcpu",
) -> nx.Graph:
    """Return ``sites`` vehicles; each drives through the trace from another place in it.

    Each has ``ambulance-01/gateway`` (the Flower client), ``ambulance-01/monitor-1`` ... and ``ambulance-01/lte`` to
    ``dispatch``, from which ``core`` leads to ``server``. The LTE links carry the link model ``trace`` with a random
    offset, so that vehicles are in unlike conditions; delay, jitter and loss are those of the profile ``uplink``.

    Args:
        sites: Number of vehicles.
        gateway: Device profile of the computer on board.
        monitors: Monitors of a vehicle.
        monitor: Device profile of a monitor.
        stream_rate: What a monitor sends; 500 Hz x 12 leads x 12 bit = 72 kbit/s, a twelve-lead electrocardiogram.
        monitor_link: Link profile between monitor and computer.
        uplink: Link profile of the LTE links.
        trace_file: Trace for both directions; the shipped synthetic drive unless any file is given.
        up_file: Trace towards the server.
        down_file: Trace from the server.
        trace: Which trace of the file, or ``random``: one drawn for each vehicle.
        bin: Width over which the trace is averaged; a shorter one shows more and takes more room in the plan.
        dispatch: Link profile between the dispatch centre and the server.
        server: Device profile of the server.

    Raises:
        ValueError: ``sites`` below 1, or monitors below 0.

    Leaves out that vehicles in one cell share it, and the hours in which a vehicle stands in its hall, on mains and
    Wi-Fi: ``diurnal`` or ``trace`` under ``failures`` say when one is away.
    """
    check_counts(sites=sites)
    files = {"file": trace_file, "up_file": up_file, "down_file": down_file}
    if not any(files.values()):
        files["file"] = TRACE
    model = {"kind": "trace", "offset": "random", "bin": bin, "trace": trace}
    model.update({name: str(path) for name, path in files.items() if path is not None})
    graph = nx.Graph()
    add_server(graph, server)
    graph.add_node("dispatch", kind="router")
    add_link(graph, "dispatch", "server", "core", dispatch, key="dispatch")
    for index in range(sites):
        vehicle = f"ambulance-{index + 1:02d}"
        client = add_client(graph, vehicle, gateway)
        graph.add_edge(
            client, "dispatch", name=f"{vehicle}/lte", profile=uplink, leaf=client, model=dict(model), key="uplink"
        )
        add_sensors(
            graph, vehicle, monitors, what="monitor", profile=monitor, stream_rate=stream_rate, link=monitor_link,
            keys=("monitor", "monitor_link"),
        )  # fmt: skip
    return graph
