"""Readers of link traces as their publishers wrote them: each gives rates over time, named by session.

* Mahimahi (ravinet/mahimahi; Winstein et al., NSDI 2013): one line per packet of 1500 bytes that can leave, the
  millisecond at which it can. The last line ends the trace.
* CSV ``time_s,mbps`` as the HSDPA, FCC and Oboe sets have it, with an optional first column ``trace``; or
  ``time_s,up_mbps,down_mbps``.
* CSV of 5G sessions (uccmisl/5Gdataset; Raca et al., MMSys 2020): ``Timestamp``, ``DL_bitrate`` in kbit/s. Only
  sessions whose ``app`` is ``Download`` fill the link, and none fills it upwards: only those are read, and only down.

Any of them may be gzipped (``.gz``). A rate holds until the next row; the last row ends the trace.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from emulator.plan import Direction

if TYPE_CHECKING:
    import pandas as pd

PACKET_BITS: Final = 1500 * 8
LARGEST_BYTES: Final = 512 * 1024**2
CSV_FORMATS: Final = "[trace,]time_s,mbps; [trace,]time_s,up_mbps,down_mbps; or session,app,Timestamp,DL_bitrate"


@dataclass(frozen=True, eq=False)
class Series:
    """Bits that a link could have carried since the trace began, at growing times; linear in between.

    Attributes:
        times_s: From 0; the last is the length of the trace.
        bits: Cumulated, from 0.
    """

    times_s: np.ndarray
    bits: np.ndarray

    @property
    def length_s(self) -> float:
        """Length of the trace."""
        return float(self.times_s[-1])

    def rates_bps(self, edges_s: np.ndarray) -> np.ndarray:
        """Return the mean rate between neighbouring ``edges_s`` of the trace repeated without end."""
        laps, within = np.divmod(edges_s, self.length_s)
        bits = laps * self.bits[-1] + np.interp(within, self.times_s, self.bits)
        rates: np.ndarray = np.diff(bits) / np.diff(edges_s)
        return rates


Sessions = Mapping[str, Series]


def read_sessions(path: Path, direction: Direction) -> Sessions:
    """Return what the trace file at ``path`` says of one direction, by name of session; one trace alone is ``""``.

    Raises:
        ValueError: The file cannot be read, is in none of the formats, or says nothing of that direction.
    """
    try:
        stat = path.stat()
        return _read(path, direction, (stat.st_mtime_ns, stat.st_size))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name!r} cannot be read: {error}") from None


@lru_cache(maxsize=32)
def _read(path: Path, direction: Direction, version: tuple[int, int]) -> Sessions:
    text = _text(path)
    head = text[:4096].lstrip("\ufeff").splitlines()[:1]
    if not head or not head[0].strip():
        raise ValueError(f"{path.name!r} is empty")
    if head[0].strip().isdigit():
        return {"": _mahimahi(path, text)}
    columns = [column.strip() for column in head[0].split(",")]
    if {"Timestamp", "DL_bitrate", "session", "app"} <= set(columns):
        return _sessions_5g(path, direction)
    wanted = "mbps" if "mbps" in columns else f"{direction}_mbps"
    if "time_s" in columns and {"mbps", "up_mbps", "down_mbps"} & set(columns):
        if wanted not in columns:
            raise ValueError(f"{path.name!r} has no column {wanted!r}; name it as the file of the other direction only")
        return _plain_csv(path, wanted)
    raise ValueError(
        f"{path.name!r} is in no format known: want Mahimahi (one whole number of milliseconds a line) or CSV with the "
        f"columns {CSV_FORMATS}; its first line is {head[0][:80]!r}"
    )


def _text(path: Path) -> str:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        raw: bytes = file.read(LARGEST_BYTES + 1)
    if len(raw) > LARGEST_BYTES:
        raise ValueError(f"{path.name!r} is larger than {LARGEST_BYTES} bytes")
    return raw.decode("utf-8-sig")


def _mahimahi(path: Path, text: str) -> Series:
    words = text.split()
    if not all(word.isdigit() for word in words):
        raise ValueError(f"{path.name!r} begins as a Mahimahi trace, but a line holds something else than a number")
    milliseconds = np.array(words, dtype=np.int64)
    if np.any(np.diff(milliseconds) < 0) or milliseconds[-1] <= 0:
        raise ValueError(f"{path.name!r}: the milliseconds of a Mahimahi trace must grow, and end above 0")
    # A packet of millisecond t leaves between t and t + 1; the trace wraps at its last line, as mm-link has it.
    counts = np.bincount(np.minimum(milliseconds, milliseconds[-1] - 1))
    return _series(np.arange(counts.size + 1) / 1e3, counts * float(PACKET_BITS))


def _plain_csv(path: Path, column: str) -> Sessions:
    table = _table(path)
    names = table["trace"].astype(str) if "trace" in table else table["time_s"].map(lambda _: "")
    return {
        str(name): _checked_series(path, str(name), rows["time_s"].to_numpy(float), rows[column].to_numpy(float) * 1e6)
        for name, rows in table.groupby(names, sort=True)
    }


def _sessions_5g(path: Path, direction: Direction) -> Sessions:
    if direction == "up":
        raise ValueError(
            f"{path.name!r}: no session of the 5G set fills the link upwards; give it as down_file, and the rate up by "
            "the profile"
        )
    import pandas as pd

    table = _table(path)
    table = table[table["app"] == "Download"]
    times = pd.to_datetime(table["Timestamp"], format="%Y.%m.%d_%H.%M.%S")
    series = {}
    for name, rows in table.groupby("session", sort=True):
        elapsed_s = (times[rows.index] - times[rows.index[0]]).dt.total_seconds()
        rates = rows["DL_bitrate"].astype(float).groupby(elapsed_s.to_numpy()).mean() * 1e3  # some seconds come twice
        if len(rates) > 1:
            series[str(name)] = _checked_series(path, str(name), rates.index.to_numpy(float), rates.to_numpy())
    if not series:
        raise ValueError(f"{path.name!r} holds no session whose app is Download")
    return series


def _table(path: Path) -> pd.DataFrame:
    import pandas as pd  # at the file edge only: a plan without traces needs none

    try:
        return pd.read_csv(path, encoding="utf-8-sig", low_memory=False, skipinitialspace=True)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path.name!r} is no CSV table: {error}") from None


def _checked_series(path: Path, name: str, times_s: np.ndarray, rates_bps: np.ndarray) -> Series:
    where = f"{path.name!r}, trace {name!r}" if name else f"{path.name!r}"
    if times_s.size < 2 or np.any(np.diff(times_s) <= 0):
        raise ValueError(f"{where}: needs two rows or more, with growing times")
    if not np.all(np.isfinite(rates_bps)) or np.any(rates_bps < 0):
        raise ValueError(f"{where}: a rate is missing or below 0")
    return _series(times_s - times_s[0], rates_bps[:-1] * np.diff(times_s))


def _series(times_s: np.ndarray, bits: np.ndarray) -> Series:
    return Series(times_s, np.concatenate([[0.0], np.cumsum(bits)]))
