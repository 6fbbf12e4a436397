"""Model quality over rounds and over virtual hours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from emulator.metrics.names import is_bookkeeping, is_lower_better, metric_rank
from emulator.metrics.round_rows import PATIENT_PREFIX
from emulator.plan import Plan
from emulator.report import style
from emulator.report.drawing import Circle, Drawing, Line, Text
from emulator.units import format_duration

if TYPE_CHECKING:
    import pandas as pd

MOST_SERIES: Final = len(style.SERIES)
MOST_PANELS: Final = 9

Curve = list[tuple[int | None, float, float]]
"""(round, virtual time in s, value) in order of time."""


def global_curves(metrics: pd.DataFrame, plan: Plan) -> dict[str, Curve]:
    """Return the server's metrics by name, those of single patients left out."""
    curves: dict[str, Curve] = {}
    for row in metrics.to_dict("records"):
        name, value = str(row["name"]), row["value"]
        if row["node"] in ("", plan.server.name) and value == value and _is_quality(name):
            number = None if str(row["round"]) == "<NA>" else int(row["round"])
            curves.setdefault(name, []).append((number, float(row["t_s"]), float(value)))
    return curves


def _is_quality(name: str) -> bool:
    return not name.startswith((PATIENT_PREFIX, "privacy.")) and not is_bookkeeping(name)


def choose(curves: dict[str, Curve]) -> tuple[list[str], list[str]]:
    """Return the names of scores (0 to 1, higher is better) and of the rest, the best known first."""
    scores = [
        name for name in curves if not is_lower_better(name) and all(0 <= value <= 1 for _, _, value in curves[name])
    ]
    rest = [name for name in curves if name not in scores]
    return sorted(scores, key=metric_rank), sorted(rest, key=lambda name: (not is_lower_better(name), name))


def draw_quality(metrics: pd.DataFrame, plan: Plan) -> list[tuple[str, Drawing, list[str]]]:
    """Return (identifier, chart, notes): scores over rounds and hours, and a small panel for each other metric."""
    curves = global_curves(metrics, plan)
    scores, others = choose(curves)
    charts = []
    if scores:
        drawing = _chart("Scores", {name: curves[name] for name in scores[:MOST_SERIES]})
        charts.append(("scores", drawing, _left_out(scores, MOST_SERIES)))
    if others:
        drawing = _panels({name: curves[name] for name in others[:MOST_PANELS]})
        charts.append(("others", drawing, _left_out(others, MOST_PANELS)))
    return charts


def _ends(curves: dict[str, Curve]) -> str:
    return ", ".join(f"{name} ends at {curve[-1][2]:.4g}" for name, curve in curves.items())


def _left_out(names: Sequence[str], most: int) -> list[str]:
    return [f"Shown: {most} of {len(names)} metrics; all are in tables/metrics.csv."] if len(names) > most else []


