"""The event log: one row type from which every table, figure and statistic is derived.

Rows hold virtual time only: no wall time, random identifier, host path, payload digest or dict order enters one, so that two
runs of the same plan give the same rows. The log is written as a sequence of closed Parquet parts, so that the folder of
an interrupted run stays readable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

KINDS: Final[dict[str, str]] = {
    "run_started": "note: scenario; value: seed",
    "round_opened": "round; value: messages sent when it opened",
    "message_pushed": "node: receiver; msg; size_bytes: serialised message; note: message type",
    "message_dropped": "node; msg; note: why the message will never be answered",
    "transfer_model": "value: events the packet level would take; note: packet or fluid, and why",
    "transfer_started": "node: sender; peer: receiver; msg; size_bytes: bytes to carry; note: download or upload",
    "transfer_stalled": "node: sender; peer; msg; note: the link or node that is down",
    "transfer_resumed": "node: sender; peer; msg",
    "request_timed_out": "node: sender; peer; msg; size_bytes: bytes sent before; note: download or upload, tried again later",
    "transfer_finished": "node: sender; peer; msg; size_bytes: bytes delivered; value: seconds; note: download or upload",
    "transfer_lost": "node: sender; peer; msg; size_bytes: bytes delivered before the loss; note: why",
    "compute_started": "node; msg; note: train, evaluate, query, aggregate or serve",
    "compute_finished": "node; msg; value: seconds; note: as started",
    "compute_lost": "node; msg; value: seconds spent; note: why (out of memory, power cut, crash)",
    "work_part": "node; msg; value: seconds of the running computation; note: work unit of a privacy mechanism",
    "reply_received": "node: client; msg; size_bytes: serialised reply; note: ok, or the error",
    "reply_late": "node: client; msg; note: the ServerApp no longer waits for it",
    "node_down": "node; note: cause",
    "node_up": "node",
    "link_changed": "link; peer: up or down; value: rate (bit/s) now; note: cause",
    "link_load": "link; peer: up or down; size_bytes: bytes carried since the row before; value: seconds covered; note: traffic",
    "metric": "round; node: client, or empty for the server; note: metric name; value",
    "privacy_spent": "round; node; value: epsilon; note: mechanism",
    "ledger_appended": "round; node; size_bytes; note",
    "notice": "note: text the user must see",
    "round_closed": "round; value: clients that answered in time",
    "run_finished": "note: finished, interrupted or failed",
}
"""Every kind of row and what its fields mean."""

FLUSH_ROWS: Final = 50_000


class Event(NamedTuple):
    """One row. Strings are empty and numbers None where a field does not apply."""

    seq: int
    t_s: float
    kind: str
    round: int | None
    node: str
    peer: str
    link: str
    msg: str
    size_bytes: int | None
    value: float | None
    unit: str
    note: str


def canonical_row(event: Event) -> bytes:
    """Return the row as one line of text in which equal rows are equal bytes (floats by shortest exact repr)."""
    seq, t_s, kind, number, node, peer, link, msg, size_bytes, value, unit, note = event
    return (
        f"{seq}\x1f{t_s}\x1f{kind}\x1f{'' if number is None else number}\x1f{node}\x1f{peer}\x1f{link}\x1f{msg}\x1f"
        f"{'' if size_bytes is None else size_bytes}\x1f{'' if value is None else value}\x1f{unit}\x1f{note}\n"
    ).encode()


def canonical_digest(events: Iterable[Event]) -> str:
    """Return the SHA-256 over the canonical rows: two runs are identical when this is equal."""
    digest = hashlib.sha256()
    for event in events:
        digest.update(canonical_row(event))
    return digest.hexdigest()


class EventLog:
    """Appends rows to ``folder`` as Parquet parts ``part-00000.parquet`` ...; keeps at most ``flush_rows`` in memory.

    Times are rounded to the nanosecond. ``on_event`` (for live progress) sees each row as it is appended.
    """

    def __init__(self, folder: Path, *, flush_rows: int = FLUSH_ROWS) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.listeners: list[object] = []
        self._flush_rows = flush_rows
        self._rows: list[Event] = []
        self._seq = 0
        self._parts = 0
        self._digest = hashlib.sha256()

    def append(
        self,
        t_s: float,
        kind: str,
        *,
        round: int | None = None,
        node: str = "",
        peer: str = "",
        link: str = "",
        msg: str = "",
        size_bytes: int | None = None,
        value: float | None = None,
        unit: str = "",
        note: str = "",
    ) -> Event:
        """Append one row and return it."""
        if kind not in KINDS:
            raise KeyError(f"unknown event kind {kind!r}; known: {', '.join(KINDS)}")
        number = None if value is None else float(value)
        event = Event(
            self._seq, float(f"{t_s:.9f}"), kind, round, node, peer, link, msg, size_bytes, number, unit, note
        )
        self._seq += 1
        self._digest.update(canonical_row(event))
        self._rows.append(event)
        for listener in self.listeners:
            listener(event)  # type: ignore[operator]  # listeners are callables taking one event
        if len(self._rows) >= self._flush_rows:
            self.flush()
        return event

    @property
    def count(self) -> int:
        """Number of rows so far."""
        return self._seq

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical rows so far."""
        return self._digest.hexdigest()

    def flush(self) -> None:
        """Write the rows in memory as one closed Parquet part."""
        if not self._rows:
            return
        import pyarrow.parquet as pq

        target = self.folder / f"part-{self._parts:05d}.parquet"
        partial = target.with_suffix(".partial")
        pq.write_table(_to_table(self._rows), partial, compression="zstd")
        partial.replace(target)
        self._parts += 1
        self._rows = []


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("seq", pa.int64()), ("t_s", pa.float64()), ("kind", pa.string()), ("round", pa.int32()),
            ("node", pa.string()), ("peer", pa.string()), ("link", pa.string()), ("msg", pa.string()),
            ("size_bytes", pa.int64()), ("value", pa.float64()), ("unit", pa.string()), ("note", pa.string()),
        ]
    )  # fmt: skip


