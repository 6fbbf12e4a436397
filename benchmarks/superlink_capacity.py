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
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "deployment")]

from flwr.proto import fleet_pb2, heartbeat_pb2, message_pb2  # noqa: E402
from flwr.proto.node_pb2 import Node  # noqa: E402
from loopback import Deployment  # noqa: E402

APP = ROOT / "tests" / "apps" / "arrays_app"
KEY_BYTES = 215
"""Length of the public key and signature headers together is 460 bytes: unread without authentication, but parsed."""
CONNECTIONS = 4
FORMS = "16x1000"
TICK = os.sysconf("SC_CLK_TCK")


class Fleet:
    """One keep-alive connection to the SuperLink's fleet API."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path: str, body: bytes) -> bytes:
        """Return the body of the answer."""
        self._socket.sendall(request(path, body))
        answer = self._socket.recv(1 << 16)
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, content = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"{path}: {head.decode()} {content[:300]!r}")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(content) < length:
            content += self._receive()
        return content

    def _receive(self) -> bytes:
        more = self._socket.recv(1 << 20)
        if not more:
            raise RuntimeError("the SuperLink closed the connection")
        return more


def request(path: str, body: bytes) -> bytes:
    """Return an HTTP request as long as a SuperNode's."""
    head = (
        f"POST /v1/fleet/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/protobuf\r\n"
        f"Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nUser-Agent: python-httpx/0.28.1\r\n"
        f"content-type: application/protobuf\r\nflwr-package-name: flwr\r\nflwr-package-version: {version('flwr')}\r\n"
        f"flwr-component-name: SuperNode\r\nflwr-public-key: {'A' * KEY_BYTES}\r\nflwr-signature: {'A' * KEY_BYTES}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def register(port: int, count: int) -> list[int]:
    """Return the numbers of ``count`` new SuperNodes that are online."""
    fleet, nodes = Fleet(port), []
    for _ in range(count):
        key = os.urandom(120)
        fleet.ask("register-node", fleet_pb2.RegisterNodeFleetRequest(public_key=key).SerializeToString())
        answer = fleet.ask(
            "activate-node", fleet_pb2.ActivateNodeRequest(public_key=key, heartbeat_interval=1800).SerializeToString()
        )
        nodes.append(fleet_pb2.ActivateNodeResponse.FromString(answer).node_id)
    return nodes


def cpu_s(pid: int) -> float:
    """Return the CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def hammer(port: int, pid: int, path: str, bodies: list[bytes], seconds: float) -> dict[str, float]:
    """Ask on all connections for so long; return requests a second and the SuperLink's CPU milliseconds for each."""
    end_s = time.monotonic() + seconds
    counts = [0] * CONNECTIONS

    def work(lane: int) -> None:
        fleet, mine = Fleet(port), bodies[lane::CONNECTIONS]
        while time.monotonic() < end_s:
            fleet.ask(path, mine[counts[lane] % len(mine)])
            counts[lane] += 1

    began_s, before = time.monotonic(), cpu_s(pid)
    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(counts)
    return {
        "requests_per_s": round(total / (time.monotonic() - began_s), 1),
        "cpu_ms": round(1e3 * (cpu_s(pid) - before) / total, 3),
    }


def exchange(port: int, node_id: int) -> tuple[int, int]:
    """Fetch one message as a SuperNode does; return requests made and objects pulled. No reply is sent."""
    fleet, node = Fleet(port), Node(node_id=node_id)
    asked = fleet.ask("pull-messages", fleet_pb2.PullMessagesRequest(node=node).SerializeToString())
    found = fleet_pb2.PullMessagesResponse.FromString(asked)
    if not found.messages_list:
        return 1, 0
    metadata = found.messages_list[0].metadata
    objects: list[str] = []
    stack = [found.message_object_trees[0]]
    while stack:
        tree = stack.pop()
        objects.append(tree.object_id)
        stack += tree.children
    for object_id in objects:
        body = message_pb2.PullObjectRequest(node=node, run_id=metadata.run_id, object_id=object_id).SerializeToString()
        fleet.ask("pull-object", body)
    confirmed = message_pb2.ConfirmMessageReceivedRequest(
        node=node, run_id=metadata.run_id, message_object_id=metadata.message_id
    )
    fleet.ask("confirm-message-received", confirmed.SerializeToString())
    return 2 + len(objects), len(objects)


def measure(nodes: int, seconds: float) -> dict[str, Any]:
    """Return what each kind of request costs."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder))
        with deployment.start(0), ThreadPoolExecutor(CONNECTIONS + 1) as pool:
            port, pid = deployment.port, deployment.pid("superlink")
            numbers = register(port, nodes)
            polls = [fleet_pb2.PullMessagesRequest(node=Node(node_id=n)).SerializeToString() for n in numbers]
            beats = [
                heartbeat_pb2.SendNodeHeartbeatRequest(
                    node=Node(node_id=n), heartbeat_interval=1800
                ).SerializeToString()
                for n in numbers
            ]
            found["empty poll"] = hammer(port, pid, "pull-messages", polls, seconds)
            found["heartbeat"] = hammer(port, pid, "send-node-heartbeat", beats, seconds)
            config = {"forms": FORMS, "nodes": nodes, "strict": False}
            run = pool.submit(deployment.run, APP, config, limit_s=600.0)
            stranger = register(port, 1)[0]
            deployment.wait_for_log("superlink", "Runtime.PushMessages", 120.0)
            idle = [fleet_pb2.PullMessagesRequest(node=Node(node_id=stranger)).SerializeToString()] * CONNECTIONS
            found[f"empty poll, {nodes} messages waiting"] = hammer(port, pid, "pull-messages", idle, seconds)
            began_s, before = time.monotonic(), cpu_s(pid)
            made = list(pool.map(lambda number: exchange(port, number), numbers))
            total = sum(requests for requests, _ in made)
            found["fetching messages"] = {
                "requests_per_s": round(total / (time.monotonic() - began_s), 1),
                "cpu_ms": round(1e3 * (cpu_s(pid) - before) / total, 3),
            }
            found["objects in a message"] = made[0][1]
            run.cancel()
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
