"""Packet captures in the format that tcpdump and Wireshark read (pcap, raw IP packets)."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MAGIC_MICROSECONDS: Final = 0xA1B2C3D4
_RAW_IP: Final = 101
_SNAP_BYTES: Final = 262144


class Capture:
    """Writes packets to ``path`` with their time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=1 << 16)
        self._file.write(struct.pack("<IHHiIII", _MAGIC_MICROSECONDS, 2, 4, 0, 0, _SNAP_BYTES, _RAW_IP))
        self._wall_s = time.time() - time.monotonic()

    def write(self, packet: bytes, at_s: float) -> None:
        """Append a packet that left its sender at ``at_s`` of the monotonic clock."""
        seconds, microseconds = divmod(int((at_s + self._wall_s) * 1e6), 10**6)
        self._file.write(struct.pack("<IIII", seconds, microseconds, len(packet), len(packet)) + packet)

    def close(self) -> None:
        """Write out what is buffered."""
        self._file.close()


def read_capture(path: Path) -> Iterator[tuple[float, bytes]]:
    """Yield time and packet of a capture file of either byte order, microseconds only.

    Raises:
        ValueError: Not such a file.
    """
    data = path.read_bytes()
    order = next((o for o in "<>" if data[:4] == struct.pack(f"{o}I", _MAGIC_MICROSECONDS)), None)
    if order is None:
        raise ValueError(f"{path} is no capture file with microseconds")
    place = 24
    while place + 16 <= len(data):
        seconds, microseconds, kept, _ = struct.unpack_from(f"{order}IIII", data, place)
        yield seconds + microseconds * 1e-6, data[place + 16 : place + 16 + kept]
        place += 16 + kept
