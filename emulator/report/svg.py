"""A drawing as SVG: inline for the report, or as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from emulator.report.drawing import Circle, Drawing, Line, Point, Polygon, Rect, Shape, Text

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


def number(value: float) -> str:
    """Return a coordinate with at most two decimals, without needless zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def to_svg(drawing: Drawing, ident: str, *, is_file: bool = False) -> str:
    """Return the drawing as an ``svg`` element.

    Args:
        drawing: What to draw.
        ident: Prefix of the element identifiers, unique in the page.
        is_file: Declare the namespace and the font, as a file of its own needs.
    """
    hatches = sorted({shape.fill for shape in drawing.shapes if isinstance(shape, Rect) and shape.hatch})
    names = {fill: f"{ident}-hatch{i}" for i, fill in enumerate(hatches)}
    data = "".join(f' data-{key}="{escape(value)}"' for key, value in sorted(drawing.data.items()))
    head = ' xmlns="http://www.w3.org/2000/svg"' if is_file else ""
    size = f'viewBox="0 0 {number(drawing.width)} {number(drawing.height)}"'
    if is_file:
        size += f' width="{number(drawing.width)}" height="{number(drawing.height)}"'
    parts = [
        f'<svg{head} id="{ident}" {size} role="img" aria-labelledby="{ident}-t {ident}-d" font-family="{_FONT}"{data}>',
        f'<title id="{ident}-t">{escape(drawing.title)}</title><desc id="{ident}-d">{escape(drawing.desc)}</desc>',
        f"<defs>{''.join(_pattern(names[fill], fill) for fill in hatches)}{_clip(drawing, ident)}</defs>",
    ]
    if is_file:
        parts.append(f'<rect width="{number(drawing.width)}" height="{number(drawing.height)}" fill="#ffffff"/>')
    is_inside = False
    for shape in drawing.shapes:
        wants_clip = drawing.clip is not None and getattr(shape, "css", "").startswith("z")
        if wants_clip != is_inside:
            parts.append(f'<g clip-path="url(#{ident}-clip)">' if wants_clip else "</g>")
            is_inside = wants_clip
        parts.append(_shape(shape, names))
    return "\n".join([*parts, *(["</g>"] if is_inside else []), "</svg>"])


def _pattern(name: str, fill: str) -> str:
    return (
        f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<rect width="6" height="6" fill="{fill}" fill-opacity="0.12"/><rect width="2" height="6" fill="{fill}"/>'
        "</pattern>"
    )


def _clip(drawing: Drawing, ident: str) -> str:
    if drawing.clip is None:
        return ""
    x, y, w, h = (number(value) for value in drawing.clip)
    return f'<clipPath id="{ident}-clip"><rect x="{x}" y="{y}" width="{w}" height="{h}"/></clipPath>'


def _shape(shape: Shape, hatches: dict[str, str]) -> str:
    if isinstance(shape, Rect):
        return _rect(shape, hatches)
    if isinstance(shape, Text):
        return _text(shape)
    css = f' class="{escape(shape.css)}"' if not isinstance(shape, Circle) and shape.css else ""
    if isinstance(shape, Line):
        dash = f' stroke-dasharray="{shape.dash}"' if shape.dash else ""
        paint = f'fill="none" stroke="{shape.stroke}" stroke-width="{number(shape.width)}"{dash}'
        return _titled(f'polyline{css} points="{_points(shape.points)}" {paint}', shape.title)
    edge = f' stroke="{shape.stroke}"' if shape.stroke else ""
    if isinstance(shape, Polygon):
        return _titled(f'polygon{css} points="{_points(shape.points)}" fill="{shape.fill}"{edge}', shape.title)
    place = f'cx="{number(shape.x)}" cy="{number(shape.y)}" r="{number(shape.r)}"'
    return _titled(f'circle {place} fill="{shape.fill}"{edge}', shape.title)


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)


def _titled(element: str, title: str) -> str:
    name = element.split(" ", 1)[0]
    return f"<{element}><title>{escape(title)}</title></{name}>" if title else f"<{element}/>"


def _rect(rect: Rect, hatches: dict[str, str]) -> str:
    fill = f"url(#{hatches[rect.fill]})" if rect.hatch else rect.fill
    place = (
        f'x="{number(rect.x)}" y="{number(rect.y)}" width="{number(rect.w)}" height="{number(rect.h)}" fill="{fill}"'
    )
    css = f' class="{escape(rect.css)}"' if rect.css else ""
    more = f' fill-opacity="{number(rect.opacity)}"' if rect.opacity < 1 else ""
    more += f' stroke="{rect.stroke}"' if rect.stroke else ""
    more += f' rx="{number(rect.radius)}"' if rect.radius else ""
    return _titled(f"rect{css} {place}{more}", rect.title)


def _text(text: Text) -> str:
    css = f' class="{escape(text.css)}"' if text.css else ""
    style = f'font-size="{number(text.size)}" fill="{text.fill}"'
    style += f' text-anchor="{text.anchor}"' if text.anchor != "start" else ""
    style += ' font-weight="600"' if text.bold else ""
    style += ' paint-order="stroke" stroke="#ffffff" stroke-width="4" stroke-linejoin="round"' if text.halo else ""
    return f'<text{css} x="{number(text.x)}" y="{number(text.y)}" {style}>{escape(text.text)}</text>'
