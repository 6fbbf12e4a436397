"""A link that can be cut: two network namespaces behind this one, and a router between that stops forwarding.

Run inside a network namespace of one's own (``unshare --net``, with ``--map-root-user`` where one is not root): nothing here
touches the machine's own interfaces. Packets are dropped silently in both directions, as by a dead radio: no route is deleted
and no error comes back.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEAR_ADDRESS = "10.11.0.1"
"""This namespace, where the SuperLink listens."""
_ROUTER = ("10.11.0.2", "10.12.0.2")
_FAR_ADDRESS = "10.12.0.1"


class CuttableLink:
    """A rate-limited path from here to a far namespace; use ``open``."""

    def __init__(self, router: int, far: int) -> None:
        self._router = router
        self._far = far
        self.far_prefix = _inside(far)

    def cut(self) -> None:
        """Drop everything from now on."""
        self._forward(False)

    def mend(self) -> None:
        """Pass packets again."""
        self._forward(True)

    def counters(self) -> tuple[int, int, int]:
        """Return bytes received, bytes sent and packets sent by the far end, headers included."""
        for line in Path(f"/proc/{self._far}/net/dev").read_text().splitlines():
            name, _, figures = line.partition(":")
            if name.strip() == "far0":
                numbers = [int(word) for word in figures.split()]
                return numbers[0], numbers[8], numbers[9]
        raise RuntimeError("the far end has no interface")

    def _forward(self, is_on: bool) -> None:
        _run(*_inside(self._router), "sysctl", "-qw", f"net.ipv4.ip_forward={int(is_on)}")


@contextmanager
def open_link(rate: str) -> Iterator[CuttableLink]:
    """Yield a link of ``rate`` (in ``tc``'s notation) each way, with 64 kB of queue before it."""
    holders = [subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL) for _ in range(2)]
    try:
        router, far = (_wait_for_namespace(holder.pid) for holder in holders)
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "near0", "type", "veth", "peer", "name", "near1", "netns", str(router))
        _run(*_inside(router), "ip", "link", "add", "far1", "type", "veth", "peer", "name", "far0", "netns", str(far))
        _address((), "near0", NEAR_ADDRESS)
        _address(_inside(router), "near1", _ROUTER[0])
        _address(_inside(router), "far1", _ROUTER[1])
        _address(_inside(far), "far0", _FAR_ADDRESS)
        _run(*_inside(far), "ip", "link", "set", "lo", "up")
        _run("ip", "route", "add", "10.12.0.0/24", "via", _ROUTER[0])
        _run(*_inside(far), "ip", "route", "add", "10.11.0.0/24", "via", _ROUTER[1])
        for port in ("near1", "far1"):
            shape = ("tc", "qdisc", "add", "dev", port, "root", "tbf", "rate", rate, "burst", "16kb", "limit", "64kb")
            _run(*_inside(router), *shape)
        link = CuttableLink(router, far)
        link.mend()
        yield link
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


def _inside(pid: int) -> tuple[str, ...]:
    return ("nsenter", "--target", str(pid), "--net")


def _address(inside: tuple[str, ...], device: str, address: str) -> None:
    _run(*inside, "ip", "address", "add", f"{address}/24", "dev", device)
    _run(*inside, "ip", "link", "set", device, "up")


def _wait_for_namespace(pid: int) -> int:
    """Return ``pid`` once ``unshare`` has given it a namespace of its own."""
    import os
    import time

    own = os.readlink("/proc/self/ns/net")
    deadline_s = time.monotonic() + 10
    while os.readlink(f"/proc/{pid}/ns/net") == own:
        if time.monotonic() > deadline_s:
            raise RuntimeError("no network namespace could be made: run under 'unshare --map-root-user --net'")
        time.sleep(0.01)
    return pid


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
