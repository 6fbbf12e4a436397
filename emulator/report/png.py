"""A drawing as PNG, through matplotlib's Agg canvas (imported here only): the same shapes at the same pixels."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from emulator.report.drawing import Circle, Drawing, Line, Polygon, Rect, Text

_DPI = 144
_POINTS = 0.72
"""A shape's pixel in matplotlib's points: 100 drawing pixels to the inch."""

_ANCHOR = {"start": "left", "middle": "center", "end": "right"}


def to_png(drawing: Drawing, path: Path) -> Path:
    """Write the drawing to ``path`` and return it; equal drawings give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    figure = Figure(figsize=(drawing.width / 100, drawing.height / 100), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    _paint_areas(axes, drawing)
    for depth, shape in enumerate(drawing.shapes):
        if isinstance(shape, Text):
            label = axes.text(
                shape.x, shape.y, shape.text, fontsize=shape.size * _POINTS * 0.92, color=shape.fill, zorder=depth,
                ha=_ANCHOR[shape.anchor], va="baseline", fontweight="bold" if shape.bold else "normal",
                parse_math=False,
            )  # fmt: skip
            if shape.halo:
                label.set_path_effects([withStroke(linewidth=3 * _POINTS, foreground="#ffffff")])
    figure.savefig(path, format="png", metadata={"Software": None})
    return path


def _paint_areas(axes: Any, drawing: Drawing) -> None:
    """Paint all but text, as one collection for each run of shapes of one sort: thousands of patches are slow."""
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.colors import to_rgba

    runs: list[tuple[Any, list[tuple[int, Any]]]] = []
    for depth, shape in enumerate(drawing.shapes):
        if isinstance(shape, Text):
            continue
        sort = ("line", shape.dash) if isinstance(shape, Line) else ("area", getattr(shape, "hatch", False))
        if not runs or runs[-1][0] != sort:
            runs.append((sort, []))
        runs[-1][1].append((depth, shape))
    box = _clip_box(axes, drawing)
    for (sort, detail), members in runs:
        by_clip: dict[bool, list[tuple[int, Any]]] = defaultdict(list)
        for depth, shape in members:
            by_clip[getattr(shape, "css", "").startswith("z")].append((depth, shape))
        for is_clipped, chosen in by_clip.items():
            shapes = [shape for _, shape in chosen]
            if sort == "line":
                dash = (0, tuple(float(part) for part in detail.split())) if detail else "solid"
                made: Any = LineCollection(
                    [list(shape.points) for shape in shapes], colors=[shape.stroke for shape in shapes],
                    linewidths=[shape.width * _POINTS for shape in shapes], linestyles=dash,
                )  # fmt: skip
            else:
                opacity = [0.15 if detail else getattr(shape, "opacity", 1.0) for shape in shapes]
                edges = [to_rgba(shape.fill if detail else shape.stroke or "none") for shape in shapes]
                made = PolyCollection(
                    [_outline(shape) for shape in shapes], edgecolors=edges, hatch="////" if detail else None,
                    facecolors=[to_rgba(shape.fill, alpha) for shape, alpha in zip(shapes, opacity, strict=True)],
                    linewidths=[0.0 if detail or not shape.stroke else _POINTS for shape in shapes],
                )  # fmt: skip
            made.set_zorder(chosen[0][0])
            axes.add_collection(made, autolim=False)
            if is_clipped and box is not None:
                made.set_clip_path(box)


def _clip_box(axes: Any, drawing: Drawing) -> Any:
    from matplotlib.patches import Rectangle

    if drawing.clip is None:
        return None
    x, y, w, h = drawing.clip
    return Rectangle((x, y), w, h, transform=axes.transData)


def _outline(shape: Rect | Polygon | Circle) -> list[tuple[float, float]]:
    import math

    if isinstance(shape, Polygon):
        return list(shape.points)
    if isinstance(shape, Circle):
        angles = [math.tau * i / 24 for i in range(24)]
        return [(shape.x + shape.r * math.cos(angle), shape.y + shape.r * math.sin(angle)) for angle in angles]
    x, y, w, h = shape.x, shape.y, shape.w, shape.h
    return [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
