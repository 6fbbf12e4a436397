"""What all charts share: colours (Okabe and Ito's, legible to the colour-blind), scales, clock labels, legends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from emulator.report.drawing import Drawing, Line, Rect, Text

WIDTH: Final = 1080.0
INK: Final = "#1f2933"
SOFT: Final = "#5b6775"
GRID: Final = "#e3e7ec"
RED: Final = "#d55e00"

PHASE_COLOURS: Final = {
    "wait_s": "#d5dae1",
    "download_s": "#56b4e9",
    "compute_s": "#e69f00",
    "upload_s": "#009e73",
    "server_s": "#cc79a7",
    "unanswered_s": "#7b8794",
    "other_s": "#eef0f3",
}
"""One colour per part of a round, the same in every chart."""

UP_COLOUR: Final = PHASE_COLOURS["upload_s"]
DOWN_COLOUR: Final = PHASE_COLOURS["download_s"]
SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4b5563", "#8c6d1f")
POWER_CUT: Final = "#3f4753"
LINK_DOWN: Final = RED


def clock(t_s: float, starts_at_s: float, *, seconds: bool = False) -> str:
    """Return a virtual time as day and time of day, ``day 1 20:15``."""
    whole = int(starts_at_s + t_s + 1e-9)
    day, rest = divmod(whole, 86400)
    text = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}"
    return f"day {day + 1} {text}:{rest % 60:02d}" if seconds else f"day {day + 1} {text}"


def nice_step(span: float, most: int) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that gives at most ``most`` steps over ``span``."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * most >= span * (1 - 1e-9))


_CLOCK_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def clock_ticks(end_s: float, starts_at_s: float, most: int = 12) -> list[tuple[float, str]]:
    """Return (virtual time, label) at round times of day; the day is named where it changes."""
    step: float = next((step for step in _CLOCK_STEPS if end_s <= step * most), 0)
    if not step:
        step = 86400.0 * math.ceil(end_s / 86400 / most)
    ticks: list[tuple[float, str]] = []
    at, last_day = math.ceil(starts_at_s / step) * step, -1
    while at - starts_at_s <= end_s + 1e-9:
        label = clock(at - starts_at_s, starts_at_s, seconds=step < 60)
        day = int(at // 86400)
        ticks.append((at - starts_at_s, label if day != last_day else label.split(" ", 2)[2]))
        last_day, at = day, at + step
    return ticks


def legend(drawing: Drawing, x: float, y: float, entries: Sequence[tuple[str, str, str]]) -> None:
    """Add a one-line legend: (colour, label, ``fill``, ``hatch``, ``line`` or ``cross``) from ``x`` at height ``y``."""
    for colour, label, look in entries:
        if look == "line":
            drawing.add(Line([(x, y + 5), (x + 14, y + 5)], colour, 2.5))
        elif look == "cross":
            drawing.add(Text(x + 3, y + 10, "✕", 12, colour, bold=True))
        else:
            drawing.add(Rect(x, y, 14, 10, colour, hatch=look == "hatch", stroke="" if look == "hatch" else "#c3cad3"))
        drawing.add(Text(x + 19, y + 9, label, 11.5, SOFT))
        x += 19 + 6.4 * len(label) + 18


def value_axis(
    drawing: Drawing, box: tuple[float, float, float, float], low: float, high: float, unit: str = "", *, most: int = 5
) -> None:
    """Add horizontal grid lines and labels on the left of ``box`` (x, y, w, h)."""
    x, y, w, h = box
    step = nice_step(high - low, most)
    at = math.ceil(low / step - 1e-9) * step
    while at <= high + step * 1e-6:
        place = y + h - h * (at - low) / (high - low)
        drawing.add(Line([(x, place), (x + w, place)], GRID), Text(x - 6, place + 4, f"{at:.6g}", 11, SOFT, "end"))
        at += step
    if unit:
        drawing.add(Text(x - 6, y - 8, unit, 11, SOFT, "end"))


def shorten(text: str, most: int) -> str:
    """Return ``text`` with its middle left out where it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"
