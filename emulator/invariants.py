"""What must hold in every event log, whatever the scenario: checked after each run and by the property tests.

One pass, memory bounded by what is open at one time (transfers, computations) and by the number of nodes and links.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from emulator.events import KINDS, Event
from emulator.plan import Link, LinkState, Plan

RELATIVE_TOLERANCE: Final = 1e-6
PACKET_BYTES: Final = 1500
"""A link may seem to carry one packet too many: bytes count when they leave the sender, rows hold whole bytes."""
MAX_VIOLATIONS: Final = 100
"""The list ends here, so that a broken run does not fill the memory."""
NON_NEGATIVE_UNITS: Final = frozenset({"s", "J", "Wh", "kWh", "W", "USD", "usd", "byte", "bytes", "epsilon"})
AMOUNT_KINDS: Final = ("privacy_spent", "link_load", "compute_finished", "work_part")

Violations = Iterator[str]


def check_events(events: Iterable[Event], plan: Plan, *, is_cut_short: bool = False) -> list[str]:
    """Return each violation as a sentence with its row and time; empty if the log is sound.

    Checked: rows are counted and times never fall; the run starts and ends once; each transfer and computation that
    starts ends exactly once and none ends unstarted (those open when a run is interrupted or fails are let be); no
    more is delivered than was sent; nothing computes on a node that is down; rounds nest; no link carries more than
    its rates allow; durations, energies and sizes are not negative; a node's epsilon never falls. Not checked:
    whether a node computes more than it has cores for. The log of a killed run (``is_cut_short``) need not end well.
    """
    checks: list[_Check] = [
        _Order(),
        _Bounds(),
        _Pairs("transfer", ("msg", "node", "peer"), "transfer_started", ("transfer_finished", "transfer_lost")),
        _Pairs("computation", ("msg", "node", "note"), "compute_started", ("compute_finished", "compute_lost")),
        _Delivered(),
        _Down(),
        _Rounds(),
        _Loads(plan),
        _Values(),
        _Privacy(),
    ]
    concerned: dict[str, list[_Check]] = {
        kind: [check for check in checks if check.kinds is None or kind in check.kinds] for kind in KINDS
    }
    found: list[str] = []
    last: Event | None = None
    for last in events:
        for check in concerned.get(last.kind, checks):
            found += [f"row {last.seq} at {last.t_s} s: {text}" for text in check.see(last)]
        if len(found) >= MAX_VIOLATIONS:
            return found[:MAX_VIOLATIONS]
    if last is None:
        return ["the log is empty: run_started and run_finished are missing"]
    for check in [] if is_cut_short else checks:
        found += [f"row {last.seq} at {last.t_s} s: {text}" for text in check.end(last)]
    return found[:MAX_VIOLATIONS]


class _Check:
    """One invariant: sees each row of its ``kinds`` (None: every row) in turn, then the end of the log."""

    kinds: frozenset[str] | None = None

    def see(self, event: Event) -> Violations:
        """Yield what is wrong with this row."""
        yield from ()

    def end(self, last: Event) -> Violations:
        """Yield what is wrong with the log as a whole."""
        yield from ()


class _Order(_Check):
    def __init__(self) -> None:
        self._seq = 0
        self._time_s = 0.0

    def see(self, event: Event) -> Violations:
        if event.seq != self._seq:
            yield f"seq should be {self._seq}, one more than the row before"
        if not event.t_s >= self._time_s:
            yield f"time falls from {self._time_s} s"
        if event.kind not in KINDS:
            yield f"unknown kind {event.kind!r}"
        self._seq = event.seq + 1
        self._time_s = max(self._time_s, event.t_s)


class _Bounds(_Check):
    def __init__(self) -> None:
        self._is_first = True
        self._is_finished = False

    def see(self, event: Event) -> Violations:
        if self._is_first != (event.kind == "run_started"):
            yield f"the first row, and no other, must be run_started; got {event.kind}"
        if self._is_finished:
            yield f"{event.kind} follows run_finished"
        self._is_first = False
        self._is_finished = self._is_finished or event.kind == "run_finished"

    def end(self, last: Event) -> Violations:
        if not self._is_finished:
            yield "the log ends without run_finished"


def _is_cut_short(last: Event) -> bool:
    """Return whether work may be open: the run did not come to its own end."""
    return last.kind == "run_finished" and last.note in ("interrupted", "failed")


class _Pairs(_Check):
    """Each start has exactly one end."""

    def __init__(self, what: str, fields: tuple[str, ...], start: str, ends: tuple[str, ...]) -> None:
        self._what, self._fields, self._start, self.kinds = what, fields, start, frozenset({start, *ends})
        self._open: dict[tuple[object, ...], Event] = {}

    def see(self, event: Event) -> Violations:
        fields = self._fields if event.kind != "compute_lost" else self._fields[:2]
        key = tuple([getattr(event, field) for field in fields])
        if event.kind == self._start:
            if key in self._open:
                yield f"{self._what} ({_named(fields, key)}) starts again before it ended"
            self._open[key] = event
            return
        match = next((k for k in self._open if k[: len(key)] == key), None) if len(key) < len(self._fields) else key
        if self._open.pop(match or key, None) is None:
            yield f"{event.kind} ({_named(fields, key)}) without a start, or for the second time"

    def end(self, last: Event) -> Violations:
        if _is_cut_short(last):
            return
        for start in self._open.values():
            yield f"the {self._what} of {start.msg!r} on {start.node!r}, started in row {start.seq}, never ended"


def _named(fields: tuple[str, ...], key: tuple[object, ...]) -> str:
    return " ".join(f"{field} {value!r}" for field, value in zip(fields, key, strict=True))


class _Delivered(_Check):
    kinds = frozenset({"transfer_started", "transfer_finished", "transfer_lost"})

    def __init__(self) -> None:
        self._sizes: dict[tuple[str, str, str], int] = {}

    def see(self, event: Event) -> Violations:
        key = (event.msg, event.node, event.peer)
        if event.kind == "transfer_started":
            self._sizes[key] = event.size_bytes or 0
        elif key in self._sizes:
            size, delivered = self._sizes.pop(key), event.size_bytes or 0
            if delivered > size:
                yield f"transfer of {event.msg!r} delivers {delivered} bytes of {size}"
            if event.kind == "transfer_finished" and delivered < size:
                yield f"transfer of {event.msg!r} is finished with {delivered} bytes of {size}"


class _Down(_Check):
    """Nothing computes on a node that is down."""

    kinds = frozenset({"node_down", "node_up", "compute_started", "compute_finished", "compute_lost"})

    def __init__(self) -> None:
        self._down: set[str] = set()
        self._running: dict[str, dict[str, Event]] = {}
        self._fallen: dict[str, Event] = {}

    def see(self, event: Event) -> Violations:
        running = self._running.setdefault(event.node, {}) if event.node else {}
        if event.kind == "node_down":
            if event.node in self._down:
                yield f"node {event.node!r} goes down while it is down"
            self._down.add(event.node)
            self._fallen[event.node] = event
        elif event.kind == "node_up":
            if event.node not in self._down:
                yield f"node {event.node!r} comes up while it is up"
            self._down.discard(event.node)
        elif event.kind == "compute_started":
            if event.node in self._down:
                yield f"{event.note or 'computation'} of {event.msg!r} starts on {event.node!r}, which is down"
            running[event.msg] = event
        elif event.kind in ("compute_finished", "compute_lost"):
            started = running.pop(event.msg, None)
            if event.kind == "compute_lost" or started is None:
                return
            fallen = self._fallen.get(event.node)
            if fallen is not None and started.seq < fallen.seq and fallen.t_s < event.t_s:
                yield f"{event.note or 'computation'} of {event.msg!r} runs on {event.node!r} through its outage"


class _Rounds(_Check):
    kinds = frozenset({"round_opened", "round_closed"})

    def __init__(self) -> None:
        self._open: int | None = None
        self._last: int | None = None

    def see(self, event: Event) -> Violations:
        if event.kind == "round_opened":
            if self._open is not None:
                yield f"round {event.round} opens while round {self._open} is open"
            if event.round is None or (self._last is not None and event.round < self._last):
                yield f"round {event.round} opens after round {self._last}"
            self._open = self._last = event.round
        elif event.kind == "round_closed":
            if self._open is None or event.round != self._open:
                yield f"round {event.round} closes while the open round is {self._open}"
            self._open = None

    def end(self, last: Event) -> Violations:
        if self._open is not None and not _is_cut_short(last):
            yield f"round {self._open} never closes"


class _Loads(_Check):
    """No link carries more in an interval than its rate integrated over it; half duplex: both directions together."""

    kinds = frozenset({"link_load"})

    def __init__(self, plan: Plan) -> None:
        self._links = plan.link_by_name
        self._fastest: dict[str, tuple[LinkState, ...]] = {}
        self._both: dict[str, tuple[tuple[float, float], dict[str, int]]] = {}  # interval and bytes per direction

    def see(self, event: Event) -> Violations:
        link = self._links.get(event.link)
        if link is None or event.peer not in ("up", "down"):
            yield f"link_load of unknown link or direction {event.link!r} {event.peer!r}"
            return
        count, covered_s = event.size_bytes or 0, event.value or 0.0
        allowed = _integral_bits(_states(link, event.peer), event.t_s - covered_s, event.t_s) / 8
        if count > _with_tolerance(allowed):
            limit = f"its rate allows {allowed:.0f}"
            yield f"link {link.name!r} {event.peer} carries {count} bytes in {covered_s} s; {limit}"
        elif link.is_shared_medium:
            yield from self._shared(link, event, count)

    def _shared(self, link: Link, event: Event, count: int) -> Violations:
        """Hold both directions against one medium: by air time, or by the faster rate where rates change."""
        covered_s = event.value or 0.0
        interval = (event.t_s, covered_s)
        known, counts = self._both.get(link.name, (interval, {}))
        counts = counts if known == interval else {}
        counts[event.peer] = counts.get(event.peer, 0) + count
        self._both[link.name] = (interval, counts)
        since_s = event.t_s - covered_s
        states = self._fastest.get(link.name) or self._fastest.setdefault(link.name, _fastest(link))
        fastest = _integral_bits(states, since_s, event.t_s) / 8
        if _at(states, since_s) is _at(states, event.t_s - 1e-9):
            full = {d: _integral_bits(_states(link, d), since_s, event.t_s) / 8 for d in counts}
            used = sum(fastest * counts[d] / full[d] for d in counts if counts[d] > 0 and full[d] > 0)
        else:
            used = sum(counts.values())
        if used > _with_tolerance(fastest) + PACKET_BYTES:
            yield f"half-duplex link {link.name!r} carries {sum(counts.values())} bytes both ways in {covered_s} s"


def _with_tolerance(count: float) -> float:
    return count * (1 + RELATIVE_TOLERANCE) + PACKET_BYTES


def _states(link: Link, direction: str) -> tuple[LinkState, ...]:
    return link.up if direction == "up" else link.down


def _integral_bits(states: tuple[LinkState, ...], from_s: float, to_s: float) -> float:
    """Return the bits that fit through ``states`` between two times."""
    first = _index(states, from_s)
    total = 0.0
    for k in range(first, len(states)):
        begin_s = from_s if k == first else max(from_s, states[k].from_s)
        if begin_s >= to_s:
            break
        end_s = min(to_s, states[k + 1].from_s) if k + 1 < len(states) else to_s
        total += states[k].rate_bps * max(0.0, end_s - begin_s)
    return total


def _fastest(link: Link) -> tuple[LinkState, ...]:
    """Return states whose rate is the larger of both directions'."""
    times = sorted({state.from_s for state in link.up + link.down})
    best = []
    for time_s in times:
        rates = [_at(states, time_s).rate_bps for states in (link.up, link.down)]
        best.append(LinkState(time_s, max(rates), 0.0))
    return tuple(best)


