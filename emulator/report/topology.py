"""The network as a picture: the server in the middle, its neighbours in rings, links by the bytes they carried."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from emulator.plan import Link, Node, Plan
from emulator.report import style
from emulator.report.drawing import Circle, Drawing, Line, Polygon, Rect, Text
from emulator.report.markup import rate_range
from emulator.units import format_bytes

MOST_NODES: Final = 600
_BLUES: Final = ("#b9d6ea", "#7fb5da", "#4292c6", "#1f6fb2", "#08417c")
_IDLE: Final = "#c5ccd5"
_HEIGHT: Final = 620.0
_FAN: Final = 0.2


def layout(plan: Plan) -> dict[str, tuple[float, float]]:
    """Return a place for every node in the unit disc.

    A node's ring is its number of hops from the middle and its angle the middle of its subtree's share; sensors that
    end a branch stand in a fan around the node they send to.
    """
    children, depth = _tree(plan)
    is_leaf_sensor = {node.name: node.kind == "sensor" and not children[node.name] for node in plan.nodes}
    weight: dict[str, float] = {}
    for name in sorted(depth, key=lambda name: -depth[name]):
        weight[name] = max(1.0, sum(weight[child] for child in children[name]))
    rings = max((hops for name, hops in depth.items() if not is_leaf_sensor[name]), default=0) or 1
    reach = 1.0 - _FAN if any(is_leaf_sensor.values()) else 1.0
    places: dict[str, tuple[float, float]] = {}
    root = next(name for name, hops in depth.items() if hops == 0)
    # The first child stands at the top: the server, where the network hangs on the router behind it.
    first = math.pi * weight[children[root][0]] / weight[root] if children[root] else 0.0
    todo = [(root, -math.pi / 2 - first, 1.5 * math.pi - first)]
    while todo:
        name, low, high = todo.pop()
        angle, radius = (low + high) / 2, reach * (depth[name] / rings) ** 0.85
        places[name] = (radius * math.cos(angle), radius * math.sin(angle))
        _fan_out(places, name, angle, [child for child in children[name] if is_leaf_sensor[child]])
        share = (high - low) / weight[name]
        for child in children[name]:
            if not is_leaf_sensor[child]:
                todo.append((child, low, low + share * weight[child]))
            low += share * weight[child]
    return places


def _fan_out(places: dict[str, tuple[float, float]], parent: str, angle: float, sensors: list[str]) -> None:
    x, y = places[parent]
    step = min(0.5, 2.6 / max(len(sensors), 1))
    for i, name in enumerate(sensors):
        turn = angle + (i - (len(sensors) - 1) / 2) * step
        places[name] = (x + _FAN * math.cos(turn), y + _FAN * math.sin(turn))


def _tree(plan: Plan) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Return children and depth of each node in the breadth-first tree from the middle of the picture.

    That is the server, or the router it hangs on where that is its only link. Nodes out of reach hang on the middle.
    """
    neighbours: dict[str, list[str]] = defaultdict(list)
    for link in plan.links:
        neighbours[link.leaf].append(link.root)
        neighbours[link.root].append(link.leaf)
    beside = neighbours[plan.server.name]
    is_behind_router = len(beside) == 1 and len(neighbours[beside[0]]) > 2
    root = beside[0] if is_behind_router else plan.server.name
    children: dict[str, list[str]] = defaultdict(list)
    depth, queue = {root: 0}, deque([root])
    while queue:
        name = queue.popleft()
        for other in sorted(neighbours[name], key=lambda name: (name != plan.server.name, name)):
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
    hidden, notes = _hidden(plan)
    kinds = [kind for kind in ("server", "client", "router", "sensor") if any(n.kind == kind for n in plan.nodes)]
    count = ", ".join(f"{sum(n.kind == kind for n in plan.nodes)} {kind}s" for kind in kinds)
    drawing = Drawing(style.WIDTH, _HEIGHT, f"Network of {plan.scenario}", f"{count}; {len(plan.links)} links.")
    radius_x, radius_y = style.WIDTH / 2 - 190, _HEIGHT / 2 - 62
    places = {
        name: (style.WIDTH / 2 + x * radius_x, _HEIGHT / 2 + 14 + y * radius_y) for name, (x, y) in layout(plan).items()
    }
    sensors = {node.name for node in plan.nodes if node.kind == "sensor"}
    trunks = [link.name for link in plan.links if not sensors & {link.leaf, link.root}]
    most = max((loads.get(name, 0.0) for name in trunks), default=0.0) if loads else 0.0
    shown = [node for node in plan.nodes if node.name not in hidden]
    scale = min(1.0, math.sqrt(80 / max(len(shown), 1)))
    for link in plan.links:
        if link.leaf not in hidden and link.root not in hidden:
            carried = None if loads is None else loads.get(link.name, 0.0)
            line = _link(link, places, carried, most, scale)
            # A sensor's stream never leaves its site: drawn thin, whatever it carries.
            drawing.add(replace(line, stroke=_IDLE, width=1.2 * scale) if sensors & {link.leaf, link.root} else line)
    for node in shown:
        drawing.add(_node(node, *places[node.name], 1.0 if node.kind == "server" else scale))
    _add_labels(drawing, shown, places)
    _add_legend(drawing, kinds, most)
    return drawing, notes


