"""A study's figures: bars by variant, curves over rounds, points along an axis; each with its 95 % intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from emulator.report import style
from emulator.report.drawing import Circle, Drawing, Line, Rect, Text
from emulator.report.svg import to_svg
from emulator.study.spec import FigureSpec
from emulator.study.statistics import Estimate

Curves = Mapping[str, Mapping[int, Estimate]]
"""By variant and round."""

_BOX = (64.0, 52.0, 800.0, 240.0)
_WIDTH, _HEIGHT = 1080.0, 352.0
_INSET = 20.0
_BEYOND = 0.12
"""An infinite place stands this share of the axis beyond the last finite one."""


def write_figure(folder: Path, spec: FigureSpec, values: Curves) -> Path | None:
    """Write one figure as SVG; returns its path, or None where no run has what it shows.

    Args:
        folder: Made where it is missing.
        spec: What to draw.
        values: Estimates by variant and round; of bars and points all in round 0.
    """
    shown = {name: values[name] for name in spec.variants if values.get(name)}
    if not shown:
        return None
    drawing = Drawing(_WIDTH, _HEIGHT, spec.title, _description(spec, shown))
    drawing.add(Text(14, 22, spec.title, 14, style.INK, bold=True))
    {"bars": _bars, "rounds": _rounds, "points": _points}[spec.kind](drawing, spec, shown)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{slug(spec.title)}.svg"
    path.write_text(to_svg(drawing, path.stem, is_file=True) + "\n", encoding="utf-8")
    return path


def slug(title: str) -> str:
    """Return a title as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _description(spec: FigureSpec, values: Curves) -> str:
    ends = ", ".join(f"{name} {_shown(list(curve.values())[-1], spec.scale)}" for name, curve in values.items())
    return f"Mean and 95 % interval over seeds. {ends}"


def _shown(found: Estimate, scale: float) -> str:
    return "-" if found.mean is None else f"{found.mean * scale:.3g}"


def _spread(found: Estimate, scale: float) -> tuple[float, float, float]:
    """Return mean, low and high, scaled; one run alone has no interval."""
    mean = (found.mean or 0.0) * scale
    low, high = (mean if bound is None else bound * scale for bound in (found.low, found.high))
    return mean, low, high


def _limits(spec: FigureSpec, values: Curves, *, from_zero: bool) -> tuple[float, float]:
    spreads = [_spread(found, spec.scale) for curve in values.values() for found in curve.values()]
    places = [bound for spread in spreads for bound in spread]
    places += [spec.reference[name] for name in values if name in spec.reference]
    low, high = (0.0 if from_zero else min(places)), max(places)
    pad = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return (low if from_zero else low - pad), high + pad


def _height(value: float, limits: tuple[float, float]) -> float:
    return _BOX[1] + _BOX[3] * (1 - (value - limits[0]) / (limits[1] - limits[0]))


def _interval(drawing: Drawing, x: float, low: float, high: float, colour: str) -> None:
    """Add an error bar between two heights in pixels."""
    if abs(low - high) < 0.5:
        return
    drawing.add(Line([(x, low), (x, high)], colour, 1.2))
    drawing.add(*(Line([(x - 3, y), (x + 3, y)], colour, 1.2) for y in (low, high)))


def _bars(drawing: Drawing, spec: FigureSpec, values: Curves) -> None:
    limits = _limits(spec, values, from_zero=True)
    style.value_axis(drawing, _BOX, *limits, spec.unit)
    pitch = _BOX[2] / len(values)
    width = min(pitch * 0.3, 60.0)
    for i, (name, curve) in enumerate(values.items()):
        mean, low, high = _spread(curve[0], spec.scale)
        centre, colour, base = _BOX[0] + pitch * (i + 0.5), style.SERIES[i % len(style.SERIES)], _height(0.0, limits)
        left = centre - width if spec.reference else centre - width / 2
        drawing.add(
            Rect(left, _height(mean, limits), width, base - _height(mean, limits), colour, f"{name}: {mean:.4g}")
        )
        _interval(drawing, left + width / 2, _height(low, limits), _height(high, limits), style.INK)
        drawing.add(Text(left + width / 2, _height(high, limits) - 5, f"{mean:.3g}", 11, style.INK, "middle"))
        drawing.add(Text(centre, base + 18, style.shorten(name, 18), 11.5, style.SOFT, "middle"))
        if name in spec.reference:
            value = spec.reference[name]
            top = _height(value, limits)
            drawing.add(Rect(centre + 4, top, width, base - top, colour, f"{name}, reference: {value:g}", hatch=True))
            drawing.add(Text(centre + 4 + width / 2, top - 5, f"{value:g}", 11, style.SOFT, "middle"))
    if spec.reference:
        style.legend(drawing, 640, 12, [(style.SOFT, "ours", "fill"), (style.SOFT, "reference", "hatch")])


