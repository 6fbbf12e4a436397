"""The time-line: what every device and the server did and when, with outages, power cuts and round boundaries."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from emulator.metrics.capacity import link_down_spans
from emulator.metrics.history import History, Job, Message, Transfer
from emulator.metrics.spans import Span
from emulator.plan import Node, Plan
from emulator.report import style
from emulator.report.drawing import Drawing, Line, Rect, Text
from emulator.units import format_bytes, format_duration

MOST_ROWS: Final = 40
MOST_BARS: Final = 2400
MOST_PANES: Final = 12
_LEFT, _TOP, _ROW, _BAR, _GAP = 170.0, 54.0, 24.0, 12.0, 8.0
_PLOT: Final = style.WIDTH - _LEFT - 16
_STALL: Final = "#00382a"


def draw_timeline(history: History, plan: Plan) -> tuple[Drawing, list[str]]:
    """Return the time-line and, where a run is too large to draw whole, notes saying what was left out."""
    chosen, notes = _choose_clients(history, plan)
    rounds, more = _choose_rounds(history, {node.name for node in chosen})
    last = max(rounds, default=None)
    end_s = max(history.end_s if last is None or not more else history.rounds[last].closed_s, 1e-9)
    nodes = [plan.server, *chosen]
    drawing = _frame(nodes, "Time-line of the whole run", format_duration(end_s))
    drawing.data = {"end": repr(end_s), "start": repr(plan.starts_at_s), "left": str(_LEFT), "plot": str(_PLOT)}
    drawing.clip = (_LEFT - 7, 24, _PLOT + 14, drawing.height - 24 - 30)
    pane = _Pane(history, plan, nodes, drawing, Window(0.0, end_s, _LEFT, _PLOT))
    pane.add_ticks()
    for number in rounds:
        pane.add_round(number)
    pane.add_rows(set(rounds))
    return drawing, notes + more


def draw_rounds(history: History, plan: Plan) -> tuple[Drawing, list[str]] | None:
    """Return up to ``MOST_PANES`` rounds side by side on one scale, each until its last reply; None without replies."""
    reach: dict[int, float] = {}
    for message in history.messages.values():
        found = history.rounds.get(-1 if message.round is None else message.round)
        if found and message.arrived_s is not None and message.fate == "replied":
            reach[found.number] = max(reach.get(found.number, 0.0), message.arrived_s - found.opened_s)
    every = -(-len(reach) // MOST_PANES)
    numbers = [number for i, number in enumerate(sorted(reach)) if i % every == 0]
    total_s = sum(reach[number] for number in numbers)
    if total_s <= 0:
        return None
    chosen, _ = _choose_clients(history, plan)
    nodes = [plan.server, *chosen]
    drawing = _frame(nodes, "Rounds side by side, each until its last reply", format_duration(total_s))
    scale, left = (_PLOT - _GAP * (len(numbers) - 1)) / total_s, _LEFT
    for number in numbers:
        begin_s, width = history.rounds[number].opened_s, reach[number] * scale
        pane = _Pane(history, plan, nodes, drawing, Window(begin_s, begin_s + reach[number], left, width))
        pane.add_round(number)
        pane.add_rows({number})
        pane.add_caption()
        left += width + _GAP
    return drawing, [f"Shown: one round in {every}."] if every > 1 else []


def _choose_clients(history: History, plan: Plan) -> tuple[list[Node], list[str]]:
    clients = list(plan.clients)
    if len(clients) <= MOST_ROWS:
        return clients, []
    trouble = Counter(message.node for message in history.messages.values() if message.fate != "replied")
    worst = {node.name for node in sorted(clients, key=lambda node: (-trouble[node.name], node.name))[:MOST_ROWS]}
    note = f"Shown: the {MOST_ROWS} of {len(clients)} clients with the most unanswered messages."
    return [node for node in clients if node.name in worst], [note]


def _choose_rounds(history: History, nodes: set[str]) -> tuple[list[int], list[str]]:
    bars: Counter[int] = Counter()
    for message in history.messages.values():
        if message.round is not None and message.node in nodes:
            bars[message.round] += 4
    chosen: list[int] = []
    total = 0
    for number in sorted(history.rounds):
        total += bars[number]
        if total > MOST_BARS and chosen:
            return chosen, [f"Shown: rounds {chosen[0]} to {chosen[-1]} of {len(history.rounds)}."]
        chosen.append(number)
    return chosen, []


def _frame(nodes: list[Node], title: str, reach: str) -> Drawing:
    """Return a drawing with a legend and a row for each node."""
    height = _TOP + _ROW * len(nodes) + 36
    desc = (
        f"One row for each of {len(nodes)} devices over {reach} of virtual time; bars are phases of a round, hatched "
        "bands are times when the device or its link was down."
    )
    drawing = Drawing(style.WIDTH, height, title, desc)
    colours = style.PHASE_COLOURS
    entries = [
        (colours["wait_s"], "wait", "fill"), (colours["download_s"], "download", "fill"),
        (colours["compute_s"], "compute", "fill"), (colours["upload_s"], "upload", "fill"),
        (_STALL, "transfer stalled", "hatch"), (colours["server_s"], "server works", "fill"),
        (style.POWER_CUT, "device down", "hatch"), (style.LINK_DOWN, "link down", "hatch"),
        (style.RED, "lost, late or failed", "cross"),
    ]  # fmt: skip
    style.legend(drawing, _LEFT, 4, entries)
    for row, node in enumerate(nodes):
        if row % 2 == 0:
            drawing.add(Rect(0, _TOP + _ROW * row, style.WIDTH, _ROW, "#f6f8fa"))
        label = style.shorten(node.name, 24)
        drawing.add(Text(_LEFT - 10, _TOP + _ROW * row + 16, label, 12, style.INK, "end", bold=row == 0))
    return drawing


class Window(NamedTuple):
    """A span of virtual time and where it stands in the drawing."""

    begin_s: float
    end_s: float
    left: float
    width: float


class _Pane:
    """Draws what happened in one window; a drawing holds one for the whole run, or one for each of several rounds."""

    def __init__(self, history: History, plan: Plan, nodes: list[Node], drawing: Drawing, window: Window) -> None:
        self.history, self.plan, self.nodes, self.drawing, self.window = history, plan, nodes, drawing, window
        self.begin_s, self.end_s = window.begin_s, window.end_s
        self.row = {node.name: row for row, node in enumerate(nodes)}
        self.bottom = self.y(len(nodes))
        self.last_label_x = 0.0

    def x(self, t_s: float) -> float:
        return self.window.left + self.window.width * (t_s - self.begin_s) / (self.end_s - self.begin_s)

    def y(self, row: int) -> float:
        return _TOP + _ROW * row

    def add_ticks(self) -> None:
        for t_s, label in style.clock_ticks(self.end_s, self.plan.starts_at_s, 9):
            place = self.x(t_s)
            self.drawing.add(Line([(place, _TOP), (place, self.bottom + 5)], "#c9d0d8", css="tick"))
            self.drawing.add(Text(place, self.bottom + 20, label, 11, style.SOFT, "middle", css="tick"))

    def add_caption(self) -> None:
        """Write the window's time of day and length under it, where they fit."""
        left, width = self.window.left, self.window.width
        self.drawing.add(Rect(left, _TOP, width, self.bottom - _TOP, "none", stroke="#c9d0d8"))
        if width > 34:
            clock = style.clock(self.begin_s, self.plan.starts_at_s).rpartition(" ")[2]
            self.drawing.add(Text(left + width / 2, self.bottom + 15, clock, 11, style.SOFT, "middle"))
        if width > 54:
            took = format_duration(self.end_s - self.begin_s)
            self.drawing.add(Text(left + width / 2, self.bottom + 29, took, 11, style.SOFT, "middle"))

    def add_rows(self, rounds: set[int]) -> None:
        for row, node in enumerate(self.nodes):
            self.add_bands(row, node)
        self.add_work(rounds)

    def add_round(self, number: int) -> None:
        found = self.history.rounds[number]
        left, right = self.x(found.opened_s), self.x(min(found.ended_s, self.end_s))
        shade = "#dfe5ec" if number % 2 else "#eef1f5"
        took = format_duration(found.ended_s - found.opened_s)
        tip = f"Round {number}: {self.clock(found.opened_s)} to {self.clock(found.ended_s)} ({took})"
        state = "" if found.is_closed else ", not closed"
        self.drawing.add(Rect(left, _TOP - 20, right - left, 17, shade, tip + state, css="z round"))
        middle = (left + right) / 2
        if middle - self.last_label_x > 15:
            self.drawing.add(Text(middle, _TOP - 8, str(number), 11, style.INK, "middle", css="zt"))
            self.last_label_x = middle
        for edge, colour in ((left, "#9aa5b1"), (right, "#cfd6dd")):
            self.drawing.add(Rect(edge - 0.5, _TOP - 3, 1, self.bottom - _TOP + 3, colour, css="zl"))

    def clock(self, t_s: float) -> str:
        return style.clock(t_s, self.plan.starts_at_s, seconds=True)

    def add_bands(self, row: int, node: Node) -> None:
        for start, end, cause in self.history.down.get(node.name, []):
            self._band(row, (start, end), style.POWER_CUT, f"{node.name} down: {cause or 'unknown cause'}")
        for hop in self.plan.routes.get(node.name, ()) if node.kind == "client" else ():
            link = self.plan.link_by_name[hop.link]
            for span in link_down_spans(link, hop.direction, self.plan, self.history):
                own = [outage for outage in self.plan.outages if outage.target == link.name]
                causes = sorted({o.cause for o in own if o.start_s < span[1] and o.end_s > span[0]})
                why = f" ({', '.join(causes)})" if causes else ""
                self._band(row, span, style.LINK_DOWN, f"{link.name} down{why}")

    def _band(self, row: int, span: Span, colour: str, what: str) -> None:
        start, end = max(span[0], self.begin_s), min(span[1], self.end_s)
        if end > start:
            tip = f"{what}, {self.clock(start)} to {self.clock(end)} ({format_duration(end - start)})"
            width = max(self.x(end) - self.x(start), 0.6)
            self.drawing.add(Rect(self.x(start), self.y(row) + 1, width, _ROW - 2, colour, tip, hatch=True, css="z"))

    def add_work(self, rounds: set[int]) -> None:
        for message in self.history.messages.values():
            if message.round in rounds and message.node in self.row:
                self._wait(message)
        for transfer in self.history.transfers:
            if transfer.round in rounds:
                self._transfer(transfer)
        for job in self.history.jobs:
            if job.node in self.row and (job.round in rounds or job.node == self.plan.server.name):
                self._job(job)
        for message in self.history.messages.values():
            if message.round in rounds and message.node in self.row and message.fate not in ("replied", "open"):
                self._cross(message)

    def _bar(self, name: str, span: Span, colour: str, tip: str, height: float = _BAR, *, hatch: bool = False) -> None:
        start, end = max(span[0], self.begin_s), min(span[1], self.end_s)
        if end < start:
            return
        top = self.y(self.row[name]) + (_ROW - height) / 2
        text = f"{tip}\n{self.clock(start)} to {self.clock(end)} ({format_duration(end - start)})"
        self.drawing.add(
            Rect(self.x(start), top, max(self.x(end) - self.x(start), 0.05), height, colour, text, hatch, "z")
        )

    def _wait(self, message: Message) -> None:
        closed = self.history.rounds.get(-1 if message.round is None else message.round)
        settled = message.settled_s if message.arrived_s is None else message.arrived_s
        end = settled if settled is not None else (closed.ended_s if closed else self.end_s)
        tip = f"{message.node}, round {message.round}: {message.type} message, {message.fate}"
        if message.reason:
            tip += f" ({message.reason})"
        self._bar(message.node, (message.pushed_s, max(end, message.pushed_s)), style.PHASE_COLOURS["wait_s"], tip, 5)

    def _transfer(self, transfer: Transfer) -> None:
        client = transfer.peer if transfer.direction == "download" else transfer.node
        if client not in self.row:
            return
        colour = style.PHASE_COLOURS["download_s" if transfer.direction == "download" else "upload_s"]
        what = f"{transfer.direction} of {format_bytes(transfer.size_bytes)}, {transfer.outcome}"
        tip = f"{client}, round {transfer.round}: {what}"
        tip += f" ({transfer.reason})" if transfer.reason else ""
        for start, end, cause in transfer.stalls:
            tip += f"\nstalled {format_duration(end - start)}: {cause}"
        self._bar(client, transfer.span, colour, tip)
        for start, end, _ in transfer.stalls:
            self._bar(client, (start, end), _STALL, tip, hatch=True)

    def _job(self, job: Job) -> None:
        is_server = job.node == self.plan.server.name
        tip = f"{job.node}{f', round {job.round}' if job.round is not None else ''}: {job.work}, {job.outcome}"
        tip += f" ({job.reason})" if job.reason else ""
        self._bar(job.node, job.span, style.PHASE_COLOURS["server_s" if is_server else "compute_s"], tip)

    def _cross(self, message: Message) -> None:
        if message.settled_s is not None and self.begin_s <= message.settled_s <= self.end_s:
            place = (self.x(message.settled_s), self.y(self.row[message.node]) + 16)
            self.drawing.add(Text(*place, "✕", 11, style.RED, "middle", bold=True, css="zt"))