def _hidden(plan: Plan) -> tuple[set[str], list[str]]:
    """Return the nodes not drawn in a large network: sensors first, then all but every n-th client."""
    if len(plan.nodes) <= MOST_NODES:
        return set(), []
    hidden = {node.name for node in plan.nodes if node.kind == "sensor"}
    notes = [f"{len(hidden)} sensors are not drawn."] if hidden else []
    every = -(-len(plan.clients) // MOST_NODES)
    if every > 1:
        hidden |= {client.name for i, client in enumerate(plan.clients) if i % every}
        notes.append(f"Of {len(plan.clients)} clients, one in {every} is drawn.")
    return hidden, notes


def _link(
    link: Link, places: Mapping[str, tuple[float, float]], carried: float | None, most: float, scale: float
) -> Line:
    rates = f"{rate_range(link.up)} up, {rate_range(link.down)} down"
    tip = f"{link.name} ({link.profile}): {rates}"
    ends = [places[link.leaf], places[link.root]]
    if carried is None:
        return Line(ends, "#7b8794", 1.4 * scale, title=tip)
    share = min(1.0, math.sqrt(carried / most)) if most > 0 else 0.0
    colour = _BLUES[min(len(_BLUES) - 1, int(share * len(_BLUES)))] if carried > 0 else _IDLE
    return Line(
        ends,
        colour,
        (1.0 + 6.0 * share) * scale,
        "" if carried > 0 else "3 3",
        f"{tip}; carried {format_bytes(carried)}",
    )


def _node(node: Node, x: float, y: float, scale: float) -> Rect | Circle | Polygon:
    tip = f"{node.name}: {node.kind}" + (f", {node.device.profile}" if node.device else "")
    if node.kind == "server":
        r = 13 * scale
        return Rect(x - r, y - r, 2 * r, 2 * r, "#0b3c5d", tip, stroke="#ffffff", radius=3)
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
            drawing.add(
                Text(x, y - 20 if y < _HEIGHT / 2 else y + 30, text, 12, style.INK, "middle", bold=True, halo=True)
            )
            continue
        is_right, is_low = x >= middle, y > _HEIGHT / 2 + 14
        if abs(x - middle) < abs(y - _HEIGHT / 2):
            # Near the vertical its link and its sensors run up and down: the sides are free.
            place, anchor = (x + (14 if is_right else -14), y + 4), "start" if is_right else "end"
        else:
            place, anchor = (x + (8 if is_right else -8), y + (22 if is_low else -14)), "end" if is_right else "start"
        drawing.add(Text(*place, text, 11.5, style.INK, anchor, halo=True))  # type: ignore[arg-type]  # one of three


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
