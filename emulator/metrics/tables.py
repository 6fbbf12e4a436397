"""The tables of a run, as a pure function of its event log and its plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.metrics.columns import TABLES, Column
from emulator.metrics.device_rows import device_rows
from emulator.metrics.history import History, Log, read_history
from emulator.metrics.link_rows import link_rows
from emulator.metrics.round_rows import GLOBAL_PREFIX, metric_rows, participation_rows, round_rows, transfer_rows
from emulator.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]


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
    """Return the rows as a frame, global metrics as columns of their own; rows are taken one at a time."""
    import pandas as pd

    values: dict[str, list[Any]] = {column.name: [] for column in columns}
    for count, row in enumerate(rows):
        for name in row:
            if name not in values and name.startswith(GLOBAL_PREFIX):
                values[name] = [None] * count
        for name, cells in values.items():
            cells.append(row.get(name))
    extra = sorted(values.keys() - {column.name for column in columns})
    every = [*columns, *(Column(name, "", "") for name in extra)]
    return pd.DataFrame({column.name: pd.Series(values.pop(column.name), dtype=column.dtype) for column in every})


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
