"""The report's sections, each a function of the tables, the history and the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from emulator.metrics.history import History
from emulator.metrics.panel import format_energy
from emulator.plan import Plan
from emulator.report import style
from emulator.report.charts import draw_breakdown, draw_links
from emulator.report.curves import draw_quality
from emulator.report.markup import Cell, chart, figure, folded, limits, section, table, text
from emulator.report.matrix import draw_participation, patient_values
from emulator.report.timeline import draw_timeline
from emulator.report.topology import draw_network
from emulator.units import format_bytes, format_duration, format_rate

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS: Final = 200
"""Rows of a table in the page; the files in ``tables/`` hold all."""

Tables = Mapping[str, "pd.DataFrame"]


def timeline_section(history: History, plan: Plan) -> str:
    """Return the time-line with its zoom buttons."""
    drawing, notes = draw_timeline(history, plan)
    end_s = float(drawing.data["end"])
    buttons = [f'<button type="button" aria-pressed="true" data-from="0" data-to="{end_s!r}">whole run</button>']
    for number, found in sorted(history.rounds.items())[:40]:
        if found.closed_s > found.opened_s and found.closed_s <= end_s:
            reach = f'data-from="{found.opened_s!r}" data-to="{found.closed_s!r}"'
            buttons.append(f'<button type="button" aria-pressed="false" {reach}>{number}</button>')
    zoom = f'<div class="zoom">Round: {"".join(buttons)}</div>\n'
    lead = "What each device did and when. Hover over a bar for details; drag to look closer, double-click to go back."
    return section("timeline", "Round time-line", lead, zoom + chart(drawing, "fig-timeline", notes))


def breakdown_section(tables: Tables) -> str:
    """Return the stacked columns and the rounds' table."""
    rounds = tables["rounds"]
    lead = (
        "Each column follows the round's critical path back from its end: the last client whose reply was used, then the server. "
        "Transfers include the time they were stalled by outages."
    )
    head = ["round", "took", "stalled", "replies", "failed", "late", "lost", "down", "up"]
    rows = [
        [
            Cell(str(row["round"]), True), Cell(format_duration(row["duration_s"]) + ("" if row["is_closed"] else " (not closed)"), True),
            Cell(format_duration(row["stalled_s"]) if row["stalled_s"] else "-", True),
            Cell(f"{row['replies']} of {row['addressed']}", True), Cell(str(row["failed"]), True), Cell(str(row["late"]), True),
            Cell(str(row["lost"]), True), Cell(format_bytes(row["bytes_down"]), True), Cell(format_bytes(row["bytes_up"]), True),
        ]
        for row in rounds.head(MOST_ROWS).to_dict("records")
    ]  # fmt: skip
    body = _nothing("No round was opened.") if rounds.empty else chart(*_named(draw_breakdown(rounds), "fig-breakdown"))
    details = folded("Rounds as a table", _cut(rounds, "rounds") + table("Rounds: time, answers and message bytes", head, rows))
    return section("breakdown", "Where a round's time goes", lead, body + details)


def _named(drawn: tuple[Any, list[str]], ident: str) -> tuple[Any, str, list[str]]:
    return drawn[0], ident, drawn[1]


def _nothing(why: str) -> str:
    return f'<div class="limit">{text(why)}</div>\n'


def _cut(frame: pd.DataFrame, name: str) -> str:
    return limits([f"Shown: {MOST_ROWS} of {len(frame)} rows; all are in tables/{name}.csv."] if len(frame) > MOST_ROWS else [])


def participation_section(tables: Tables) -> str:
    """Return the matrix of rounds by clients."""
    found = tables["participation"]
    lead = "Whether each client's reply was used in each round, and if not, what kept it away. Hover over a cell for the reason."
    body = _nothing("No round was opened.") if found.empty else chart(*_named(draw_participation(found), "fig-participation"))
    return section("participation", "Who took part", lead, body)


def quality_section(tables: Tables, plan: Plan) -> str:
    """Return the curves of global metrics and the strip of test patients."""
    charts = draw_quality(tables["metrics"], plan)
    body = "".join(chart(drawing, f"fig-{ident}", notes) for ident, drawing, notes in charts)
    if not charts:
        body = _nothing("The run reported no global metric.")
    lead = "What the global model could do after each round, on the server's test data: by round, and by virtual time."
    return section("quality", "Model quality", lead, body + _patients(tables["metrics"]))


