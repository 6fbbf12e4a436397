"""Small summaries of recorded sessions: counts, bytes and intervals, free of identifiers and clocks."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from flwr.proto.fab_pb2 import GetFabResponse
from flwr.proto.message_pb2 import PullObjectResponse, PushObjectRequest
from recording import Connection, Record, Request, read_records, read_requests

DOWNLOAD = ("pull-messages", "get-run", "get-fab", "pull-object", "confirm-message-received")
UPLOAD = ("push-messages", "push-object")
APPLICATION_DATA = 23
CLOSE_RECORD = 24
"""Bytes of the alert with which each end closes a TLS connection."""


@dataclass(frozen=True)
class Session:
    """What one session of the benchmark left.

    Attributes:
        connections: Everything that passed.
        forms: The app's ``forms``: arrays and elements of each message.
        ended_s: When recording ended.
        starts_s: When a ClientApp process, Flower loaded, said in the SuperNode's log that it starts.
        chain_bytes: Certificates the server sends (DER); 0 without TLS.
    """

    connections: list[Connection]
    forms: str
    ended_s: float
    starts_s: list[float]
    chain_bytes: int


def summarise_plain(session: Session) -> dict[str, Any]:
    """Return the facts of a session over plain HTTP."""
    requests = read_requests(session.connections)
    exchanges = _split(requests)
    bundle = next(GetFabResponse.FromString(r.down_content).fab.content for r in requests if r.path == "get-fab")
    return {
        "requests": _by_path(requests),
        "messages": [
            _message(form, exchange, session.connections)
            for form, exchange in zip(session.forms.split(), exchanges, strict=True)
        ],
        "bundle_bytes": len(bundle),
        "idle": _idle(requests, exchanges[-1][-1].ended_s, session.ended_s),
        "connections": _connections(session, requests),
    }


def _split(requests: list[Request]) -> list[list[Request]]:
    """Return the requests of each message, from the poll that brings it to the last object of its reply."""
    found: list[list[Request]] = []
    for request in requests:
        if request.path == "pull-messages" and request.down_body > 0:
            found.append([])
        elif request.path in ("pull-messages", "send-node-heartbeat") or not found:
            continue
        if request.path in DOWNLOAD + UPLOAD:
            found[-1].append(request)
    return found


def _by_path(requests: list[Request]) -> dict[str, dict[str, float]]:
    table = {}
    for path in dict.fromkeys(request.path for request in requests):
        these = [request for request in requests if request.path == path]
        table[path] = {
            "count": len(these),
            "up_head": round(statistics.fmean(r.up_head for r in these), 1),
            "up_body_least": min(r.up_body for r in these),
            "down_head": round(statistics.fmean(r.down_head for r in these), 1),
            "down_body_least": min(r.down_body for r in these),
        }
    return table


def _message(form: str, exchange: list[Request], connections: list[Connection]) -> dict[str, Any]:
    arrays, elements = map(int, form.split("x"))
    row: dict[str, Any] = {
        "arrays": arrays,
        "elements": elements,
        "is_first": any(r.path == "get-run" for r in exchange),
    }
    for name, paths in (("download", DOWNLOAD), ("upload", UPLOAD)):
        these = [request for request in exchange if request.path in paths]
        began_s, ended_s = these[0].began_s, max(r.ended_s for r in these)
        row |= {
            f"{name}_requests": len(these),
            f"{name}_objects": sum(r.path in ("pull-object", "push-object") for r in these),
            f"{name}_content": sum(len(_content(r)) for r in these),
            f"{name}_up": sum(r.up_bytes for r in these),
            f"{name}_down": sum(r.down_bytes for r in these),
            f"{name}_opened": _opened(connections, began_s, ended_s),
            f"{name}_lanes": len({r.connection for r in these}),
        }
    return row


def _opened(connections: list[Connection], began_s: float, ended_s: float) -> int:
    """Return how many connections were opened for these requests; the first is opened before the first of them is sent."""
    return sum(began_s - 0.2 <= connection.opened_s <= ended_s for connection in connections)


def _content(request: Request) -> bytes:
    if request.path == "pull-object":
        return bytes(PullObjectResponse.FromString(request.down_content).object_content)
    if request.path == "push-object":
        return bytes(PushObjectRequest.FromString(request.up_content).object_content)
    return b""


def _idle(requests: list[Request], from_s: float, to_s: float) -> dict[str, float]:
    """Return polls and heartbeats of the stretch after the last reply."""
    these = [request for request in requests if from_s < request.began_s and request.ended_s < to_s]
    polls = [request for request in these if request.path == "pull-messages"]
    beats = [r.began_s for r in requests if r.path == "send-node-heartbeat"]
    gaps = [later.began_s - earlier.ended_s for earlier, later in pairwise(polls)]
    pauses = [later - earlier for earlier, later in pairwise(beats)]
    return {
        "seconds": round(to_s - from_s, 2),
        "polls": len(polls),
        "heartbeats": len(these) - len(polls),
        "up": sum(request.up_bytes for request in these),
        "down": sum(request.down_bytes for request in these),
        "first_poll_after_s": round(polls[0].began_s - from_s, 2),
        "poll_pause_s": round(statistics.median(gaps), 3),
        "poll_answer_s": round(statistics.fmean(r.ended_s - r.began_s for r in polls), 3),
        "heartbeat_least_s": round(min(pauses), 1),
        "heartbeat_most_s": round(max(pauses), 1),
    }


def _connections(session: Session, requests: list[Request]) -> list[dict[str, Any]]:
    origin_s = session.connections[0].opened_s
    rows = []
    for number, connection in enumerate(session.connections):
        these = [request for request in requests if request.connection == number]
        idle_s = None
        if connection.closed_s is not None and these:
            idle_s = round(connection.closed_s - max(request.ended_s for request in these), 1)
        rows.append(
            {
                "opened_s": round(connection.opened_s - origin_s, 1),
                "closed_after_idle_s": idle_s,
                "closed_by": connection.closed_by if idle_s is not None else "",
                "requests": dict(Counter(request.path for request in these)),
                "up": sum(request.up_bytes for request in these),
                "down": sum(request.down_bytes for request in these),
            }
        )
    return rows


def summarise_tls(session: Session) -> dict[str, Any]:
    """Return the handshake's bytes, the records' framing, and the bytes of the whole session over TLS."""
    read = [read_records(connection) for connection in session.connections]
    handshakes = [_handshake(records) for records in read]
    up, down = (statistics.fmean(sum(r.size for r in pair[way]) for pair in handshakes) for way in (0, 1))
    sealed = [r for records in read for r in records if r.kind == APPLICATION_DATA]
    # HTTP/1.1 takes turns: one run of records up and one down for each request.
    turns = [
        (way, [record.size for record in run])
        for records, parts in zip(read, handshakes, strict=True)
        for way, run in groupby((r for r in records if r not in {*parts[0], *parts[1]}), lambda r: r.direction)
    ]
    still_open = next(index for index, connection in enumerate(session.connections) if connection.closed_s is None)
    polling = [[r.size for r in run] for _, run in groupby(read[still_open], lambda r: r.direction)]
    return {
        "forms": session.forms,
        "connections": len(read),
        "closed": sum(connection.closed_s is not None for connection in session.connections),
        "requests": sum(way == "up" and sizes != [CLOSE_RECORD] for way, sizes in turns),
        "handshake_up": round(up),
        "handshake_down": round(down),
        "certificate_bytes": session.chain_bytes,
        "largest_record": max(record.size for record in sealed),
        "poll_records_up": polling[-2],
        "poll_records_down": polling[-1],
        "up": sum(len(connection.stream("up")) for connection in session.connections),
        "down": sum(len(connection.stream("down")) for connection in session.connections),
    }


def _handshake(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """Return the records each way that are not HTTP: up to the client's first encrypted one; down also the two tickets.

    OpenSSL's server sends two session tickets after a TLS 1.3 handshake, each in a record of its own.
    """
    up = [record for record in records if record.direction == "up"]
    finished = next(index for index, record in enumerate(up) if record.kind == APPLICATION_DATA)
    before = records[: records.index(up[finished])]
    tickets = [record for record in records[len(before) :] if record.direction == "down"][:2]
    return up[: finished + 1], [record for record in before if record.direction == "down"] + tickets


def summarise_far(session: Session) -> dict[str, Any]:
    """Return what each message takes over a long delay, and the round trip as an idle poll sees it."""
    requests = read_requests(session.connections)
    polls = [r.ended_s - r.began_s for r in requests if r.path == "pull-messages" and r.down_body == 0]
    rows = []
    for form, exchange in zip(session.forms.split(), _split(requests), strict=True):
        arrays, elements = map(int, form.split("x"))
        pulls = [request for request in exchange if request.path == "pull-object"]
        sent = [request for request in exchange if request.path in UPLOAD]
        rows.append(
            {
                "arrays": arrays,
                "elements": elements,
                "is_first": any(request.path == "get-run" for request in exchange),
                "download_opened": _opened(session.connections, exchange[0].began_s, pulls[-1].ended_s),
                "upload_opened": _opened(session.connections, sent[0].began_s, sent[-1].ended_s),
                "download_s": round(max(r.ended_s for r in pulls) - exchange[0].began_s, 2),
                "upload_s": round(max(r.ended_s for r in sent) - sent[0].began_s, 2),
            }
        )
    return {"round_trip_s": round(statistics.median(polls), 3), "messages": rows}


def summarise_slow(session: Session) -> dict[str, Any]:
    """Return when the ClientApp's process asks for the message while objects still come, and when its reply goes out.

    Seconds from the poll that found the message. The process writes to the log just before it asks for the first time.
    """
    exchange = _split(read_requests(session.connections))[0]
    found_s = exchange[0].ended_s
    pulls = [request for request in exchange if request.path == "pull-object"]
    push = next(request for request in exchange if request.path == "push-messages")
    return {
        "process_asks_s": round(session.starts_s[0] - found_s, 1),
        "objects_there_s": round(max(request.ended_s for request in pulls) - found_s, 1),
        "reply_begins_s": round(push.began_s - found_s, 1),
        "lanes": len({request.connection for request in pulls}),
    }
