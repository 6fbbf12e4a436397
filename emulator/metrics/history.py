"""The event log read back as things with a beginning and an end: messages, transfers, jobs, spans of being down.

Every table and figure starts from a ``History``. A log that stops half-way (an interrupted run) is no special case:
what is still open ends at the time of the last row and says so in its ``outcome``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from emulator.compute.costs import PROTECTION_UNITS
from emulator.events import KINDS, Event
from emulator.metrics.spans import Span
from emulator.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

Log: TypeAlias = "pd.DataFrame | Iterable[Event]"
"""Rows of an event log: a frame with the columns of ``Event``, or the rows themselves in order."""

OPEN = "open"
_STRINGS = ("kind", "node", "peer", "link", "msg", "unit", "note")


@dataclass(slots=True)
class Message:
    """One message to a client and what became of it.

    Attributes:
        fate: ``replied``, ``failed`` (an error came back), ``late`` (after the ServerApp stopped waiting), ``lost``
            (dropped, or its work or a transfer was lost and no reply followed) or ``open``.
        reason: Why there was no reply.
        settled_s: Time of the row that decided its fate; for a reply, when the ServerApp was handed it.
        arrived_s: When its upload ended; the ServerApp may be handed the reply much later, with all others.
    """

    msg: str
    node: str
    type: str
    round: int | None
    pushed_s: float
    size_bytes: int
    fate: str = OPEN
    reason: str = ""
    settled_s: float | None = None
    arrived_s: float | None = None


@dataclass(slots=True)
class Transfer:
    """One transfer; ``outcome`` is ``delivered``, ``lost`` or ``open``; ``stalls`` are spans with what was down."""

    msg: str
    node: str
    peer: str
    direction: str
    round: int | None
    started_s: float
    size_bytes: int
    ended_s: float = 0.0
    delivered_bytes: int | None = None
    outcome: str = OPEN
    reason: str = ""
    stalls: tuple[tuple[float, float, str], ...] = ()

    @property
    def span(self) -> Span:
        """Start and end."""
        return (self.started_s, self.ended_s)


@dataclass(slots=True)
class Job:
    """One computation; ``outcome`` is ``finished``, ``lost`` or ``open``; ``work`` is train, evaluate, aggregate ..."""

    msg: str
    node: str
    work: str
    round: int | None
    started_s: float
    ended_s: float = 0.0
    outcome: str = OPEN
    reason: str = ""
    protection_s: float = 0.0

    @property
    def span(self) -> Span:
        """Start and end."""
        return (self.started_s, self.ended_s)


@dataclass
class Round:
    """One round.

    Attributes:
        number: As the ServerApp counts.
        opened_s: The first messages were pushed.
        closed_s: The ServerApp began another round or ended; the log's end where the log stops inside the round.
        ended_s: The round's last reply, server work or metric, after which the ServerApp paused until it closed. A
            round in which clients are missing and that reports no metric after its last reply ends when it closes.
        is_closed: Whether the log has the row that closes it.
    """

    number: int
    opened_s: float
    closed_s: float = 0.0
    ended_s: float = 0.0
    is_closed: bool = False

    @property
    def span(self) -> Span:
        """From opening to the end of its work, the pause after it left out."""
        return (self.opened_s, self.ended_s)


@dataclass
class History:
    """The log as things.

    ``rates`` holds each link direction's ``link_changed`` rows as (t_s, rate in bit/s, cause); ``transfer_model`` is empty
    where nothing was sent. ``work`` holds seconds by work unit of a privacy mechanism and node.
    """

    end_s: float = 0.0
    status: str = "incomplete"
    server: str = ""
    rounds: dict[int, Round] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    down: dict[str, list[tuple[float, float, str]]] = field(default_factory=lambda: defaultdict(list))
    rates: dict[tuple[str, str], list[tuple[float, float, str]]] = field(default_factory=lambda: defaultdict(list))
    loads: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    metrics: list[Event] = field(default_factory=list)
    privacy: list[Event] = field(default_factory=list)
    ledger: list[Event] = field(default_factory=list)
    work: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    notices: list[str] = field(default_factory=list)
    transfer_model: str = ""

    def down_spans(self, node: str) -> list[Span]:
        """Spans in which ``node`` was down."""
        return [(start, end) for start, end, _ in self.down.get(node, [])]


def rows(events: pd.DataFrame) -> Iterator[Event]:
    """Yield the rows of a frame of events in order of ``seq``, with missing strings empty and missing numbers None."""
    if "seq" in events and not events["seq"].is_monotonic_increasing:
        events = events.sort_values("seq", kind="stable")
    columns: list[list[Any]] = []
    for name in Event._fields:
        values: list[Any] = events[name].tolist() if name in events else [None] * len(events)
        if name in _STRINGS:
            values = ["" if _is_missing(value) else str(value) for value in values]
        elif name in ("round", "size_bytes", "seq"):
            values = [None if _is_missing(value) else int(value) for value in values]
        else:
            values = [None if _is_missing(value) else float(value) for value in values]
        columns.append(values)
    for fields in zip(*columns, strict=True):
        yield Event(*fields)


def _is_missing(value: Any) -> bool:
    # NA first: it has no truth value, so comparing it to itself fails.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def read_history(events: Log, plan: Plan) -> History:
    """Return the history of a log, whole, interrupted or empty; ``read_events`` gives one that need not fit into memory."""
    reader = HistoryReader(plan)
    listed = rows(cast("pd.DataFrame", events)) if hasattr(events, "columns") else events
    for event in listed:
        reader.read(event)
    return reader.finish()


class HistoryReader:
    """Pairs the rows that begin something with the rows that end it, one row after the other."""

    def __init__(self, plan: Plan) -> None:
        self.history = History(server=plan.server.name)
        self._handlers = {kind: getattr(self, f"_on_{kind}", None) for kind in KINDS}
        self._transfers: dict[tuple[str, str, str], Transfer] = {}
        self._jobs: dict[tuple[str, str], list[Job]] = defaultdict(list)
        self._stalls: dict[tuple[str, str, str], tuple[float, str]] = {}
        self._down: dict[str, tuple[float, str]] = {}
        self._round: int | None = None

    def follow(self, events: Iterable[Event]) -> Iterator[Event]:
        """Read the rows as they pass by, so that a long log is gone through once."""
        for event in events:
            self.read(event)
            yield event

    def read(self, event: Event) -> None:
        """Take in the next row."""
        self.history.end_s = max(self.history.end_s, event.t_s)
        handler = self._handlers.get(event.kind)
        if handler is not None:
            handler(event)

    def _round_of(self, event: Event) -> int | None:
        if event.round is not None:
            return event.round
        message = self.history.messages.get(event.msg)
        return message.round if message else self._round

    def _on_run_finished(self, event: Event) -> None:
        self.history.status = event.note or "finished"

    def _on_round_opened(self, event: Event) -> None:
        if event.round is not None:
            self._round = event.round
            self.history.rounds[event.round] = Round(event.round, event.t_s)

    def _on_round_closed(self, event: Event) -> None:
        found = self.history.rounds.get(-1 if event.round is None else event.round)
        if found:
            found.closed_s, found.is_closed = event.t_s, True

    def _on_message_pushed(self, event: Event) -> None:
        size = event.size_bytes or 0
        number = event.round if event.round is not None else self._round
        self.history.messages[event.msg] = Message(event.msg, event.node, event.note, number, event.t_s, size)

    def _settle(self, event: Event, fate: str) -> None:
        message = self.history.messages.get(event.msg)
        # A reply outranks an earlier loss (the transfer was tried again); nothing outranks a reply.
        if message is None or message.fate in ("replied", "failed", "late"):
            return
        message.fate, message.settled_s = fate, event.t_s
        message.reason = "" if fate == "replied" else event.note

    def _on_message_dropped(self, event: Event) -> None:
        self._settle(event, "lost")

    def _on_reply_received(self, event: Event) -> None:
        self._settle(event, "replied" if event.note in ("", "ok") else "failed")

    def _on_reply_late(self, event: Event) -> None:
        self._settle(event, "late")

    def _on_transfer_started(self, event: Event) -> None:
        direction, size, number = event.note, event.size_bytes or 0, self._round_of(event)
        transfer = Transfer(event.msg, event.node, event.peer, direction, number, event.t_s, size)
        self.history.transfers.append(transfer)
        self._transfers[(event.node, event.peer, event.msg)] = transfer

    def _on_transfer_stalled(self, event: Event) -> None:
        self._stalls.setdefault((event.node, event.peer, event.msg), (event.t_s, event.note or event.link))

    def _on_transfer_resumed(self, event: Event) -> None:
        self._end_stall((event.node, event.peer, event.msg), event.t_s)

    def _end_stall(self, key: tuple[str, str, str], t_s: float) -> None:
        stall, transfer = self._stalls.pop(key, None), self._transfers.get(key)
        if stall and transfer:
            transfer.stalls += ((stall[0], t_s, stall[1]),)

    def _end_transfer(self, event: Event, outcome: str) -> None:
        key = (event.node, event.peer, event.msg)
        self._end_stall(key, event.t_s)
        transfer = self._transfers.pop(key, None)
        if transfer is None:
            return
        transfer.ended_s, transfer.outcome, transfer.delivered_bytes = event.t_s, outcome, event.size_bytes or 0
        transfer.reason = event.note if outcome == "lost" else ""
        message = self.history.messages.get(event.msg)
        if message and outcome == "delivered" and transfer.direction == "upload":
            message.arrived_s = event.t_s

    def _on_transfer_finished(self, event: Event) -> None:
        self._end_transfer(event, "delivered")

    def _on_transfer_lost(self, event: Event) -> None:
        self._end_transfer(event, "lost")
        self._settle(event, "lost")

    def _on_compute_started(self, event: Event) -> None:
        job = Job(event.msg, event.node, event.note, self._round_of(event), event.t_s)
        self.history.jobs.append(job)
        self._jobs[(event.node, event.msg)].append(job)

    def _end_job(self, event: Event, outcome: str) -> None:
        running = self._jobs.get((event.node, event.msg))
        if not running:
            return
        same = [job for job in running if outcome == "finished" and job.work == event.note]
        job = (same or running)[0]
        running.remove(job)
        if not running:
            del self._jobs[(event.node, event.msg)]
        job.ended_s, job.outcome = event.t_s, outcome
        job.reason = event.note if outcome == "lost" else ""

    def _on_work_part(self, event: Event) -> None:
        self.history.work[event.note, event.node] += event.value or 0.0
        if event.note in PROTECTION_UNITS:
            for job in self._jobs.get((event.node, event.msg), [])[:1]:
                job.protection_s += event.value or 0.0

    def _on_compute_finished(self, event: Event) -> None:
        self._end_job(event, "finished")

    def _on_compute_lost(self, event: Event) -> None:
        self._end_job(event, "lost")
        self._settle(event, "lost")

    def _on_node_down(self, event: Event) -> None:
        self._down.setdefault(event.node, (event.t_s, event.note))

    def _on_node_up(self, event: Event) -> None:
        if event.node in self._down:
            start, cause = self._down.pop(event.node)
            self.history.down[event.node].append((start, event.t_s, cause))

    def _on_link_changed(self, event: Event) -> None:
        directions = (event.peer,) if event.peer in ("up", "down") else ("up", "down")
        for direction in directions:
            self.history.rates[(event.link, direction)].append((event.t_s, event.value or 0.0, event.note))

    def _on_link_load(self, event: Event) -> None:
        self.history.loads[(event.link, event.peer, event.note)] += event.size_bytes or 0

    def _on_metric(self, event: Event) -> None:
        self.history.metrics.append(event)

    def _on_privacy_spent(self, event: Event) -> None:
        self.history.privacy.append(event)

    def _on_ledger_appended(self, event: Event) -> None:
        self.history.ledger.append(event)

    def _on_transfer_model(self, event: Event) -> None:
        self.history.transfer_model = event.note

    def _on_notice(self, event: Event) -> None:
        if event.note not in self.history.notices:
            self.history.notices.append(event.note)

    def finish(self) -> History:
        """Return the history; what is still open ends at the time of the last row."""
        history = self.history
        for key in list(self._stalls):
            self._end_stall(key, history.end_s)
        for transfer in self._transfers.values():
            transfer.ended_s = history.end_s
        for job in (job for running in self._jobs.values() for job in running):
            job.ended_s = history.end_s
        for node, (start, cause) in self._down.items():
            history.down[node].append((start, history.end_s, cause))
        for found in history.rounds.values():
            if not found.is_closed:
                found.closed_s = history.end_s
        for message in history.messages.values():
            closed = history.rounds.get(-1 if message.round is None else message.round)
            if message.fate == OPEN and closed and closed.is_closed:
                message.fate, message.reason = "lost", "unanswered when the round closed"
        _set_ends(history)
        return history


def _set_ends(history: History) -> None:
    """Find when each round's work ended; see ``Round.ended_s``."""
    replied: dict[int, float] = {}
    worked: dict[int, float] = {}
    missing = set()
    for message in history.messages.values():
        if message.round is not None:
            if message.fate in ("replied", "failed") and message.settled_s is not None:
                replied[message.round] = max(replied.get(message.round, 0.0), message.settled_s)
            else:
                missing.add(message.round)
    measured = {event.round: event.t_s for event in history.metrics if event.round is not None and not event.node}
    on_server = history.server
    for job in history.jobs:
        if job.round is not None and job.node == on_server:
            worked[job.round] = max(worked.get(job.round, 0.0), job.ended_s)
    for number, found in history.rounds.items():
        last_reply, last_metric = replied.get(number, found.opened_s), measured.get(number, 0.0)
        is_waiting = number in missing and last_metric <= last_reply
        last = max(last_reply, last_metric, worked.get(number, 0.0))
        found.ended_s = (
            found.closed_s if is_waiting or not found.is_closed else min(max(last, found.opened_s), found.closed_s)
        )
