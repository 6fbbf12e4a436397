"""How many requests a second does one SuperLink answer, and what does each kind cost it?

Starts a real flower-superlink on loopback, registers SuperNodes by its own fleet API and asks as fast as it answers,
over raw sockets with ready-made HTTP, so that the asking side costs little: empty polls, heartbeats, and, in a run of
tests/apps/arrays_app, the requests of whole messages. CPU seconds are the SuperLink process's own (from /proc), per
request; requests a second are wall time with the SuperLink alone on a core. The SuperLink is one process with one
interpreter: a second core gains it little.

Usage: python benchmarks/superlink_capacity.py [--nodes 300] [--seconds 5]
Takes about two minutes. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "deployment")]

from flwr.common.constant import TIMESTAMP_HEADER  # noqa: E402
from flwr.proto.fleet_pb2 import (  # noqa: E402
    ActivateNodeRequest,
    ActivateNodeResponse,
    PullMessagesRequest,
    PullMessagesResponse,
    RegisterNodeFleetRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest  # noqa: E402
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest  # noqa: E402
from flwr.proto.node_pb2 import Node  # noqa: E402
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER  # noqa: E402
from flwr.supercore.date import now  # noqa: E402
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree  # noqa: E402
from flwr.supercore.primitives.asymmetric import generate_key_pairs, public_key_to_bytes, sign_message  # noqa: E402
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE  # noqa: E402
from google.protobuf.message import Message  # noqa: E402
from loopback import Deployment  # noqa: E402

APP = ROOT / "tests" / "apps" / "arrays_app"
CONNECTIONS = 4
FORMS = "16x1000"
WAIT_S = 90.0
"""The ServerApp waits so long for replies that do not come."""
TICK = os.sysconf("SC_CLK_TCK")


class SuperNode:
    """An identity that has registered, with its signature of the time, which the SuperLink checks at every request."""

    def __init__(self) -> None:
        private_key, public_key = generate_key_pairs()
        self.key = public_key_to_bytes(public_key)
        stamp = now().isoformat()
        signature = sign_message(private_key, stamp.encode())
        self._head = (
            f"HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {PROTOBUF_MEDIA_TYPE}\r\nAccept-Encoding: gzip, deflate\r\n"
            f"Connection: keep-alive\r\nUser-Agent: python-httpx/0.28.1\r\ncontent-type: {PROTOBUF_MEDIA_TYPE}\r\n"
            f"flwr-package-name: flwr\r\nflwr-package-version: {version('flwr')}\r\nflwr-component-name: SuperNode\r\n"
            f"{FLEET_HTTP_PUBLIC_KEY_HEADER}: {b64encode(self.key).decode()}\r\n{TIMESTAMP_HEADER}: {stamp}\r\n"
            f"{FLEET_HTTP_SIGNATURE_HEADER}: {b64encode(signature).decode()}\r\n"
        )
        self.node = Node()

    def request(self, path: str, message: Message) -> bytes:
        """Return an HTTP request as a SuperNode sends it."""
        body = message.SerializeToString()
        return f"POST /v1/fleet/{path} {self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def register(self, fleet: Fleet) -> SuperNode:
        """Go online for half an hour; returns itself."""
        fleet.ask(self.request("register-node", RegisterNodeFleetRequest(public_key=self.key)))
        online = ActivateNodeRequest(public_key=self.key, heartbeat_interval=1800)
        self.node.node_id = ActivateNodeResponse.FromString(fleet.ask(self.request("activate-node", online))).node_id
        return self


class Fleet:
    """One keep-alive connection to the SuperLink's fleet API."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """Return the body of the answer."""
        self._socket.sendall(request)
        answer = self._receive()
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, content = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"{request[:60]!r}: {head.decode()} {content[:300]!r}")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(content) < length:
            content += self._receive()
        return content

    def _receive(self) -> bytes:
        more = self._socket.recv(1 << 20)
        if not more:
            raise RuntimeError("the SuperLink closed the connection")
        return more


