"""The main figures as files, SVG and PNG, from the same drawings as the report (see ``drawing.py`` for why).

The SVG costs milliseconds; only PNG needs matplotlib, which is imported when the first one is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.metrics.history import History, Log, read_history
from emulator.plan import Plan
from emulator.report.charts import draw_breakdown, draw_links
from emulator.report.curves import draw_quality
from emulator.report.drawing import Drawing
from emulator.report.matrix import draw_participation
from emulator.report.svg import to_svg
from emulator.report.timeline import draw_rounds, draw_timeline
from emulator.report.topology import draw_network

if TYPE_CHECKING:
    import pandas as pd


def write_figures(
    folder: Path,
    events: Log,
    tables: Mapping[str, pd.DataFrame],
    plan: Plan,
    *,
    history: History | None = None,
    formats: tuple[str, ...] = ("svg", "png"),
) -> list[Path]:
    """Write the figures to ``folder`` and return their paths; a figure with nothing to show is left out.

    Args:
        folder: Made where it is missing.
        events: The event log; not looked at where ``history`` is given.
        tables: From ``build_tables``.
        plan: The plan.
        history: The events already read by ``read_history``, to save doing it again.
        formats: ``svg``, ``png`` or both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    loads = {str(name): float(count) for name, count in tables["links"].groupby("link")["bytes"].sum().items()}
    history = history or read_history(events, plan)
    drawings = {
        "timeline": draw_timeline(history, plan)[0],
        "topology": draw_network(plan, loads)[0],
        "links": draw_links(tables["links"], plan)[0],
    }
    closer = draw_rounds(history, plan)
    if closer is not None:
        drawings["timeline-rounds"] = closer[0]
    if len(tables["rounds"]):
        drawings["breakdown"] = draw_breakdown(tables["rounds"])[0]
        drawings["participation"] = draw_participation(tables["participation"])[0]
    drawings |= {f"quality-{ident}": drawing for ident, drawing, _ in draw_quality(tables["metrics"], plan)}
    return [_write(drawings[name], folder / f"{name}.{kind}") for name in sorted(drawings) for kind in formats]


def draw_topology(plan: Plan, path: Path, loads: Mapping[str, float] | None = None) -> Path:
    """Write the network to ``path`` (``.svg`` or ``.png``) and return it; ``loads`` holds bytes by link name."""
    return _write(draw_network(plan, loads)[0], path)


def _write(drawing: Drawing, path: Path) -> Path:
    if path.suffix == ".svg":
        path.write_text(to_svg(drawing, path.stem, is_file=True) + "\n", encoding="utf-8")
        return path
    if path.suffix == ".png":
        from emulator.report.png import to_png

        return to_png(drawing, path)
    raise ValueError(f"a figure is written as .svg or .png, not {path.suffix!r}")