def _to_table(rows: list[Event]) -> pa.Table:
    import pyarrow as pa

    columns = zip(*rows, strict=True)
    return pa.Table.from_arrays(
        [_to_array(column, field.type) for column, field in zip(columns, _schema(), strict=True)], schema=_schema()
    )


def _to_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Build the array from its buffers: ``pa.array`` would import pandas, half a second and 40 MB in a running emulation."""
    import numpy as np
    import pyarrow as pa

    if kind == pa.string():
        texts: Sequence[str | bytes] = values
        joined = "".join(values).encode()
        if not joined.isascii():  # else a character is a byte
            texts = [value.encode() for value in values]
        offsets = np.zeros(len(texts) + 1, dtype=np.int32)
        np.cumsum([len(text) for text in texts], out=offsets[1:])
        return pa.Array.from_buffers(kind, len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(joined)])
    is_given = np.array([value is not None for value in values])
    numbers = np.array([0 if value is None else value for value in values], dtype=kind.to_pandas_dtype())
    valid = pa.py_buffer(np.packbits(is_given, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(numbers)])


def read_events(folder: Path) -> Iterator[Event]:
    """Yield the rows of all closed parts in order, one part in memory at a time; equal texts are one object."""
    import pyarrow.parquet as pq

    for part in sorted(folder.glob("part-*.parquet")):
        columns = pq.ParquetFile(part).read().to_pydict()
        for name, values in columns.items():
            if isinstance(values[0], str):
                columns[name] = [intern(value) for value in values]
        yield from map(Event._make, zip(*(columns[name] for name in Event._fields), strict=True))


def read_frame(folder: Path) -> pd.DataFrame:
    """Return all rows as a data frame with the columns of ``Event`` (empty frame where there are none)."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = sorted(folder.glob("part-*.parquet"))
    if not parts:
        return pd.DataFrame(columns=list(Event._fields))
    frame: pd.DataFrame = pa.concat_tables([pq.ParquetFile(part).read() for part in parts]).to_pandas()
    return frame