def _panels(curves: dict[str, Curve]) -> Drawing:
    """Each metric on its own scale: they have different units."""
    across, tall = 3, 190.0
    wide = style.WIDTH / across
    drawing = Drawing(
        style.WIDTH, tall * -(-len(curves) // across), "Losses and other metrics over rounds",
        "One panel for each metric. " + _ends(curves),
    )  # fmt: skip
    for i, (name, curve) in enumerate(curves.items()):
        x, y = wide * (i % across), tall * (i // across)
        box = (x + 62, y + 30, wide - 84, tall - 78)
        values = [value for _, _, value in curve]
        pad = (max(values) - min(values)) * 0.08 or abs(values[0]) * 0.1 or 1.0
        limits = (min(values) - pad, max(values) + pad)
        drawing.add(Text(x + 62, y + 16, f"{style.shorten(name, 30)}: {values[-1]:.4g}", 12, style.INK, bold=True))
        style.value_axis(drawing, box, *limits, most=3)
        _plot(drawing, box, {name: [(float(r), v) for r, _, v in curve if r is not None]}, limits, "round")
    return drawing


def _chart(what: str, curves: dict[str, Curve]) -> Drawing:
    height, label = 300.0, 150.0
    drawing = Drawing(
        style.WIDTH, height, f"{what} over rounds and virtual time",
        "Left: by round; right: by hours of virtual time. " + _ends(curves),
    )  # fmt: skip
    values = [value for curve in curves.values() for _, _, value in curve]
    low, high = min(values), max(values)
    pad = (high - low) * 0.08 or 0.05
    low, high = (max(0.0, low - pad) if low >= 0 else low - pad), (min(1.0, high + pad) if high <= 1 else high + pad)
    if high <= low:
        high = low + 1
    half = (style.WIDTH - label - 64 - 60) / 2
    boxes = [(56.0, 40.0, half, height - 90), (56.0 + half + 60, 40.0, half, height - 90)]
    by_round = {
        name: [(float(number), v) for number, _, v in curve if number is not None] for name, curve in curves.items()
    }
    by_hour = {name: [(t_s / 3600, v) for _, t_s, v in curve] for name, curve in curves.items()}
    drawing.add(Text(boxes[0][0], 20, what, 13, style.INK, bold=True))
    for box, series, axis in zip(boxes, (by_round, by_hour), ("round", "hours of virtual time"), strict=True):
        style.value_axis(drawing, box, low, high)
        _plot(drawing, box, series, (low, high), axis)
    _labels(drawing, boxes[1], {name: curve[-1][2] for name, curve in curves.items()}, (low, high))
    return drawing


def _plot(
    drawing: Drawing,
    box: tuple[float, float, float, float],
    series: dict[str, list[tuple[float, float]]],
    limits: tuple[float, float],
    axis: str,
) -> None:
    x, y, w, h = box
    places = [at for curve in series.values() for at, _ in curve]
    first, last = (min(places), max(places)) if places else (0.0, 1.0)
    first = 0.0 if axis != "round" else first
    span = (last - first) or 1.0
    step = style.nice_step(span, 8)
    step = max(step, 1.0) if axis == "round" else step
    at = -(-first // step) * step
    while at <= last + step * 1e-6:
        place = x + w * (at - first) / span
        drawing.add(Line([(place, y + h), (place, y + h + 4)], "#9aa5b1"))
        drawing.add(Text(place, y + h + 17, f"{at:.6g}", 11, style.SOFT, "middle"))
        at += step
    drawing.add(
        Line([(x, y + h), (x + w, y + h)], "#9aa5b1"), Text(x + w / 2, y + h + 35, axis, 11.5, style.SOFT, "middle")
    )
    for colour, (name, curve) in zip(style.SERIES, series.items(), strict=False):
        points = [
            (x + w * (at - first) / span, y + h - h * (v - limits[0]) / (limits[1] - limits[0])) for at, v in curve
        ]
        if len(points) > 1:
            drawing.add(Line(points, colour, 2.0))
        if len(points) <= 60:
            for (px, py), (at, value) in zip(points, curve, strict=True):
                where = f"round {at:.0f}" if axis == "round" else f"after {format_duration(at * 3600)}"
                drawing.add(Circle(px, py, 3.0, colour, "#ffffff", f"{name}, {where}: {value:.4g}"))


def _labels(
    drawing: Drawing, box: tuple[float, float, float, float], ends: dict[str, float], limits: tuple[float, float]
) -> None:
    """Name each curve at its right end, pushed apart where they would overlap."""
    x, y, w, h = box
    wanted = {name: y + h - h * (value - limits[0]) / (limits[1] - limits[0]) for name, value in ends.items()}
    order = sorted(wanted, key=lambda name: wanted[name])
    heights = spread([wanted[name] for name in order], 15.0, y + 4, y + h)
    colours = dict(zip(ends, style.SERIES, strict=False))
    for name, at in zip(order, heights, strict=True):
        drawing.add(Line([(x + w + 3, wanted[name]), (x + w + 11, at)], colours[name], 1.0))
        drawing.add(
            Text(x + w + 14, at + 4, f"{style.shorten(name, 15)} {ends[name]:.3g}", 11.5, colours[name], bold=True)
        )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places near the ``wanted`` (ascending) ones, ``gap`` apart, inside ``low`` to ``high`` where they fit."""
    placed: list[float] = []
    for at in wanted:
        placed.append(max(at, placed[-1] + gap if placed else low))
    ceiling = high
    for i in range(len(placed) - 1, -1, -1):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed
