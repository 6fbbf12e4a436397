"""Bars: where each round's time went, and how many megabytes each link carried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulator.metrics.panel import PART_NAMES
from emulator.metrics.path import PARTS
from emulator.plan import Plan
from emulator.report import style
from emulator.report.drawing import Drawing, Line, Rect, Text
from emulator.units import format_bytes, format_duration

if TYPE_CHECKING:
    import pandas as pd

MOST_ROUNDS: Final = 120
MOST_LINKS: Final = 24
_LEGEND: Final = {
    "wait_s": "wait", "download_s": "download", "compute_s": "compute", "upload_s": "upload", "server_s": "server",
    "unanswered_s": "waiting for missing clients", "other_s": "other",
}  # fmt: skip


def draw_breakdown(rounds: pd.DataFrame) -> tuple[Drawing, list[str]]:
    """Return one stacked column per round: its duration, split along its critical path."""
    shown = rounds.head(MOST_ROUNDS)
    notes = [f"Shown: the first {MOST_ROUNDS} of {len(rounds)} rounds."] if len(shown) < len(rounds) else []
    drawing = Drawing(
        style.WIDTH, 320, "Where a round's time goes",
        "One column per round; its height is the round's latency, its colours the parts of the critical path.",
    )  # fmt: skip
    box = (64.0, 44.0, style.WIDTH - 80, 230.0)
    longest = float(shown["latency_s"].max()) if len(shown) else 0.0
    unit, scale = ("h", 3600.0) if longest >= 7200 else ("min", 60.0) if longest >= 120 else ("s", 1.0)
    top = max(longest / scale * 1.06, 1e-9)
    style.legend(drawing, box[0], 4, [(style.PHASE_COLOURS[part], _LEGEND[part], "fill") for part in PARTS])
    style.value_axis(drawing, box, 0.0, top, unit)
    pitch = box[2] / max(len(shown), 1)
    width = min(pitch * 0.72, 56.0)
    every = max(1, round(len(shown) / 40))
    for i, row in enumerate(shown.to_dict("records")):
        left, at = box[0] + pitch * (i + 0.5) - width / 2, box[1] + box[3]
        for part in PARTS:
            height = box[3] * float(row[part]) / scale / top
            if height > 0:
                tip = f"Round {row['round']}: {PART_NAMES[part]} {format_duration(float(row[part]))}"
                drawing.add(Rect(left, at - height, width, height, style.PHASE_COLOURS[part], tip))
                at -= height
        if pitch > 44:
            drawing.add(
                Text(left + width / 2, at - 5, format_duration(float(row["latency_s"])), 10.5, style.SOFT, "middle")
            )
        if i % every == 0:
            drawing.add(Text(left + width / 2, box[1] + box[3] + 17, str(row["round"]), 11, style.SOFT, "middle"))
    drawing.add(Line([(box[0], box[1] + box[3]), (box[0] + box[2], box[1] + box[3])], "#9aa5b1"))
    drawing.add(Text(box[0] + box[2] / 2, box[1] + box[3] + 36, "round", 11.5, style.SOFT, "middle"))
    return drawing, notes


def draw_links(links: pd.DataFrame, plan: Plan) -> tuple[Drawing, list[str]]:
    """Return up and down bars for the links that carried training traffic (the busiest, where there are many)."""
    totals = links.groupby("link", sort=True)[["flow_bytes", "bytes"]].sum()
    used = totals[totals["flow_bytes"] > 0]
    used = used if len(used) else totals[totals["bytes"] > 0]
    busiest = set(used.sort_values("bytes", ascending=False, kind="stable").head(MOST_LINKS).index)
    notes = [f"Shown: the {MOST_LINKS} busiest of {len(used)} links."] if len(used) > MOST_LINKS else []
    shown = [name for name in used.index if name in busiest]
    by_key = {(row["link"], row["direction"]): row for row in links.to_dict("records")}
    row_height, top, left = 40.0, 34.0, 190.0
    drawing = Drawing(
        style.WIDTH, top + row_height * max(len(shown), 1) + 34, "Megabytes per link",
        "Two bars per link: bytes carried towards the server (up) and away from it (down), with mean utilisation.",
    )  # fmt: skip
    style.legend(
        drawing, left, 4, [(style.UP_COLOUR, "up (to the server)", "fill"), (style.DOWN_COLOUR, "down", "fill")]
    )
    most = max((int(by_key[name, way]["bytes"]) for name in shown for way in ("up", "down")), default=0) or 1
    width, bottom = style.WIDTH - left - 250, top + row_height * len(shown)
    step = style.nice_step(most / 1e6, 5)
    for i in range(int(most / 1e6 / step + 1e-9) + 1):
        x = left + width * step * i * 1e6 / most
        drawing.add(Line([(x, top), (x, bottom + 4)], style.GRID))
        drawing.add(Text(x, bottom + 19, f"{step * i:.6g} MB", 11, style.SOFT, "middle"))
    for i, name in enumerate(shown):
        y = top + row_height * i
        drawing.add(Text(left - 10, y + 17, style.shorten(str(name), 26), 12, style.INK, "end"))
        drawing.add(Text(left - 10, y + 30, plan.link_by_name[name].profile, 10, style.SOFT, "end"))
        for j, (way, colour) in enumerate((("up", style.UP_COLOUR), ("down", style.DOWN_COLOUR))):
            row = by_key[name, way]
            length = width * int(row["bytes"]) / most
            text = f"{format_bytes(int(row['bytes']))}{_used(row['utilisation'])}"
            drawing.add(Rect(left, y + 4 + 16 * j, length, 14, colour, f"{name} {way}: {text}"))
            drawing.add(Text(left + length + 6, y + 15 + 16 * j, text, 11, style.SOFT))
    return drawing, notes


def _used(utilisation: float) -> str:
    if utilisation != utilisation:
        return ""
    return f", {utilisation:.1%} of its capacity" if utilisation >= 0.001 else ", < 0.1% of its capacity"
