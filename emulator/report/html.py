"""The report: one HTML file that needs nothing else, not even a network; plain strings, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.metrics.history import History, Log, read_history
from emulator.metrics.panel import cost_text, format_energy
from emulator.plan import Plan
from emulator.report import privacy, resources, sections, settings, style
from emulator.report.markup import text
from emulator.units import format_bytes, format_duration

if TYPE_CHECKING:
    import pandas as pd

_NAV = (
    ("timeline", "Time-line"), ("breakdown", "Round time"), ("participation", "Participation"), ("quality", "Quality"),
    ("privacy", "Privacy"),
    ("links", "Links"), ("network", "Network"), ("energy", "Energy and cost"), ("assumptions", "Assumptions"),
    ("settings", "Settings"),
)  # fmt: skip


def write_report(
    folder: Path,
    events: Log,
    tables: Mapping[str, pd.DataFrame],
    summary: Mapping[str, Any],
    plan: Plan,
    *,
    question: str = "",
    history: History | None = None,
) -> Path:
    """Write ``folder/report.html`` and return its path.

    Args:
        folder: The run folder.
        events: The event log; not looked at where ``history`` is given.
        tables: From ``build_tables``.
        summary: From ``summarise``.
        plan: The plan.
        question: The question the scenario asks, for the head of the page; without it the comment that opens
            ``folder/scenario.yaml``, where there is one.
        history: The events already read by ``read_history``, to save doing it again.
    """
    path = folder / "report.html"
    asked = question or _opening_comment(folder / "scenario.yaml")
    page = render_report(tables, summary, plan, history or read_history(events, plan), question=asked)
    path.write_text(page, encoding="utf-8")
    return path


def _opening_comment(path: Path) -> str:
    if not path.is_file():
        return ""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return " ".join(lines).strip()


def render_report(
    tables: Mapping[str, pd.DataFrame], summary: Mapping[str, Any], plan: Plan, history: History, *, question: str = ""
) -> str:
    """Return the page."""
    costs_of_privacy = privacy.privacy_section(tables, summary, plan, history)
    body = [
        _head(summary, plan, question),
        _nav(has_privacy=bool(costs_of_privacy)),
        '<main class="wrap">\n',
        _notices(summary),
        _cards(summary),
        sections.timeline_section(history, plan),
        sections.breakdown_section(tables),
        sections.participation_section(tables),
        sections.quality_section(tables, plan),
        costs_of_privacy,
        resources.links_section(tables, plan),
        resources.network_section(tables, plan),
        resources.energy_section(tables),
        settings.assumptions_section(plan),
        settings.settings_section(plan, history),
        "</main>\n",
        '<footer><div class="wrap">Every figure is computed from the event log (events/) and the plan (plan.json)'
        " of this run. Times are virtual. All tables are in tables/ as CSV and Parquet.</div></footer>\n",
    ]
    assets = files("emulator.report")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(plan.scenario)}: run report</title>\n"
        f"<style>\n{(assets / 'report.css').read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        + "".join(body)
        + f"<script>\n{(assets / 'report.js').read_text(encoding='utf-8')}</script>\n</body>\n</html>\n"
    )


def _head(summary: Mapping[str, Any], plan: Plan, question: str) -> str:
    status = str(summary["status"])
    css = "badge" if status == "finished" else "badge bad"
    first, last = style.clock(0, plan.starts_at_s), style.clock(summary["virtual_duration_s"], plan.starts_at_s)
    facts = (
        f"{first} to {last} of virtual time ({format_duration(summary['virtual_duration_s'])}); "
        f"{len(plan.clients)} clients, {len(plan.nodes)} nodes, {len(plan.links)} links; seed {plan.seed}"
    )
    asked = f"<p>{text(question)}</p>\n" if question else ""
    return (
        f'<header class="top"><div class="wrap">\n<h1>{text(plan.scenario)}'
        f'<span class="{css}">{text(status)}</span></h1>\n'
        f'{asked}<p class="facts">{text(facts)}</p>\n</div></header>\n'
    )


def _nav(*, has_privacy: bool) -> str:
    shown = [(ident, name) for ident, name in _NAV if ident != "privacy" or has_privacy]
    links = "".join(f'<a href="#{ident}">{text(name)}</a>' for ident, name in shown)
    return f'<nav aria-label="Sections"><div class="wrap">{links}</div></nav>\n'


def _notices(summary: Mapping[str, Any]) -> str:
    notices = list(summary["notices"])
    if summary["status"] != "finished":
        notices.insert(0, f"The run is {summary['status']}: all figures are of the part that was carried out.")
    if not notices:
        return ""
    items = "".join(f"<li>{text(notice)}</li>" for notice in notices)
    return f'<div class="notice" role="alert"><strong>Before you use these figures</strong>\n<ul>{items}</ul></div>\n'


def _cards(summary: Mapping[str, Any]) -> str:
    cards = "".join(
        f'<div class="card"><div class="name">{text(name)}</div><div class="value">{text(value)}</div>'
        f'<div class="more">{text(more)}</div></div>\n'
        for name, value, more in key_figures(summary)
    )
    return f'<div class="cards">\n{cards}</div>\n'


def key_figures(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value, remark) of the figures at the head of the page."""
    rounds, sizes, energy, cost = summary["rounds"], summary["bytes"], summary["energy"], summary["data_cost"]
    planned = f"of {rounds['planned']} planned" if rounds["planned"] else f"{rounds['opened']} opened"
    found = [
        ("Rounds accepted", str(rounds["accepted"]), f"{planned}, in {format_duration(summary['virtual_duration_s'])}")
    ]
    if rounds["latency_median_s"] is not None:
        found.append(
            (
                "Round latency, median",
                format_duration(rounds["latency_median_s"]),
                f"95 % within {format_duration(rounds['latency_p95_s'])}",
            )
        )
        found.append(
            (
                "Participation, mean",
                f"{rounds['participation_mean']:.0%}",
                f"worst round {rounds['participation_min']:.0%}",
            )
        )
        both = sizes["down_per_round"] + sizes["up_per_round"]
        split = f"{format_bytes(sizes['down_per_round'])} down, {format_bytes(sizes['up_per_round'])} up, all clients"
        found.append(("Messages per round", format_bytes(both), split))
    found.append(_energy_card(energy))
    known = "unknown" if cost["total_usd"] is None else f"{cost['total_usd']:.2f} USD"
    remark = cost_text(cost)[len(known) :].strip(" ()") or "all tariffs known"
    found.append(("Data cost", known, remark))
    found += _quality_cards(summary["quality"])
    if summary["privacy"]:
        guarantees = summary["privacy"]["guarantees"]
        found += [("Privacy spent", f"ε = {epsilon:.3g}", words) for words, epsilon in guarantees.items()]
    return found


def _energy_card(energy: Mapping[str, Any]) -> tuple[str, str, str]:
    known = "unknown" if energy["sites_j"] is None else format_energy(energy["sites_j"])
    unknown = energy["sites_unknown"]
    remarks = [f"{unknown} device{'s' if unknown != 1 else ''} unknown"] if unknown else []
    remarks.append(f"server {'unknown' if energy['server_j'] is None else format_energy(energy['server_j'])}")
    return ("Energy at the sites", known, ", ".join(remarks))


def _quality_cards(quality: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    from emulator.report.curves import choose

    ends = {name: [(None, 0.0, found["end"])] for name, found in quality.items()}
    names = [name for names in choose(ends) for name in names][:2]  # type: ignore[arg-type]  # rounds play no part
    cards = []
    for name in names:
        found = quality[name]
        where = f" in round {found['best_round']}" if found["best_round"] is not None else ""
        cards.append((name, f"{found['end']:.4g}", f"at the end; best {found['best']:.4g}{where}"))
    return cards
