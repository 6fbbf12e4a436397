"""The report's sections on the course of a run: time-line, round time, participation, model quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from emulator.metrics.history import History
from emulator.plan import Plan
from emulator.report.charts import draw_breakdown
from emulator.report.curves import draw_quality
from emulator.report.markup import (
    MOST_ROWS,
    Cell,
    chart,
    duration,
    folded,
    limits,
    nothing,
    row_limit,
    section,
    size,
    table,
    text,
)
from emulator.report.matrix import draw_participation, patient_values
from emulator.report.timeline import draw_rounds, draw_timeline
from emulator.units import format_duration

if TYPE_CHECKING:
    import pandas as pd

MOST_PATIENTS: Final = 48

Tables = Mapping[str, "pd.DataFrame"]


def timeline_section(history: History, plan: Plan) -> str:
    """Return the time-line with its zoom buttons."""
    drawing, notes = draw_timeline(history, plan)
    end_s = float(drawing.data["end"])
    buttons = [f'<button type="button" aria-pressed="true" data-from="0" data-to="{end_s!r}">whole run</button>']
    for number, found in sorted(history.rounds.items())[:40]:
        if found.ended_s > found.opened_s and found.ended_s <= end_s:
            reach = f'data-from="{found.opened_s!r}" data-to="{found.ended_s!r}"'
            buttons.append(f'<button type="button" aria-pressed="false" {reach}>{number}</button>')
    zoom = f'<div class="zoom">Round: {"".join(buttons)}</div>\n'
    lead = "What each device did and when. Hover over a bar for details; drag to look closer, double-click to go back."
    body = zoom + chart((drawing, notes), "fig-timeline")
    closer = draw_rounds(history, plan) if len(history.rounds) > 1 else None
    if closer is not None:
        body += "<h3>Rounds side by side, each until its last reply</h3>\n" + chart(closer, "fig-rounds")
    return section("timeline", "Round time-line", lead, body)


def breakdown_section(tables: Tables) -> str:
    """Return the stacked columns and the rounds' table."""
    rounds = tables["rounds"]
    lead = (
        "Each column follows the round's critical path back from its end: the last client whose reply was used, "
        "then the server. Transfers include the time outages stalled them; the pause before the next round is left out."
    )
    head = ["round", "took", "then paused", "stalled", "replies", "failed", "late", "lost", "down", "up"]
    rows = [
        [
            Cell(str(row["round"]), True),
            Cell(format_duration(row["latency_s"]) + ("" if row["is_closed"] else " (not closed)"), True),
            Cell(duration(row["pause_s"]), True), Cell(duration(row["stalled_s"]), True),
            Cell(f"{row['replies']} of {row['addressed']}", True),
            Cell(str(row["failed"]), True), Cell(str(row["late"]), True),
            Cell(str(row["lost"]), True), Cell(size(row["bytes_down"]), True), Cell(size(row["bytes_up"]), True),
        ]
        for row in rounds.head(MOST_ROWS).to_dict("records")
    ]  # fmt: skip
    body = nothing("No round was opened.") if rounds.empty else chart(draw_breakdown(rounds), "fig-breakdown")
    details = folded(
        "Rounds as a table",
        row_limit(len(rounds), "tables/rounds.csv") + table("Rounds: time, answers and message bytes", head, rows),
    )
    return section("breakdown", "Where a round's time goes", lead, body + details)


def participation_section(tables: Tables) -> str:
    """Return the matrix of rounds by clients."""
    found = tables["participation"]
    lead = (
        "Whether each client's reply was used in each round, and if not, what kept it away. Hover over a cell for why."
    )
    body = nothing("No round was opened.") if found.empty else chart(draw_participation(found), "fig-participation")
    return section("participation", "Who took part", lead, body)


def quality_section(tables: Tables, plan: Plan) -> str:
    """Return the curves of global metrics and the strip of test patients."""
    charts = draw_quality(tables["metrics"], plan)
    body = "".join(chart((drawing, notes), f"fig-{ident}") for ident, drawing, notes in charts)
    if not charts:
        body = nothing("The run reported no global metric.")
    lead = "What the global model could do after each round, on the server's test data: by round, and by virtual time."
    return section("quality", "Model quality", lead, body + _patients(tables["metrics"]))


def _patients(metrics: pd.DataFrame) -> str:
    patients, names, values = patient_values(metrics)
    if not patients:
        return ""
    shown = patients[:MOST_PATIENTS]
    note = [f"Shown: {MOST_PATIENTS} of {len(patients)} patients; all are in tables/metrics.csv."]
    # Whichever way fits the page: many patients go down, few go across.
    is_across = len(shown) <= 16
    down, across = (names, shown) if is_across else (shown, names)
    rows = []
    for name in down:
        pairs = [(other, name) if is_across else (name, other) for other in across]
        cells = "".join(_patient_cell(values.get(pair)) for pair in pairs)
        rows.append(f'<tr><th scope="row">{text(name)}</th>{cells}</tr>')
    head = "".join(f'<th scope="col" class="mid">{text(name)}</th>' for name in across)
    limit = limits(note if len(patients) > len(shown) else [])
    return (
        f'<h3>Per test patient</h3>\n{limit}<div class="scroll"><table class="strip">'
        "<caption>Last value for each patient; the darker, the nearer to 1</caption>\n"
        f'<thead><tr><th scope="col">{"metric" if is_across else "patient"}</th>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody></table></div>\n"
    )


def _patient_cell(value: float | None) -> str:
    if value is None:
        return '<td class="cell">-</td>'
    share = min(1.0, max(0.0, value))
    ink = "#ffffff" if share > 0.8 else "#1f2933"
    return f'<td class="cell" style="background:rgba(8,81,156,{share**3:.2f});color:{ink}">{value:.3f}</td>'