def _patients(metrics: pd.DataFrame) -> str:
    patients, names, values = patient_values(metrics)
    if not patients:
        return ""
    rows = []
    for patient in patients[:MOST_ROWS]:
        cells = "".join(_patient_cell(values.get((patient, name))) for name in names)
        rows.append(f'<tr><th scope="row">{text(patient)}</th>{cells}</tr>')
    head = "".join(f'<th scope="col" class="n">{text(name)}</th>' for name in names)
    return (
        '<h3>Per test patient</h3>\n<div class="scroll"><table style="width:auto"><caption>Last value for each patient; '
        f'the darker, the nearer to 1</caption>\n<thead><tr><th scope="col">patient</th>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody></table></div>\n"
    )


def _patient_cell(value: float | None) -> str:
    if value is None:
        return '<td class="cell">-</td>'
    share = min(1.0, max(0.0, value))
    ink = "#ffffff" if share > 0.75 else "#1f2933"
    return f'<td class="cell" style="background:rgba(8,81,156,{share**2:.2f});color:{ink}">{value:.3f}</td>'


def links_section(tables: Tables, plan: Plan) -> str:
    """Return the bars and the table of links."""
    links = tables["links"]
    lead = (
        "Bytes each link really carried, protocol overhead and repeats included. "
        "The percentage is the mean use of what the link could have carried while it was not down."
    )
    used = links[links["bytes"] > 0]
    body = _nothing("No link carried a byte.") if used.empty else chart(*_named(draw_links(links, plan), "fig-links"))
    head = ["link", "direction", "profile", "training", "streams", "used", "down", "stalled transfers", "data cost", "radio energy"]
    rows = [
        [
            Cell(row["link"]), Cell(row["direction"]), Cell(row["profile"]), Cell(format_bytes(row["flow_bytes"]), True),
            Cell(format_bytes(row["stream_bytes"]), True), figure(row["utilisation"], f"{row['utilisation']:.2%}"),
            Cell(format_duration(row["down_s"]) if row["down_s"] else "-", True),
            Cell(format_duration(row["stalled_s"]) if row["stalled_s"] else "-", True),
            figure(row["cost_usd"], f"{row['cost_usd']:.3f} USD"), figure(row["energy_j"], format_energy(row["energy_j"])),
        ]
        for row in used.head(MOST_ROWS).to_dict("records")
    ]  # fmt: skip
    details = folded("Links as a table", _cut(used, "links") + table("Links that carried bytes, by direction", head, rows))
    return section("links", "Megabytes per link", lead, body + details)


def network_section(tables: Tables, plan: Plan) -> str:
    """Return the picture of the network with the bytes on its links."""
    totals = tables["links"].groupby("link")["bytes"].sum()
    loads = {str(name): float(count) for name, count in totals.items()}
    lead = "The topology; a link is the thicker and darker the more bytes it carried, dashed where it carried none."
    return section("network", "Network", lead, chart(*_named(draw_network(plan, loads), "fig-network")))


def energy_section(tables: Tables) -> str:
    """Return energy and data cost by site, and every device in a table behind a line."""
    devices, links = tables["devices"], tables["links"]
    lead = (
        "Energy counts idle, computing, sending and receiving power over the whole run, also between rounds. "
        "A device whose power is not known counts as unknown, never as zero."
    )
    head = ["device", "class", "on", "down", "busy", "sending", "receiving", "sent", "received", "jobs lost", "energy", "stream radio"]
    modelled = devices[devices["class"] != ""]
    rows = [_device_row(row) for row in modelled.head(MOST_ROWS).to_dict("records")]
    details = folded("Devices as a table", _cut(modelled, "devices") + table("Every device", head, rows))
    return section("energy", "Energy and data cost", lead, _sites(devices, links) + details)


def _device_row(row: Mapping[Any, Any]) -> list[Cell]:
    busy = row["busy_s"] / row["up_s"] if row["up_s"] > 0 else 0.0
    streams = figure(row["stream_energy_j"], format_energy(row["stream_energy_j"])) if row["kind"] == "sensor" else Cell("-", True)
    lost = f"{row['jobs_lost']} of {row['jobs']}" if row["jobs"] else "-"
    return [
        Cell(row["node"]), Cell(row["class"]), Cell(format_duration(row["up_s"]), True),
        Cell(format_duration(row["down_s"]) if row["down_s"] else "-", True), Cell(f"{busy:.1%}", True),
        Cell(format_duration(row["tx_s"]), True), Cell(format_duration(row["rx_s"]), True),
        Cell(format_bytes(row["bytes_sent"] + row["stream_bytes"]), True), Cell(format_bytes(row["bytes_received"]), True),
        Cell(lost, True), figure(row["energy_j"], format_energy(row["energy_j"])), streams,
    ]  # fmt: skip