def cpu_s(pid: int) -> float:
    """Return the CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def hammer(port: int, pid: int, requests: list[bytes], seconds: float) -> dict[str, float]:
    """Ask on all connections for so long; return requests a second and the SuperLink's CPU milliseconds for each."""
    end_s = time.monotonic() + seconds
    counts = [0] * CONNECTIONS

    def work(lane: int) -> None:
        fleet, mine = Fleet(port), requests[lane::CONNECTIONS]
        while time.monotonic() < end_s:
            fleet.ask(mine[counts[lane] % len(mine)])
            counts[lane] += 1

    began_s, before = time.monotonic(), cpu_s(pid)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(work, range(CONNECTIONS)))
    return per_request(sum(counts), time.monotonic() - began_s, cpu_s(pid) - before)


def per_request(total: int, wall_s: float, used_s: float) -> dict[str, float]:
    """Return what ``total`` requests took."""
    return {"requests_per_s": round(total / wall_s, 1), "cpu_ms": round(1e3 * used_s / total, 3)}


def fetch(port: int, supernode: SuperNode) -> tuple[int, int]:
    """Fetch one message as a SuperNode does, all objects one by one; return requests made and objects pulled."""
    fleet = Fleet(port)
    asked = fleet.ask(supernode.request("pull-messages", PullMessagesRequest(node=supernode.node)))
    found = PullMessagesResponse.FromString(asked)
    if not found.messages_list:
        return 1, 0
    metadata, objects = found.messages_list[0].metadata, list(iterate_object_tree(found.message_object_trees[0]))
    about = {"node": supernode.node, "run_id": metadata.run_id}
    for tree in objects:
        fleet.ask(supernode.request("pull-object", PullObjectRequest(object_id=tree.object_id, **about)))
    confirmed = ConfirmMessageReceivedRequest(message_object_id=metadata.message_id, **about)
    fleet.ask(supernode.request("confirm-message-received", confirmed))
    return 2 + len(objects), len(objects)


def measure(nodes: int, seconds: float) -> dict[str, Any]:
    """Return what each kind of request costs."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder))
        with deployment.start(0), ThreadPoolExecutor(CONNECTIONS + 1) as pool:
            port, pid = deployment.port, deployment.pid("superlink")
            fleet = Fleet(port)
            supernodes = [SuperNode().register(fleet) for _ in range(nodes)]
            beats = [
                it.request("send-node-heartbeat", SendNodeHeartbeatRequest(node=it.node, heartbeat_interval=1800))
                for it in supernodes
            ]
            polls = [it.request("pull-messages", PullMessagesRequest(node=it.node)) for it in supernodes]
            found["empty poll"] = hammer(port, pid, polls, seconds)
            found["heartbeat"] = hammer(port, pid, beats, seconds)
            config = {"forms": FORMS, "nodes": nodes, "strict": False, "wait-s": WAIT_S}
            run = pool.submit(deployment.run, APP, config, limit_s=600.0)
            while not fetch(port, supernodes[0])[1]:
                time.sleep(0.5)
            time.sleep(2.0)  # all messages came with the first; their objects follow
            late = SuperNode().register(Fleet(port))
            empty = [late.request("pull-messages", PullMessagesRequest(node=late.node))] * CONNECTIONS
            found[f"empty poll, {nodes} messages waiting"] = hammer(port, pid, empty, seconds)
            began_s, before = time.monotonic(), cpu_s(pid)
            made = list(pool.map(lambda it: fetch(port, it), supernodes[1:]))
            total = sum(requests for requests, _ in made)
            found["fetching the messages"] = per_request(total, time.monotonic() - began_s, cpu_s(pid) - before)
            found["objects in a message"] = made[0][1]
            run.result()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    found = measure(options.nodes, options.seconds)
    print(f"flwr {version('flwr')}, {options.nodes} nodes, {CONNECTIONS} connections, {os.cpu_count()} cores shared")
    for name, row in found.items():
        if isinstance(row, dict):
            print(f"{name:36}{row['requests_per_s']:9.0f} requests/s{row['cpu_ms']:9.3f} ms of CPU each")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
