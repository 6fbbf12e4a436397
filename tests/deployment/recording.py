"""Records what passes between SuperNodes and a SuperLink: a TCP proxy that copies bytes, and readers of what it copied."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

Direction = Literal["up", "down"]
"""``up`` is from the SuperNode to the SuperLink."""


class Piece(NamedTuple):
    """Bytes that arrived together."""

    at_s: float
    direction: Direction
    data: bytes


@dataclass
class Connection:
    """One TCP connection: when it was opened, what it carried, and who ended it first and when."""

    opened_s: float
    pieces: list[Piece] = field(default_factory=list)
    closed_s: float | None = None
    closed_by: str = ""

    def stream(self, direction: Direction) -> bytes:
        """Return all bytes of one direction."""
        return b"".join(piece.data for piece in self.pieces if piece.direction == direction)

    def time_of(self, direction: Direction, offset: int) -> float:
        """Return when byte ``offset`` of a direction passed."""
        seen = 0
        for piece in self.pieces:
            if piece.direction == direction:
                seen += len(piece.data)
                if offset < seen:
                    return piece.at_s
        raise IndexError(offset)


class Request(NamedTuple):
    """An HTTP request and its answer; sizes in bytes, times of first byte up and last byte down."""

    path: str
    connection: int
    began_s: float
    ended_s: float
    up_head: int
    up_body: int
    down_head: int
    down_body: int
    up_content: bytes
    down_content: bytes

    @property
    def up_bytes(self) -> int:
        """Head and body of the request."""
        return self.up_head + self.up_body

    @property
    def down_bytes(self) -> int:
        """Head and body of the answer."""
        return self.down_head + self.down_body


class Recorder:
    """A TCP proxy on a free port of 127.0.0.1 towards ``target_port``; use as a context manager.

    Times are the SuperNode's: bytes up are noted when it has sent them, bytes down when it gets them.

    Args:
        target_port: Where connections go on to.
        rate_bps: Each connection passes no more than this each way; None for no limit.
        delay_s: One-way delay each way; opening a connection takes two of them.
    """

    def __init__(self, target_port: int, *, rate_bps: float | None = None, delay_s: float = 0.0) -> None:
        self._target_port = target_port
        self._rate_bps = rate_bps
        self._delay_s = delay_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.connections: list[Connection] = []
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Recorder:
        self._start(self._accept)
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @staticmethod
    def _start(work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target_port), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            connection = Connection(time.monotonic())
            with self._lock:
                self.connections.append(connection)
            for source, sink, direction in ((client, server, "up"), (server, client, "down")):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                self._start(self._take, connection, source, direction, waiting)
                self._start(self._give, connection, sink, direction, waiting)

    def _take(
        self,
        connection: Connection,
        source: socket.socket,
        direction: Direction,
        waiting: queue.SimpleQueue[tuple[float, bytes]],
    ) -> None:
        """Read from one end; each piece is due at the other after the delay, and after those before it."""
        free_s = connection.opened_s + 2 * self._delay_s
        data = b"-"
        while data:
            data = b""
            with contextlib.suppress(OSError):
                data = source.recv(1 << 16)
            now_s = time.monotonic()
            if data and direction == "up":
                self._note(connection, direction, data)
            free_s = max(free_s, now_s) + (8 * len(data) / self._rate_bps if self._rate_bps else 0.0)
            waiting.put((free_s + self._delay_s, data))

    def _give(
        self,
        connection: Connection,
        sink: socket.socket,
        direction: Direction,
        waiting: queue.SimpleQueue[tuple[float, bytes]],
    ) -> None:
        """Write to the other end when the time has come; an empty piece is the end."""
        with contextlib.suppress(OSError):
            while True:
                due_s, data = waiting.get()
                time.sleep(max(0.0, due_s - time.monotonic()))
                if not data:
                    break
                if direction == "down":
                    self._note(connection, direction, data)
                sink.sendall(data)
        with self._lock:
            if connection.closed_s is None:
                connection.closed_s = time.monotonic()
                connection.closed_by = "SuperNode" if direction == "up" else "SuperLink"
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _note(self, connection: Connection, direction: Direction, data: bytes) -> None:
        with self._lock:
            connection.pieces.append(Piece(time.monotonic(), direction, data))


def until(connections: list[Connection], end_s: float) -> list[Connection]:
    """Return what had passed by ``end_s``: the goodbyes of processes that are ended afterwards belong to no session."""
    return [
        replace(
            connection,
            pieces=[piece for piece in connection.pieces if piece.at_s <= end_s],
            closed_s=connection.closed_s if connection.closed_s is not None and connection.closed_s <= end_s else None,
        )
        for connection in connections
        if connection.opened_s <= end_s
    ]


def _parse(stream: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Yield (first line, bytes of the head, body) of each HTTP/1.1 message; all carry a Content-Length."""
    at = 0
    while at < len(stream):
        end = stream.index(b"\r\n\r\n", at) + 4
        first, *lines = stream[at : end - 4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["content-length"])
        yield first, end - at, stream[end : end + length]
        at = end + length


def read_requests(connections: list[Connection]) -> list[Request]:
    """Return the requests of plain HTTP connections in the order in which they began."""
    found: list[Request] = []
    for number, connection in enumerate(connections):
        up, down = 0, 0
        pairs = zip(_parse(connection.stream("up")), _parse(connection.stream("down")), strict=False)
        for (first, up_head, up_content), (status, down_head, down_content) in pairs:
            if " 200" not in status:
                raise ValueError(f"{first}: {status}")
            began_s = connection.time_of("up", up)
            up += up_head + len(up_content)
            down += down_head + len(down_content)
            found.append(
                Request(
                    first.split()[1].removeprefix("/v1/fleet/"),
                    number,
                    began_s,
                    connection.time_of("down", down - 1),
                    up_head,
                    len(up_content),
                    down_head,
                    len(down_content),
                    up_content,
                    down_content,
                )
            )
    return sorted(found, key=lambda request: request.began_s)


class Record(NamedTuple):
    """A TLS record: its content type (22 handshake, 20 change of cipher, 23 encrypted) and its bytes with the head of 5."""

    at_s: float
    direction: Direction
    kind: int
    size: int


def read_records(connection: Connection) -> list[Record]:
    """Return the TLS records of a connection in the order in which they were complete."""
    waiting: dict[Direction, bytes] = {"up": b"", "down": b""}
    records = []
    for piece in connection.pieces:
        data = waiting[piece.direction] + piece.data
        while len(data) >= 5 and len(data) >= (size := 5 + int.from_bytes(data[3:5], "big")):
            records.append(Record(piece.at_s, piece.direction, data[0], size))
            data = data[size:]
        waiting[piece.direction] = data
    return records
