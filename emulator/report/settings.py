"""The report's last sections: the estimates a run used, and its settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from emulator.metrics.history import History
from emulator.plan import Plan
from emulator.report import style
from emulator.report.markup import MOST_ROWS, Cell, figure, folded, rate_range, row_limit, section, table
from emulator.units import format_duration


def assumptions_section(plan: Plan) -> str:
    """Return the figures that nobody measured."""
    rows = [
        [Cell(item.subject), Cell(item.quantity), Cell(item.value), Cell(item.source)]
        for item in plan.assumptions[:MOST_ROWS]
    ]
    lead = "Figures this run used that are estimates and not measurements. Weigh the results by them."
    body = table("Estimates used", ["of", "quantity", "value", "where it comes from"], rows)
    return section("assumptions", "Assumptions", lead, row_limit(len(plan.assumptions), "plan.json") + body)


def settings_section(plan: Plan, history: History) -> str:
    """Return the plan's settings: clock, links, app and protocol."""
    general = [
        ("scenario", plan.scenario), ("seed", plan.seed), ("starts at", style.clock(0, plan.starts_at_s)),
        ("horizon", format_duration(plan.horizon_s)), ("clients", len(plan.clients)), ("nodes", len(plan.nodes)),
        ("links", len(plan.links)), ("planned outages", len(plan.outages)), ("placed faults", len(plan.placed)),
        ("transfer model", history.transfer_model or "nothing was sent"),
    ]  # fmt: skip
    body = _pairs("The run", general)
    body += folded("Run config of the app", _pairs("Run config", sorted(plan.app.run_config.items())))
    body += folded("Network", _pairs("Network settings", sorted(asdict(plan.network).items())))
    body += folded("Flower protocol", _pairs("Flower settings", sorted(asdict(plan.flower).items())))
    body += folded("Links as planned", _planned_links(plan))
    return section(
        "settings", "Settings", "What the scenario resolved to. plan.json in the run folder holds all of it.", body
    )


def _pairs(caption: str, pairs: Iterable[tuple[str, object]]) -> str:
    return table(caption, ["setting", "value"], [[Cell(str(key)), Cell(str(value))] for key, value in pairs])


def _planned_links(plan: Plan) -> str:
    rows = []
    for link in plan.links[:MOST_ROWS]:
        tariff = link.tariff_usd_per_gb
        rows.append(
            [
                Cell(link.name), Cell(link.profile), Cell(rate_range(link.up), True),
                Cell(rate_range(link.down), True), Cell(format_duration(link.up[0].delay_s), True),
                Cell(f"{link.up[0].loss:.2%}", True), figure(tariff, f"{tariff or 0:g} USD/GB"),
            ]
        )  # fmt: skip
    return row_limit(len(plan.links), "plan.json") + table(
        "Links", ["link", "profile", "up", "down", "delay at first", "loss at first", "tariff"], rows
    )
