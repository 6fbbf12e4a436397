"""The report's sections on what a run used: links, network, energy and data cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.metrics.panel import format_energy
from emulator.plan import Plan
from emulator.report.charts import draw_links
from emulator.report.markup import (
    MOST_ROWS,
    Cell,
    chart,
    duration,
    figure,
    folded,
    limits,
    nothing,
    row_limit,
    section,
    size,
    table,
)
from emulator.report.topology import draw_network
from emulator.units import format_bytes, format_duration

if TYPE_CHECKING:
    import pandas as pd

Tables = Mapping[str, "pd.DataFrame"]


def links_section(tables: Tables, plan: Plan) -> str:
    """Return the bars and the table of links."""
    links = tables["links"]
    lead = (
        "Bytes each link really carried, protocol overhead included. "
        "The percentage is the mean use of what the link could have carried while it was not down."
    )
    used = links[links["bytes"] > 0]
    body = nothing("No link carried a byte.") if used.empty else chart(draw_links(links, plan), "fig-links")
    head = [
        "link", "direction", "profile", "training", "streams", "used", "down", "stalled transfers", "data cost",
        "radio energy",
    ]  # fmt: skip
    rows = [
        [
            Cell(row["link"]), Cell(row["direction"]), Cell(row["profile"]), Cell(size(row["flow_bytes"]), True),
            Cell(size(row["stream_bytes"]), True), figure(row["utilisation"], f"{row['utilisation']:.2%}"),
            Cell(duration(row["down_s"]), True),
            Cell(duration(row["stalled_s"]), True),
            figure(row["cost_usd"], f"{row['cost_usd']:.3f} USD"),
            figure(row["energy_j"], format_energy(row["energy_j"])),
        ]
        for row in used.head(MOST_ROWS).to_dict("records")
    ]  # fmt: skip
    details = folded(
        "Links as a table",
        row_limit(len(used), "tables/links.csv") + table("Links that carried bytes, by direction", head, rows),
    )
    return section("links", "Megabytes per link", lead, body + details)


def network_section(tables: Tables, plan: Plan) -> str:
    """Return the picture of the network with the bytes on its links."""
    totals = tables["links"].groupby("link")["bytes"].sum()
    loads = {str(name): float(count) for name, count in totals.items()}
    lead = (
        "The topology; a link is the thicker and darker the more bytes it carried, dashed where it carried none. "
        "Thin grey links carry sensor streams, which stay inside their site."
    )
    return section("network", "Network", lead, chart(draw_network(plan, loads), "fig-network"))


def energy_section(tables: Tables) -> str:
    """Return energy and data cost by site, and every device in a table behind a line."""
    devices, links = tables["devices"], tables["links"]
    lead = (
        "Energy counts idle, computing, sending and receiving power over the whole run, also between rounds. "
        "A device whose power is not known counts as unknown, never as zero."
    )
    head = [
        "device", "class", "on", "down", "busy", "sending", "receiving", "sent", "received", "jobs lost", "energy",
        "stream radio",
    ]  # fmt: skip
    modelled = devices[devices["class"] != ""]
    rows = [_device_row(row) for row in modelled.head(MOST_ROWS).to_dict("records")]
    details = folded(
        "Devices as a table", row_limit(len(modelled), "tables/devices.csv") + table("Every device", head, rows)
    )
    return section("energy", "Energy and data cost", lead, _sites(devices, links) + details)


def _device_row(row: Mapping[Any, Any]) -> list[Cell]:
    busy = row["busy_s"] / row["up_s"] if row["up_s"] > 0 else 0.0
    streams = (
        figure(row["stream_energy_j"], format_energy(row["stream_energy_j"]))
        if row["kind"] == "sensor"
        else Cell("-", True)
    )
    lost = f"{row['jobs_lost']} of {row['jobs']}" if row["jobs"] else "-"
    return [
        Cell(row["node"]), Cell(row["class"]), Cell(format_duration(row["up_s"]), True),
        Cell(duration(row["down_s"]), True), Cell(f"{busy:.1%}", True),
        Cell(duration(row["tx_s"]), True), Cell(duration(row["rx_s"]), True),
        Cell(size(row["bytes_sent"] + row["stream_bytes"]), True), Cell(size(row["bytes_received"]), True),
        Cell(lost, True), figure(row["energy_j"], format_energy(row["energy_j"])), streams,
    ]  # fmt: skip


def _sites(devices: pd.DataFrame, links: pd.DataFrame) -> str:
    site = {row["node"]: row["site"] or row["node"] for row in devices.to_dict("records")}
    linked = links.assign(site=links["leaf"].map(site))
    rows = []
    modelled = devices[devices["class"] != ""].assign(
        place=[site[node] for node in devices[devices["class"] != ""]["node"]]
    )
    groups = list(modelled.groupby("place", sort=True))
    for place, group in groups[:MOST_ROWS]:
        own = linked[(linked["site"] == place) & ~linked["root"].map(site).eq(place)]
        unknown = int(group["energy_j"].isna().sum())
        energy = None if unknown == len(group) else float(group["energy_j"].sum())
        rows.append(
            [
                Cell(str(place)), Cell(str(len(group)), True), figure(energy, format_energy(energy or 0.0)),
                Cell(str(unknown) if unknown else "-", True), Cell(duration(float(group["down_s"].max())), True),
                Cell(format_bytes(int(own["bytes"].sum())) if len(own) else "-", True),
                _cost(own),
            ]
        )  # fmt: skip
    head = [
        "site", "devices", "energy (known)", "devices unknown", "longest down", "data over its uplinks", "data cost",
    ]  # fmt: skip
    note = [f"Shown: {MOST_ROWS} of {len(groups)} sites."] if len(groups) > MOST_ROWS else []
    return limits(note) + table(
        "By site; the data are those of links that lead from the site towards the server", head, rows
    )


def _cost(links: pd.DataFrame) -> Cell:
    known = links["cost_usd"].dropna()
    if links.empty:
        return Cell("-", True)
    return figure(float(known.sum()) if len(known) else None, f"{known.sum():.3f} USD")
