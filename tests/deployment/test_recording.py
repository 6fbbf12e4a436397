"""The recorder itself: it passes bytes on unchanged, and reads HTTP and TLS back from them."""

import socket
import threading
import time

import pytest
from recording import Connection, Piece, Recorder, read_records, read_requests, until

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes"
QUESTION = b"POST /v1/fleet/pull-object HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def answering_port():
    """A server that answers each question on a connection until it ends."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while connection.recv(1000):
                    connection.sendall(ANSWER)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def ask(port, times):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        for _ in range(times):
            client.sendall(QUESTION)
            assert client.recv(1000) == ANSWER


def test_requests_are_passed_on_and_read(answering_port):
    with Recorder(answering_port) as recorder:
        ask(recorder.port, 2)
        ask(recorder.port, 1)
        requests = read_requests(recorder.connections)
    assert [request.connection for request in requests] == [0, 0, 1]
    assert {request.path for request in requests} == {"pull-object"}
    assert {(request.up_bytes, request.down_bytes) for request in requests} == {(len(QUESTION), len(ANSWER))}
    assert {request.up_content for request in requests} == {b"hello"}


def test_delay_is_a_round_trip_for_the_connection_and_one_for_each_request(answering_port):
    with Recorder(answering_port, delay_s=0.1) as recorder:
        began_s = time.monotonic()
        ask(recorder.port, 2)
        assert time.monotonic() - began_s >= 0.6


def test_rate_is_kept(answering_port):
    with Recorder(answering_port, rate_bps=8 * len(QUESTION) / 0.2) as recorder:
        began_s = time.monotonic()
        ask(recorder.port, 1)
        assert time.monotonic() - began_s >= 0.2


def test_tls_records_are_told_apart_across_pieces():
    hello, sealed = b"\x16\x03\x01\x00\x02ab", b"\x17\x03\x03\x00\x03xyz"
    stream = hello + sealed
    connection = Connection(
        0.0, [Piece(1.0, "up", stream[:4]), Piece(2.0, "up", stream[4:10]), Piece(3.0, "up", stream[10:])]
    )
    assert [(record.at_s, record.kind, record.size) for record in read_records(connection)] == [
        (2.0, 22, 7),
        (3.0, 23, 8),
    ]
    assert read_records(until([connection], 2.5)[0]) == read_records(connection)[:1]
