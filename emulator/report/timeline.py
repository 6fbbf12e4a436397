"""The time-line: what every device and the server did and when, with outages, power cuts and round boundaries."""

from __future__ import annotations

from collections import Counter
from typing import Final

from emulator.metrics.capacity import link_down_spans
from emulator.metrics.history import History, Job, Message, Transfer
from emulator.metrics.spans import Span
from emulator.plan import Node, Plan
from emulator.report import style
from emulator.report.drawing import Drawing, Line, Rect, Text
from emulator.units import format_bytes, format_duration

MOST_ROWS: Final = 40
MOST_BARS: Final = 3200
_LEFT, _TOP, _ROW, _BAR = 170.0, 54.0, 24.0, 12.0
_STALL: Final = "#00382a"


def draw_timeline(history: History, plan: Plan) -> tuple[Drawing, list[str]]:
    """Return the time-line and, where a run is too large to draw whole, notes saying what was left out."""
    chosen, notes = _choose_clients(history, plan)
    rounds, more = _choose_rounds(history, {node.name for node in chosen})
    notes += more
    last = max(rounds, default=None)
    end_s = history.end_s if last is None or not more else history.rounds[last].closed_s
    chart = _Timeline(history, plan, max(end_s, 1e-9), [plan.server, *chosen])
    for number in rounds:
        chart.add_round_boundary(number)
    for row, node in enumerate(chart.nodes):
        chart.add_bands(row, node)
    chart.add_work(set(rounds) | {None})
    return chart.drawing, notes


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


class _Timeline:
    def __init__(self, history: History, plan: Plan, end_s: float, nodes: list[Node]) -> None:
        self.history, self.plan, self.end_s, self.nodes = history, plan, end_s, nodes
        self.row = {node.name: row for row, node in enumerate(nodes)}
        self.width = style.WIDTH - _LEFT - 16
        height = _TOP + _ROW * len(nodes) + 34
        self.drawing = Drawing(
            style.WIDTH, height, "Time-line of all devices",
            f"One row for each of {len(nodes)} devices over {format_duration(end_s)} of virtual time; bars are "
            "phases of a round, hatched bands are times when the device or its link was down.",
            data={"end": repr(end_s), "start": repr(plan.starts_at_s), "left": str(_LEFT), "plot": str(self.width)},
            clip=(_LEFT, 24, self.width, height - 24 - 30),
        )  # fmt: skip
        self._add_frame()

    def x(self, t_s: float) -> float:
        return _LEFT + self.width * t_s / self.end_s

    def y(self, row: int) -> float:
        return _TOP + _ROW * row

    def _add_frame(self) -> None:
        colours = style.PHASE_COLOURS
        entries = [
            (colours["wait_s"], "wait", "fill"), (colours["download_s"], "download", "fill"),
            (colours["compute_s"], "compute", "fill"), (colours["upload_s"], "upload", "fill"),
            (_STALL, "transfer stalled", "hatch"), (colours["server_s"], "server works", "fill"),
            (style.POWER_CUT, "device down", "hatch"),
            (style.LINK_DOWN, "link down", "hatch"), (style.RED, "lost, late or failed", "cross"),
        ]  # fmt: skip
        style.legend(self.drawing, _LEFT, 4, entries)
        bottom = self.y(len(self.nodes))
        for row, node in enumerate(self.nodes):
            if row % 2 == 0:
                self.drawing.add(Rect(0, self.y(row), style.WIDTH, _ROW, "#f6f8fa"))
            label = style.shorten(node.name, 24)
            self.drawing.add(Text(_LEFT - 10, self.y(row) + 16, label, 12, style.INK, "end", bold=row == 0))
        for t_s, label in style.clock_ticks(self.end_s, self.plan.starts_at_s, 9):
            place = self.x(t_s)
            self.drawing.add(Line([(place, _TOP), (place, bottom + 5)], "#c9d0d8", css="tick"))
            self.drawing.add(Text(place, bottom + 20, label, 11, style.SOFT, "middle", css="tick"))

    def add_round_boundary(self, number: int) -> None:
        found = self.history.rounds[number]
        left, right = self.x(found.opened_s), self.x(found.ended_s)
        bottom = _ROW * len(self.nodes)
        shade = "#dfe5ec" if number % 2 else "#eef1f5"
        took = format_duration(found.ended_s - found.opened_s)
        tip = f"Round {number}: {self.clock(found.opened_s)} to {self.clock(found.ended_s)} ({took})"
        state = "" if found.is_closed else ", not closed"
        self.drawing.add(Rect(left, _TOP - 20, right - left, 17, shade, tip + state, css="z round"))
        if right - left > 16:
            self.drawing.add(Text((left + right) / 2, _TOP - 8, str(number), 11, style.INK, "middle", css="zt"))
        for edge in (left, right):
            self.drawing.add(Rect(edge - 0.5, _TOP - 20, 1, bottom + 20, "#9aa5b1", css="zl"))

    def clock(self, t_s: float) -> str:
        return style.clock(t_s, self.plan.starts_at_s, seconds=True)

    def add_bands(self, row: int, node: Node) -> None:
        for start, end, cause in self.history.down.get(node.name, []):
            self._band(row, (start, end), style.POWER_CUT, f"{node.name} down: {cause or 'unknown cause'}")
        for hop in self.plan.routes.get(node.name, ()) if node.kind == "client" else ():
            link = self.plan.link_by_name[hop.link]
            for span in link_down_spans(link, hop.direction, self.plan, self.history):
                causes = sorted(
                    {
                        o.cause
                        for o in self.plan.outages
                        if o.target == link.name and o.start_s < span[1] and o.end_s > span[0]
                    }
                )
                why = f" ({', '.join(causes)})" if causes else ""
                self._band(row, span, style.LINK_DOWN, f"{link.name} down{why}")

    def _band(self, row: int, span: Span, colour: str, what: str) -> None:
        start, end = span[0], min(span[1], self.end_s)
        if end > start:
            tip = f"{what}, {self.clock(start)} to {self.clock(end)} ({format_duration(end - start)})"
            width = max(self.x(end) - self.x(start), 0.6)
            self.drawing.add(Rect(self.x(start), self.y(row) + 1, width, _ROW - 2, colour, tip, hatch=True, css="z"))

    def add_work(self, rounds: set[int | None]) -> None:
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
        start, end = span[0], min(span[1], self.end_s)
        if end < start:
            return
        top = self.y(self.row[name]) + (_ROW - height) / 2
        text = f"{tip}\n{self.clock(start)} to {self.clock(end)} ({format_duration(end - start)})"
        self.drawing.add(
            Rect(self.x(start), top, max(self.x(end) - self.x(start), 0.05), height, colour, text, hatch, "z")
        )

    def _wait(self, message: Message) -> None:
        closed = self.history.rounds.get(-1 if message.round is None else message.round)
        end = message.settled_s if message.settled_s is not None else (closed.closed_s if closed else self.end_s)
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
        if message.settled_s is not None and message.settled_s <= self.end_s:
            place = (self.x(message.settled_s), self.y(self.row[message.node]) + 16)
            self.drawing.add(Text(*place, "✕", 11, style.RED, "middle", bold=True, css="zt"))
