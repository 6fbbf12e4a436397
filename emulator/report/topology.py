"""The network as a picture: the server in the middle, rings of neighbours around it, links by the bytes they carried."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Final

from emulator.plan import Link, Node, Plan
from emulator.report import style
from emulator.report.drawing import Circle, Drawing, Line, Polygon, Rect, Text
from emulator.units import format_bytes, format_rate

MOST_NODES: Final = 600
_BLUES: Final = ("#b9d6ea", "#7fb5da", "#4292c6", "#1f6fb2", "#08417c")
_IDLE: Final = "#c5ccd5"
_HEIGHT: Final = 620.0


def layout(plan: Plan) -> dict[str, tuple[float, float]]:
    """Return a place for every node in the unit disc: its ring by hops from the server, its angle by its subtree's share."""
    children, depth = _tree(plan)
    weight: dict[str, float] = {}
    for name in sorted(depth, key=lambda name: -depth[name]):
        weight[name] = max(1.0, sum(weight[child] for child in children[name]))
    rings = max(depth.values(), default=0) or 1
    places: dict[str, tuple[float, float]] = {}
    todo = [(plan.server.name, -math.pi / 2, 1.5 * math.pi)]
    while todo:
        name, low, high = todo.pop()
        angle, radius = (low + high) / 2, (depth[name] / rings) ** 0.85
        places[name] = (radius * math.cos(angle), radius * math.sin(angle))
        share = (high - low) / weight[name]
        for child in children[name]:
            todo.append((child, low, low + share * weight[child]))
            low += share * weight[child]
    return places


def _tree(plan: Plan) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Return each node's children and depth in the breadth-first tree from the server; nodes out of reach hang on it."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    for link in plan.links:
        neighbours[link.leaf].append(link.root)
        neighbours[link.root].append(link.leaf)
    root = plan.server.name
    children: dict[str, list[str]] = defaultdict(list)
    depth, queue = {root: 0}, deque([root])
    while queue:
        name = queue.popleft()
        for other in sorted(neighbours[name]):
            if other not in depth:
                depth[other] = depth[name] + 1
                children[name].append(other)
                queue.append(other)
    for node in plan.nodes:
        if node.name not in depth:
            depth[node.name] = 1
            children[root].append(node.name)
    return children, depth


def draw_network(plan: Plan, loads: Mapping[str, float] | None = None) -> tuple[Drawing, list[str]]:
    """Return the network and notes; ``loads`` holds bytes by link name (none: all links alike)."""
    hidden = {node.name for node in plan.nodes if node.kind == "sensor"} if len(plan.nodes) > MOST_NODES else set()
    notes = [f"{len(hidden)} sensors are not drawn."] if hidden else []
    kinds = [kind for kind in ("server", "client", "router", "sensor") if any(n.kind == kind for n in plan.nodes)]
    count = ", ".join(f"{sum(n.kind == kind for n in plan.nodes)} {kind}s" for kind in kinds)
    drawing = Drawing(style.WIDTH, _HEIGHT, f"Network of {plan.scenario}", f"{count}; {len(plan.links)} links.")
    radius_x, radius_y = style.WIDTH / 2 - 190, _HEIGHT / 2 - 62
    places = {
        name: (style.WIDTH / 2 + x * radius_x, _HEIGHT / 2 + 14 + y * radius_y) for name, (x, y) in layout(plan).items()
    }
    most = max(loads.values(), default=0.0) if loads else 0.0
    for link in plan.links:
        if link.leaf not in hidden and link.root not in hidden:
            drawing.add(_link(link, places, None if loads is None else loads.get(link.name, 0.0), most))
    shown = [node for node in plan.nodes if node.name not in hidden]
    small = 1.0 if len(shown) < 80 else 0.6
    for node in shown:
        drawing.add(_node(node, *places[node.name], small))
    _add_labels(drawing, shown, places)
    _add_legend(drawing, kinds, most)
    return drawing, notes


def _link(link: Link, places: Mapping[str, tuple[float, float]], carried: float | None, most: float) -> Line:
    rates = f"{format_rate(link.up[0].rate_bps)} up, {format_rate(link.down[0].rate_bps)} down at first"
    tip = f"{link.name} ({link.profile}): {rates}"
    ends = [places[link.leaf], places[link.root]]
    if carried is None:
        return Line(ends, "#7b8794", 1.4, title=tip)
    share = math.sqrt(carried / most) if most > 0 else 0.0
    colour = _BLUES[min(len(_BLUES) - 1, int(share * len(_BLUES)))] if carried > 0 else _IDLE
    return Line(ends, colour, 1.0 + 6.0 * share, "" if carried > 0 else "3 3", f"{tip}; carried {format_bytes(carried)}")


def _node(node: Node, x: float, y: float, scale: float) -> Rect | Circle | Polygon:
    tip = f"{node.name}: {node.kind}" + (f", {node.device.profile}" if node.device else "")
    if node.kind == "server":
        return Rect(x - 13, y - 13, 26, 26, "#0b3c5d", tip, stroke="#ffffff", radius=3)
    if node.kind == "client":
        return Circle(x, y, 9 * scale, style.PHASE_COLOURS["compute_s"], "#ffffff", tip)
    if node.kind == "router":
        r = 8 * scale
        return Polygon([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], "#ffffff", "#3f4753", tip)
    return Circle(x, y, 3.4 * scale, "#7b8794", "#ffffff", tip)


def _add_labels(drawing: Drawing, shown: list[Node], places: Mapping[str, tuple[float, float]]) -> None:
    """Name servers, routers and clients; nothing where there are too many to read."""
    named = [node for node in shown if node.kind != "sensor"]
    if len(named) > 60:
        named = [node for node in named if node.kind == "server"]
    middle = style.WIDTH / 2
    for node in named:
        x, y = places[node.name]
        text = style.shorten(node.name, 22)
        if node.kind == "server":
            drawing.add(Text(x, y + 28, text, 12, style.INK, "middle", bold=True))
            continue
        # Beside the node and a little outwards, where no link of a star runs.
        below = y > _HEIGHT / 2 + 14
        drawing.add(Text(x + (12 if x >= middle else -12), y + (16 if below else -9), text, 11.5, style.INK,
                         "start" if x >= middle else "end"))


def _add_legend(drawing: Drawing, kinds: list[str], most: float) -> None:
    x = 16.0
    for kind in kinds:
        sample = Node(kind, kind)  # type: ignore[arg-type]  # one of the four kinds
        drawing.add(_node(sample, x + 10, 20, 0.8), Text(x + 28, 24, kind, 11.5, style.SOFT))
        x += 50 + 6.5 * len(kind)
    if most > 0:
        drawing.add(Text(style.WIDTH - 230, 24, "bytes carried: 0", 11.5, style.SOFT, "end"))
        for i, colour in enumerate(_BLUES):
            drawing.add(Rect(style.WIDTH - 222 + 26 * i, 15, 26, 10, colour))
        drawing.add(Text(style.WIDTH - 84, 24, format_bytes(most), 11.5, style.SOFT))
