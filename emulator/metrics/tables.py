"""The tables of a run, as a pure function of its event log and its plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator.metrics.columns import TABLES, Column
from emulator.metrics.device_rows import device_rows
from emulator.metrics.history import History, Log, read_history
from emulator.metrics.link_rows import link_rows
from emulator.metrics.round_rows import GLOBAL_PREFIX, metric_rows, participation_rows, round_rows, transfer_rows
from emulator.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
PART_ROWS: Final = 50_000


def build_tables(events: Log, plan: Plan, *, history: History | None = None) -> dict[str, pd.DataFrame]:
    """Return the tables named in ``columns.TABLES``; whole, interrupted and empty logs alike.

    Args:
        events: The event log; not looked at where ``history`` is given.
        plan: The plan the events come from.
        history: The events already read by ``read_history``, to save doing it again.
    """
    history = history or read_history(events, plan)
    rows: dict[str, Iterable[Row]] = {
        "rounds": round_rows(history, plan),
        "transfers": transfer_rows(history),
        "devices": device_rows(history, plan),
        "links": link_rows(history, plan),
        "metrics": metric_rows(history),
        "participation": participation_rows(history, plan),
    }
    return {name: _frame(rows[name], TABLES[name]) for name in TABLES}


def _frame(rows: Iterable[Row], columns: Sequence[Column]) -> pd.DataFrame:
    """Return the rows as a frame, global metrics as columns of their own; as objects a few thousand rows exist at a time."""
    import pandas as pd

    taken = iter(rows)
    parts = [_part(chunk, columns) for chunk in iter(lambda: list(islice(taken, PART_ROWS)), [])]
    if len(parts) < 2:
        return parts[0] if parts else _part([], columns)
    frame = pd.concat(parts, ignore_index=True)
    named = [column.name for column in columns]
    return frame[[*named, *sorted(set(frame.columns) - set(named))]]


def _part(rows: Sequence[Row], columns: Sequence[Column]) -> pd.DataFrame:
    import pandas as pd

    extra = sorted({name for row in rows for name in row if name.startswith(GLOBAL_PREFIX)})
    every = [*columns, *(Column(name, "", "") for name in extra)]
    return pd.DataFrame({c.name: pd.Series([row.get(c.name) for row in rows], dtype=c.dtype) for c in every})


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write each table to ``folder`` as CSV and as Parquet and return the paths; unknown figures are empty cells."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, frame in tables.items():
        csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
        frame.to_csv(csv, index=False, lineterminator="\n")
        frame.to_parquet(parquet, index=False)
        written += [csv, parquet]
    return written
