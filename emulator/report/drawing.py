"""A drawing: a flat list of shapes in pixels, from which both renderers work (``svg.py``, ``png.py``).

The report's inline SVG, ``figures/*.svg`` and ``figures/*.png`` are thus one geometry, laid out once. Writing the SVG
ourselves costs milliseconds where a plotting library costs seconds, and gives each shape the label that the report
shows on
hovering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Point = tuple[float, float]


@dataclass(frozen=True)
class Rect:
    """``x, y`` is the upper left corner; ``hatch`` draws diagonal lines in the colour; ``css`` is for the script."""

    x: float
    y: float
    w: float
    h: float
    fill: str
    title: str = ""
    hatch: bool = False
    css: str = ""
    opacity: float = 1.0
    stroke: str = ""
    radius: float = 0.0


@dataclass(frozen=True)
class Line:
    """An open line through ``points``."""

    points: Sequence[Point]
    stroke: str
    width: float = 1.0
    dash: str = ""
    title: str = ""
    css: str = ""


@dataclass(frozen=True)
class Polygon:
    """A filled shape with an optional edge."""

    points: Sequence[Point]
    fill: str
    stroke: str = ""
    title: str = ""
    css: str = ""


@dataclass(frozen=True)
class Circle:
    """A disc with an optional edge."""

    x: float
    y: float
    r: float
    fill: str
    stroke: str = ""
    title: str = ""


@dataclass(frozen=True)
class Text:
    """One line of text; ``y`` is its baseline; ``halo`` keeps it legible over lines."""

    x: float
    y: float
    text: str
    size: float = 12.0
    fill: str = "#2b3440"
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False
    css: str = ""
    halo: bool = False


Shape = Rect | Line | Polygon | Circle | Text


@dataclass
class Drawing:
    """Shapes in order of painting.

    Attributes:
        width, height: In pixels.
        title: What it shows, in a few words (also for screen readers).
        desc: What can be read off it, in one sentence.
        shapes: The shapes.
        data: ``data-*`` attributes of the SVG element, for the report's script.
        clip: Shapes whose ``css`` begins with ``z`` (zoomable) are drawn inside this box (x, y, w, h).
    """

    width: float
    height: float
    title: str
    desc: str
    shapes: list[Shape] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    clip: tuple[float, float, float, float] | None = None

    def add(self, *shapes: Shape) -> None:
        """Append shapes."""
        self.shapes.extend(shapes)
