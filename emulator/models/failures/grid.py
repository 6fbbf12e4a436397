"""Reads availability traces: who was there when."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

State = Literal[1, 0, -1]
_STATES: Final[dict[str, State]] = {"1": 1, "0": 0, "-1": -1}
LARGEST_BYTES: Final = 64 * 1024**2
FORMATS: Final = "time,NAME,NAME,... with one row per time, or node,time,state with one row per change"


@dataclass(frozen=True, eq=False)
class Grid:
    """States over time, by name.

    Attributes:
        columns: Per name, (seconds since the first row, state) in order of time; the first at 0.
        length_s: From the first to the last time in the file; the last row ends the trace.
        midnight_s: Time of day of the first row; None where the file counts seconds.
    """

    columns: Mapping[str, tuple[tuple[float, State], ...]]
    length_s: float
    midnight_s: float | None


def read_grid(path: Path) -> Grid:
    """Return the trace in the CSV file at ``path``, which may be gzipped.

    Wide: the first column is ``time``, every other one a node. Long: the columns ``node``, ``time`` and ``state``.
    Times are seconds, or dates as ``2020-01-29 00:30``; states are 1 (there), 0 (away) and -1 (unknown).

    Raises:
        ValueError: The file cannot be read, or is in neither form; says where.
    """
    try:
        stat = path.stat()
        return _read(path, (stat.st_mtime_ns, stat.st_size))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name!r} cannot be read: {error}") from None


@lru_cache(maxsize=8)
def _read(path: Path, version: tuple[int, int]) -> Grid:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        raw: bytes = file.read(LARGEST_BYTES + 1)
    if len(raw) > LARGEST_BYTES:
        raise ValueError(f"{path.name!r} is larger than {LARGEST_BYTES} bytes")
    rows = csv.reader(io.StringIO(raw.decode("utf-8-sig")))
    header = [cell.strip() for cell in next(rows, [])]
    if set(header) == {"node", "time", "state"}:
        node, time, state = (header.index(name) for name in ("node", "time", "state"))
        cells = [(line, row[node], row[time], row[state]) for line, row in _checked(rows, header, path)]
    elif header[:1] == ["time"] and len(header) > 1 and len(set(header)) == len(header):
        cells = [
            (line, name, row[0], cell)
            for line, row in _checked(rows, header, path)
            for name, cell in zip(header[1:], row[1:], strict=True)
        ]
    else:
        raise ValueError(f"{path.name!r} is no availability trace: want the columns {FORMATS}; got {header[:5]}")
    return _grid(path, cells)


def _checked(rows: Iterator[list[str]], header: list[str], path: Path) -> list[tuple[int, list[str]]]:
    found = []
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise ValueError(f"{path.name!r}, line {line}: {len(row)} cells, and the header has {len(header)}")
        found.append((line, row))
    return found


def _grid(path: Path, cells: list[tuple[int, str, str, str]]) -> Grid:
    times = {text: _time(path, line, text) for line, _, text, _ in cells}
    if len({is_date for _, is_date in times.values()}) != 1 or len(times) < 2:
        raise ValueError(f"{path.name!r} needs two times or more, all in seconds or all dates")
    first_s, last_s = (bound(value for value, _ in times.values()) for bound in (min, max))
    columns: dict[str, list[tuple[float, State]]] = {}
    for line, name, text, state in cells:
        if state.strip() not in _STATES:
            raise ValueError(f"{path.name!r}, line {line}: got the state {state!r}; want 1, 0 or -1")
        columns.setdefault(name.strip(), []).append((times[text][0] - first_s, _STATES[state.strip()]))
    ordered = {}
    for name, states in columns.items():
        states.sort(key=lambda item: item[0])
        if len({at_s for at_s, _ in states}) != len(states):
            raise ValueError(f"{path.name!r}: {name!r} has two states at one time")
        # Before its first row nothing is known of a node.
        ordered[name] = tuple(states if states[0][0] == 0 else [(0.0, _STATES["-1"]), *states])
    is_date = next(iter(times.values()))[1]
    return Grid(ordered, last_s - first_s, first_s % 86400.0 if is_date else None)


def _time(path: Path, line: int, text: str) -> tuple[float, bool]:
    """Return seconds and whether they were written as a date."""
    try:
        return float(text), False
    except ValueError:
        pass
    try:
        return (datetime.fromisoformat(text.strip()).replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds(), True
    except ValueError:
        message = f"{path.name!r}, line {line}: got the time {text!r}; want seconds or 2020-01-29 00:30"
        raise ValueError(message) from None