def _rounds(drawing: Drawing, spec: FigureSpec, values: Curves) -> None:
    rounds = sorted({number for curve in values.values() for number in curve})
    first, last = rounds[0], max(rounds[-1], rounds[0] + 1)
    ticks = {float(number): str(number) for number in rounds if (number - first) % max(1, (last - first) // 10) == 0}

    def place(number: float) -> float:
        return _BOX[0] + _INSET + (_BOX[2] - 2 * _INSET) * (number - first) / (last - first)

    drawn = {name: {place(number): found for number, found in curve.items()} for name, curve in values.items()}
    places = {place(at): label for at, label in ticks.items()}
    _curves(drawing, spec, values, drawn, places, spec.axis or "round")


def _points(drawing: Drawing, spec: FigureSpec, values: Curves) -> None:
    """Draw one curve through all variants in order of their place."""
    order = sorted(values, key=lambda name: spec.at[name])
    places = dict(zip(order, log_places([spec.at[name] for name in order]), strict=True))
    x = {name: _BOX[0] + _INSET + (_BOX[2] - 2 * _INSET) * places[name] for name in order}
    drawn = {spec.unit or "mean": {x[name]: values[name][0] for name in order}}
    ticks = {x[name]: "∞" if math.isinf(spec.at[name]) else f"{spec.at[name]:g}" for name in order}
    _curves(drawing, spec, values, drawn, ticks, spec.axis)


def log_places(at: Sequence[float]) -> list[float]:
    """Return places between 0 and 1 on a logarithmic axis, for ascending values above 0 of which the last may be infinite."""
    finite = [math.log(value) for value in at if not math.isinf(value)]
    room = 1.0 - _BEYOND if len(finite) < len(at) and finite else 1.0
    span = (finite[-1] - finite[0]) if len(finite) > 1 else 0.0
    inside = [room * (value - finite[0]) / span if span else 0.0 for value in finite]
    return inside + [1.0] * (len(at) - len(finite))


def _curves(
    drawing: Drawing,
    spec: FigureSpec,
    values: Curves,
    drawn: Mapping[str, Mapping[float, Estimate]],
    ticks: Mapping[float, str],
    axis: str,
) -> None:
    limits, base = _limits(spec, values, from_zero=False), _BOX[1] + _BOX[3]
    style.value_axis(drawing, _BOX, *limits, spec.unit)
    for x, label in ticks.items():
        drawing.add(Line([(x, base), (x, base + 4)], "#9aa5b1"), Text(x, base + 18, label, 11, style.SOFT, "middle"))
    drawing.add(Line([(_BOX[0], base), (_BOX[0] + _BOX[2], base)], "#9aa5b1"))
    drawing.add(Text(_BOX[0] + _BOX[2] / 2, base + 38, axis, 11.5, style.SOFT, "middle"))
    for i, (name, curve) in enumerate(drawn.items()):
        colour = style.SERIES[i % len(style.SERIES)]
        shift = 3.0 * (i - (len(drawn) - 1) / 2)  # so that the intervals of curves that lie together can be told apart
        points = []
        for x, found in sorted(curve.items()):
            mean, low, high = _spread(found, spec.scale)
            points.append((x + shift, _height(mean, limits)))
            _interval(drawing, x + shift, _height(low, limits), _height(high, limits), colour)
            drawing.add(Circle(*points[-1], 3.0, colour, "#ffffff", f"{name}: {mean:.4g}, {low:.4g} to {high:.4g}"))
        drawing.add(Line(points, colour, 1.8))
        if len(drawn) > 1:
            drawing.add(
                Circle(_BOX[0] + _BOX[2] + 30, _BOX[1] + 14 + 20 * i, 4.0, colour),
                Text(_BOX[0] + _BOX[2] + 40, _BOX[1] + 18 + 20 * i, style.shorten(name, 22), 12, colour, bold=True),
            )
