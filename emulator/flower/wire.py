"""Bytes of Flower's fleet API on the wire (flwr 1.41): HTTP/1.1 requests with protobuf bodies, plain or over TLS 1.3.

Every figure was recorded on loopback by ``benchmarks/flower_protocol.py`` (flwr 1.41.0, httpx 0.28.1, uvicorn 0.49.0); the
recording is in ``tests/deployment/recorded_session.json``, and a test holds this module to it. Sizes are TCP payload; the
packets they travel in, with ACKs, are counted beside, as captures of live runs show them: head and body of a request, and of its
answer, leave in packets of their own, and every second packet is acknowledged. Signatures and identifiers vary by up to four
bytes a request; means are used. Left out: the eight bytes by which a SYN is longer, packets sent twice.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

REQUEST_HEAD_BYTES: Final = 825
"""Request line and headers besides the endpoint's name and the digits of the length. 460 of them are the SuperNode's public
key and its signature of the time (P-384), sent whether or not the SuperLink checks them."""
RESPONSE_HEAD_BYTES: Final = 127
"""Status line and headers besides the digits of the length."""
NODE_BYTES: Final = 13
"""A body that names the SuperNode and nothing else: the poll."""
HEARTBEAT_BYTES: Final = (22, 2)
"""Bodies of a heartbeat and of its answer."""
GET_RUN_BYTES: Final = (24, 350)
"""Bodies of the question for a run and of its answer; the run config's overrides come on top (a few bytes each)."""
NAME_OBJECT_BYTES: Final = 90
"""A body that names SuperNode, run and one SHA-256: pull an object, confirm a message, get the app bundle."""
BUNDLE_FRAME_BYTES: Final = 72
"""Around the app bundle in its answer."""
PULL_FRAME_BYTES: Final = 5
"""Around an object in the answer to its pull, besides the object's length as a varint."""
PUSH_FRAME_BYTES: Final = 130
"""Around an object in its push: SuperNode, run, SHA-256, session; besides the object's length as a varint."""
PUSH_ANSWER_BYTES: Final = 2
TREE_BYTES_PER_OBJECT: Final = 68
"""A SHA-256 in hexadecimal with its framing, in the object tree that travels with a message's metadata."""
INSTRUCTION_BYTES: Final = 142
"""Metadata of an instruction in the answer to the poll that finds it."""
REPLY_BYTES: Final = 231
"""Metadata of a reply, with SuperNode and run, in the request that announces it."""
WANTED_BYTES_PER_OBJECT: Final = 66
"""A SHA-256 in the answer to an announcement, for each object that the SuperLink lacks."""
WANTED_BYTES: Final = 112
INSTRUCTION_IDS_BYTES: Final = 27
"""A real instruction is longer than the emulator's by this: random 64-bit numbers instead of small ones."""
REPLY_IDS_BYTES: Final = 82
"""The same for a reply, which also names the instruction by its SHA-256."""

HANDSHAKE_UP_BYTES: Final = 597
"""TLS 1.3 with X25519: ClientHello 517, change of cipher 6, Finished 74."""
HANDSHAKE_DOWN_BYTES: Final = 1893
"""ServerHello, certificate (827 bytes: one RSA-2048 leaf, as in Flower's guide to TLS), its proof, Finished, two session tickets.
A public authority's chain adds 0.5 to 3 kB."""
CLOSE_BYTES: Final = 24
"""The alert with which each end closes a TLS connection."""
TLS_CONNECTION_PACKETS: Final = (7, 6)
"""Packets up and down of opening and closing a connection: SYN, hellos, tickets, alert, and their ACKs (captured)."""
PLAIN_CONNECTION_PACKETS: Final = (4, 3)
"""The same without TLS: SYN, SYN-ACK, ACK, and a FIN each way with its ACK."""
RECORD_BYTES: Final = 22
"""Around each TLS record: head 5, content type 1, tag 16."""
RECORD_CONTENT_BYTES: Final = 16384
PACKET_HEADER_BYTES: Final = 52
"""IPv4 (20) and TCP (20) with timestamps (12)."""
PACKET_CONTENT_BYTES: Final = 1448


