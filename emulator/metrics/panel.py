"""The summary for a terminal: legible at 80 columns, with colour or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from emulator.metrics.compare import Difference
from emulator.metrics.names import metric_rank
from emulator.metrics.path import PARTS
from emulator.units import format_bytes, format_duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

PART_NAMES: Final = {
    "wait_s": "waiting (polls, power)",
    "download_s": "download",
    "compute_s": "compute on the device",
    "upload_s": "upload",
    "server_s": "server",
    "unanswered_s": "waiting for missing clients",
    "other_s": "other",
}
"""The parts of a round for people."""

_BAR: Final = 24
_METRICS_SHOWN: Final = 8
MANY_ROUNDS: Final = 20
"""Up to so many rounds the 95th percentile (the smallest value that 95 % do not exceed) is the longest round."""


def summary_panel(summary: Mapping[str, Any]) -> RenderableType:
    """Return what the terminal shows at the end of a run: notices first, then time, data, energy, quality, faults."""
    from rich.console import Group
    from rich.text import Text

    status = summary["status"]
    title = Text.assemble((summary["scenario"], "bold"), f"  seed {summary['seed']}  ", (status, _status_style(status)))
    parts: list[RenderableType] = [title, *_notices(summary), Text(), _key_figures(summary)]
    if summary["rounds"]["closed"]:
        parts += [Text(), _breakdown(summary)]
    if summary["quality"]:
        parts += [Text(), _quality(summary)]
    parts += [Text(), _energy(summary), Text(), *_faults(summary)]
    return Group(*parts)


def _status_style(status: str) -> str:
    return "green" if status == "finished" else "bold red"


def _notices(summary: Mapping[str, Any]) -> list[RenderableType]:
    from rich import box
    from rich.panel import Panel
    from rich.text import Text

    texts = list(summary["notices"])
    rounds = summary["rounds"]
    if rounds["closed"] and not rounds["accepted"]:
        texts.insert(0, f"None of {rounds['closed']} rounds was accepted: the model is the one the run began with.")
    if summary["status"] != "finished":
        texts.insert(0, f"The run is {summary['status']}: all figures are of the part that was carried out.")
    if not texts:
        return []
    body = Text("\n").join(Text(f"! {text}") for text in texts)
    return [Panel(body, title="NOTICE", title_align="left", style="bold yellow", box=box.HEAVY, padding=(0, 1))]


def _table(*columns: tuple[str, str], title: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for name, justify in ((title, ""), *columns):
        table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    return table


def _key_figures(summary: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    rounds, sizes, cost = summary["rounds"], summary["bytes"], summary["data_cost"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    planned = f" of {rounds['planned']} planned" if rounds["planned"] else ""
    grid.add_row(
        "Rounds accepted", f"{rounds['accepted']}{planned}, in {format_duration(summary['virtual_duration_s'])}"
    )
    longest = f" (the longest of {rounds['closed']})" if 1 < rounds["closed"] <= MANY_ROUNDS else ""
    grid.add_row(
        "Round latency", f"{_time(rounds['latency_median_s'])} median, {_time(rounds['latency_p95_s'])} p95{longest}"
    )
    grid.add_row("Participation", _participation(summary))
    grid.add_row("Data per round", f"{_size(sizes['down_per_round'])} down, {_size(sizes['up_per_round'])} up")
    streams = f", of which {format_bytes(sizes['links_streams'])} sensor streams" if sizes["links_streams"] else ""
    grid.add_row("Data over links", f"{format_bytes(sizes['links_flows'] + sizes['links_streams'])}{streams}")
    grid.add_row("Data cost", cost_text(cost))
    grid.add_row("Energy", energy_text(summary["energy"]))
    if summary["privacy"]:
        for words, epsilon in summary["privacy"]["guarantees"].items():
            grid.add_row("Privacy spent", f"epsilon {epsilon:.3g} ({words})")
    if summary["ledger"]["entries"]:
        grid.add_row("Ledger", f"{summary['ledger']['entries']} entries, {format_bytes(summary['ledger']['bytes'])}")
    grid.add_row("Assumptions", f"{len(summary['assumptions'])} figures are estimates (listed in report.html)")
    return grid


def _participation(summary: Mapping[str, Any]) -> str:
    rounds = summary["rounds"]
    if rounds["participation_mean"] is None:
        return f"no round closed ({summary['clients']} clients)"
    mean, worst = rounds["participation_mean"], rounds["participation_min"]
    return f"{mean:.0%} mean, {worst:.0%} worst, of {summary['clients']} clients"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(seconds)


def _size(count: float | None) -> str:
    return "-" if count is None else format_bytes(count)


def cost_text(cost: Mapping[str, Any]) -> str:
    """Return the data cost for people, with the links whose tariff is unknown."""
    unknown = cost["links_without_tariff"]
    known = "unknown" if cost["total_usd"] is None else f"{cost['total_usd']:.2f} USD"
    return f"{known} (+ {unknown} link{'s' if unknown != 1 else ''} without a known tariff)" if unknown else known


def energy_text(energy: Mapping[str, Any]) -> str:
    """Return the energy for people, with the devices whose power is unknown."""
    sites = "unknown" if energy["sites_j"] is None else format_energy(energy["sites_j"])
    unknown = energy["sites_unknown"]
    more = f" (+ {unknown} device{'s' if unknown != 1 else ''} unknown)" if unknown and energy["sites_j"] else ""
    server = "unknown" if energy["server_j"] is None else format_energy(energy["server_j"])
    return f"{sites} at the sites{more}, server {server}"


def format_energy(joules: float) -> str:
    """Return ``joules`` for people: ``3.2 J``, ``0.27 Wh``, ``1.25 kWh`` (watt-hours from 0.1 Wh on)."""
    if joules >= 3.6e6:
        return f"{joules / 3.6e6:.3g} kWh"
    return f"{joules / 3600:.3g} Wh" if joules >= 360 else f"{joules:.3g} J"


def _breakdown(summary: Mapping[str, Any]) -> RenderableType:
    rounds = summary["rounds"]
    table = _table(("mean", "right"), ("share", "right"), ("", ""), title="Where a round's time goes")
    for part in PARTS:
        share, seconds = rounds["breakdown_share"][part] or 0.0, rounds["breakdown_mean_s"][part] or 0.0
        if seconds > 0:
            table.add_row(PART_NAMES[part], format_duration(seconds), f"{share:.0%}", "█" * round(share * _BAR))
    stalled = rounds["breakdown_mean_s"]["stalled_s"] or 0.0
    if stalled > 0:
        table.add_row("  (of the transfers: stalled)", format_duration(stalled), "", "")
    return table


def _quality(summary: Mapping[str, Any]) -> RenderableType:
    quality = summary["quality"]
    title = "Model quality (read the notice above)" if summary["notices"] else "Model quality"
    table = _table(("at end", "right"), ("best", "right"), ("in round", "right"), title=title)
    shown = sorted(quality, key=metric_rank)[:_METRICS_SHOWN]
    for name in shown:
        found = quality[name]
        number = "-" if found["best_round"] is None else str(found["best_round"])
        table.add_row(name, f"{found['end']:.4g}", f"{found['best']:.4g}", number)
    if len(quality) > len(shown):
        table.add_row(f"and {len(quality) - len(shown)} more in report.html", "", "", "")
    return table


def _energy(summary: Mapping[str, Any]) -> RenderableType:
    columns = (("devices", "right"), ("energy", "right"), ("radio, streams", "right"), ("unknown", "right"))
    table = _table(*columns, title="Energy by class")
    for name, found in summary["energy"]["by_class"].items():
        known = "unknown" if found["energy_j"] is None else format_energy(found["energy_j"])
        radio = "-" if found["stream_energy_j"] is None else format_energy(found["stream_energy_j"])
        table.add_row(name, str(found["devices"]), known, radio, str(found["unknown"]) if found["unknown"] else "-")
    return table


def _faults(summary: Mapping[str, Any]) -> list[RenderableType]:
    from rich.text import Text

    faults, messages = summary["faults"], summary["messages"]
    causes = ", ".join(f"{count} {cause}" for cause, count in faults["jobs_lost_by_cause"].items())
    downs = ", ".join(f"{count} {cause}" for cause, count in faults["node_down_by_cause"].items())
    failures = ", ".join(f"{count} {cause}" for cause, count in messages["failed_by_cause"].items())
    failed = f"{messages['failed']} failed" + (f" ({failures})" if failures else "")
    rare = ", ".join(f"{messages[fate]} {fate}" for fate in ("late", "lost", "open") if messages[fate])
    lines = [
        f"Messages   {messages['pushed']} pushed: {messages['replied']} answered, {failed}"
        + (f", {rare}" if rare else ""),
        f"Devices    {faults['node_down']} times down" + (f" ({downs})" if downs else ""),
        f"Transfers  {faults['transfers_stalled']} stalled for {format_duration(faults['stalled_s'])}, "
        f"{faults['transfers_lost']} lost",
        f"Jobs       {faults['jobs_lost']} lost" + (f" ({causes})" if causes else ""),
    ]
    return [Text("Faults", style="bold"), *(Text(line) for line in lines)]


def differences_table(differences: Sequence[Difference]) -> Table:
    """Return the figures two runs have in common, those with the largest errors last in each kind."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", title="how far the first run is from the second", title_justify="left")
    for name in ("figure", "first", "second", "error"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    for each in sorted(differences, key=lambda d: (d.kind, abs(d.error or 0.0))):
        if each.error is not None or each.first != each.second:
            error = "-" if each.error is None else f"{each.error:+.1%}"
            table.add_row(each.what, f"{each.first:.6g}", f"{each.second:.6g}", error)
    return table