def _at(states: tuple[LinkState, ...], time_s: float) -> LinkState:
    return states[_index(states, time_s)]


def _index(states: tuple[LinkState, ...], time_s: float) -> int:
    """Return the place of the state in force at ``time_s``."""
    return max(0, bisect_right(states, time_s, key=lambda state: state.from_s) - 1)


class _Values(_Check):
    """Durations, energies, sizes and the like are finite and not negative."""

    def see(self, event: Event) -> Violations:
        if event.size_bytes is not None and event.size_bytes < 0:
            yield f"{event.kind} has a negative size, {event.size_bytes} bytes"
        is_amount = event.unit in NON_NEGATIVE_UNITS or event.kind in AMOUNT_KINDS
        if is_amount and event.value is not None and not 0 <= event.value < float("inf"):
            if event.kind == "privacy_spent" and event.value == float("inf"):
                return  # no privacy at all is a true epsilon
            yield f"{event.kind} has value {event.value} {event.unit}; it must be finite and 0 or more"


class _Privacy(_Check):
    kinds = frozenset({"privacy_spent"})

    def __init__(self) -> None:
        self._epsilon: dict[tuple[str, str], float] = {}

    def see(self, event: Event) -> Violations:
        if event.value is None:
            return
        key = (event.node, event.note)
        before = self._epsilon.get(key, 0.0)
        if event.value < before - RELATIVE_TOLERANCE * max(1.0, before):
            yield f"epsilon of {event.node!r} falls from {before} to {event.value} ({event.note})"
        self._epsilon[key] = max(before, event.value)