def _sites(devices: pd.DataFrame, links: pd.DataFrame) -> str:
    site = {row["node"]: row["site"] or row["node"] for row in devices.to_dict("records")}
    linked = links.assign(site=links["leaf"].map(site))
    rows = []
    modelled = devices[devices["class"] != ""].assign(place=[site[node] for node in devices[devices["class"] != ""]["node"]])
    groups = list(modelled.groupby("place", sort=True))
    for place, group in groups[:MOST_ROWS]:
        own = linked[(linked["site"] == place) & ~linked["root"].map(site).eq(place)]
        unknown = int(group["energy_j"].isna().sum())
        energy = None if unknown == len(group) else float(group["energy_j"].sum())
        cost = own["cost_usd"].dropna()
        rows.append(
            [
                Cell(str(place)), Cell(str(len(group)), True), figure(energy, format_energy(energy or 0.0)),
                Cell(str(unknown) if unknown else "-", True), Cell(format_duration(float(group["down_s"].max())), True),
                Cell(format_bytes(int(own["bytes"].sum())) if len(own) else "-", True),
                figure(float(cost.sum()) if len(cost) else None, f"{cost.sum():.3f} USD") if len(own) else Cell("-", True),
            ]
        )  # fmt: skip
    head = ["site", "devices", "energy (known)", "devices unknown", "longest down", "data over its uplinks", "data cost"]
    note = [f"Shown: {MOST_ROWS} of {len(groups)} sites."] if len(groups) > MOST_ROWS else []
    return limits(note) + table("By site; the data are those of links that lead from the site towards the server", head, rows)


def assumptions_section(plan: Plan) -> str:
    """Return the figures that nobody measured."""
    rows = [
        [Cell(item.subject), Cell(item.quantity), Cell(item.value), Cell(item.source)] for item in plan.assumptions[:MOST_ROWS]
    ]
    lead = "Figures this run used that are estimates and not measurements. Weigh the results by them."
    body = table("Estimates used", ["of", "quantity", "value", "where it comes from"], rows)
    more = [f"Shown: {MOST_ROWS} of {len(plan.assumptions)}; all are in plan.json."] if len(plan.assumptions) > MOST_ROWS else []
    return section("assumptions", "Assumptions", lead, limits(more) + body)


def settings_section(plan: Plan) -> str:
    """Return the plan's settings: clock, links, app and protocol."""
    general = [
        ("scenario", plan.scenario), ("seed", plan.seed), ("starts at", style.clock(0, plan.starts_at_s)),
        ("horizon", format_duration(plan.horizon_s)), ("clients", len(plan.clients)), ("nodes", len(plan.nodes)),
        ("links", len(plan.links)), ("planned outages", len(plan.outages)), ("placed faults", len(plan.placed)),
    ]  # fmt: skip
    body = _pairs("The run", general)
    body += folded("Run config of the app", _pairs("Run config", sorted(plan.app.run_config.items())))
    body += folded("Flower protocol", _pairs("Flower settings", sorted(asdict(plan.flower).items())))
    body += folded("Links as planned at first", _planned_links(plan))
    return section("settings", "Settings", "What the scenario resolved to. plan.json in the run folder holds all of it.", body)


def _pairs(caption: str, pairs: Any) -> str:
    return table(caption, ["setting", "value"], [[Cell(str(key)), Cell(str(value))] for key, value in pairs])


def _planned_links(plan: Plan) -> str:
    rows = []
    for link in plan.links[:MOST_ROWS]:
        tariff = link.tariff_usd_per_gb
        rows.append(
            [
                Cell(link.name), Cell(link.profile), Cell(format_rate(link.up[0].rate_bps), True),
                Cell(format_rate(link.down[0].rate_bps), True), Cell(format_duration(link.up[0].delay_s), True),
                Cell(f"{link.up[0].loss:.2%}", True), figure(tariff, f"{tariff or 0:g} USD/GB"),
            ]
        )  # fmt: skip
    note = [f"Shown: {MOST_ROWS} of {len(plan.links)}; all are in plan.json."] if len(plan.links) > MOST_ROWS else []
    return limits(note) + table("Links", ["link", "profile", "up", "down", "delay one way", "loss", "tariff"], rows)