class Traffic(NamedTuple):
    """Payload bytes from the SuperNode (``up``) and to it (``down``), and the packets of each way, bare ACKs included."""

    up: int
    down: int
    up_packets: int = 0
    down_packets: int = 0

    def times(self, count: int) -> Traffic:
        """Return the bytes of ``count`` such exchanges."""
        return Traffic(*(count * each for each in self))

    @property
    def up_ip_bytes(self) -> int:
        """Bytes from the SuperNode with the headers of their packets."""
        return self.up + PACKET_HEADER_BYTES * self.up_packets

    @property
    def down_ip_bytes(self) -> int:
        """Bytes to the SuperNode with the headers of their packets."""
        return self.down + PACKET_HEADER_BYTES * self.down_packets


def total(parts: list[Traffic]) -> Traffic:
    """Return the sum of both directions."""
    return Traffic(*(sum(column) for column in zip(*parts, strict=True)))


@lru_cache(maxsize=4096)
def request(endpoint: str, body: int, answer: int, *, is_tls: bool) -> Traffic:
    """Return the bytes of one request and its answer with bodies of this size."""
    up = REQUEST_HEAD_BYTES + len(endpoint) + len(str(body)) + body
    down = RESPONSE_HEAD_BYTES + len(str(answer)) + answer
    asking, answering = (1 + math.ceil(size / PACKET_CONTENT_BYTES) for size in (body, answer))
    return Traffic(
        up + is_tls * _records(body), down + is_tls * _records(answer),
        asking + math.ceil(answering / 2), answering + math.ceil(asking / 2),
    )  # fmt: skip


def _records(body: int) -> int:
    """Return the framing of head and body, which are written, and so encrypted, apart."""
    return RECORD_BYTES * (1 + math.ceil(body / RECORD_CONTENT_BYTES))


def varint_bytes(value: int) -> int:
    """Return the length of a number in protobuf's variable-length form: seven bits a byte."""
    return max(1, math.ceil(value.bit_length() / 7))


def empty_poll(*, is_tls: bool) -> Traffic:
    """Return a poll that finds nothing."""
    return request("pull-messages", NODE_BYTES, 0, is_tls=is_tls)


def finding_poll(objects: int, *, is_tls: bool) -> Traffic:
    """Return the poll that brings a message's metadata and object tree."""
    return request("pull-messages", NODE_BYTES, INSTRUCTION_BYTES + objects * TREE_BYTES_PER_OBJECT, is_tls=is_tls)


def heartbeat(*, is_tls: bool) -> Traffic:
    """Return a heartbeat."""
    return request("send-node-heartbeat", *HEARTBEAT_BYTES, is_tls=is_tls)


def get_run(*, is_tls: bool) -> Traffic:
    """Return the question for the run's particulars."""
    return request("get-run", *GET_RUN_BYTES, is_tls=is_tls)


def get_bundle(bundle_bytes: int, *, is_tls: bool) -> Traffic:
    """Return the fetching of the app bundle."""
    return request("get-fab", NAME_OBJECT_BYTES, BUNDLE_FRAME_BYTES + bundle_bytes, is_tls=is_tls)


def pull_object(size_bytes: int, *, is_tls: bool) -> Traffic:
    """Return the pull of one object."""
    answer = PULL_FRAME_BYTES + varint_bytes(size_bytes) + size_bytes
    return request("pull-object", NAME_OBJECT_BYTES, answer, is_tls=is_tls)


def confirm(*, is_tls: bool) -> Traffic:
    """Return the confirmation that a message is there."""
    return request("confirm-message-received", NAME_OBJECT_BYTES, 0, is_tls=is_tls)


def announce(objects: int, *, is_tls: bool) -> Traffic:
    """Return the request that announces a reply; the SuperLink names the objects it lacks, here all."""
    body = REPLY_BYTES + objects * TREE_BYTES_PER_OBJECT
    return request("push-messages", body, WANTED_BYTES + objects * WANTED_BYTES_PER_OBJECT, is_tls=is_tls)


def push_object(size_bytes: int, *, is_tls: bool) -> Traffic:
    """Return the push of one object."""
    body = PUSH_FRAME_BYTES + varint_bytes(size_bytes) + size_bytes
    return request("push-object", body, PUSH_ANSWER_BYTES, is_tls=is_tls)


@lru_cache
def connection(*, is_tls: bool) -> Traffic:
    """Return what opening and closing a connection adds: no payload without TLS."""
    if not is_tls:
        return Traffic(0, 0, *PLAIN_CONNECTION_PACKETS)
    return Traffic(HANDSHAKE_UP_BYTES + CLOSE_BYTES, HANDSHAKE_DOWN_BYTES + CLOSE_BYTES, *TLS_CONNECTION_PACKETS)
