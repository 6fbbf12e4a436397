"""A real Flower deployment on 127.0.0.1: a SuperLink, SuperNodes and ``flwr run``, ended by process id.

Nothing here reaches beyond the loopback interface: telemetry, the update check and the installation of an app's dependencies are
switched off, and every port is one the kernel has just named as free.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

COMMANDS = ("flower-superlink", "flower-supernode", "flower-superexec", "flwr", "flwr-serverapp", "flwr-clientapp")
START_LIMIT_S = 120.0
"""Process starts take seconds on a free machine; a loaded one may need far longer."""


def find_command(name: str) -> str | None:
    """Return where a Flower command lies: beside this Python, or on the path."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def missing_commands() -> list[str]:
    """Return the Flower commands that are not installed."""
    return [name for name in COMMANDS if find_command(name) is None]


def free_port() -> int:
    """Return a port on 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Deployment:
    """A SuperLink and its SuperNodes; use ``start`` (a context manager), then ``run``.

    Args:
        folder: Gets FLWR_HOME and one log for each process.
        certificates: CA certificate, server certificate and key for TLS; None for plain HTTP.
        host: Address on which the SuperLink listens.
        node_prefix: Words before a SuperNode's command, to run it in another network namespace.
    """

    def __init__(
        self,
        folder: Path,
        certificates: tuple[Path, Path, Path] | None = None,
        *,
        host: str = "127.0.0.1",
        node_prefix: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._host = host
        self._node_prefix = tuple(node_prefix)
        self.port = free_port()
        self._certificates = certificates
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._environment = {
            **os.environ,
            "FLWR_HOME": str(folder / "flwr"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "NO_PROXY": "*",
            "OMP_NUM_THREADS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }

    # -- start and end ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def start(
        self, nodes: int, *, reach: Callable[[int, int], int] | None = None, partitions: int | None = None
    ) -> Iterator[Deployment]:
        """Run the SuperLink and ``nodes`` SuperNodes for as long as the block lasts.

        Args:
            nodes: How many SuperNodes.
            reach: Given a node's index and the SuperLink's port, returns the port that SuperNode is to use (a recorder's).
            partitions: ``num-partitions`` of the node config; by default ``nodes``.
        """
        try:
            self._configure()
            self._spawn(
                "superlink", "flower-superlink", "--host", self._host, "--port", str(self.port), *self._link_tls()
            )
            self._wait_for_port("superlink", self.port)
            for index in range(nodes):
                self._start_node(index, reach(index, self.port) if reach else self.port, partitions or nodes)
            yield self
        finally:
            self._end()

    def _start_node(self, index: int, superlink_port: int, partitions: int) -> None:
        port = free_port()
        name = f"supernode-{index}"
        self._spawn(
            name, "flower-supernode", "--superlink", f"{self._host}:{superlink_port}", "--host", "127.0.0.1",
            "--port", str(port), "--node-config", f"partition-id={index} num-partitions={partitions}", *self._node_tls(),
            prefix=self._node_prefix,
        )  # fmt: skip
        if not self._node_prefix:
            self._wait_for_port(name, port)  # a port in another namespace cannot be asked from here

    def _configure(self) -> None:
        home = Path(self._environment["FLWR_HOME"])
        home.mkdir(parents=True)
        tls = "insecure = true" if self._certificates is None else f'root-certificates = "{self._certificates[0]}"'
        (home / "config.toml").write_text(
            f'[superlink]\ndefault = "loopback"\n\n[superlink.loopback]\naddress = "{self._host}:{self.port}"\n{tls}\n'
        )

    def _link_tls(self) -> list[str]:
        if self._certificates is None:
            return ["--insecure"]
        authority, certificate, key = map(str, self._certificates)
        return ["--ssl-ca-certfile", authority, "--ssl-certfile", certificate, "--ssl-keyfile", key]

    def _node_tls(self) -> list[str]:
        return ["--insecure"] if self._certificates is None else ["--root-certificates", str(self._certificates[0])]

    def _spawn(self, name: str, command: str, *arguments: str, prefix: Sequence[str] = ()) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*prefix, find_command(command) or command, *arguments], stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env=self._environment, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        self._started.append((name, process))

    def _address_of(self, name: str) -> str:
        return self._host if name == "superlink" else "127.0.0.1"

    def _wait_for_port(self, name: str, port: int) -> None:
        deadline_s = time.monotonic() + START_LIMIT_S
        process = dict(self._started)[name]
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError), socket.create_connection((self._address_of(name), port), timeout=1):
                return
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.log(name)[-3000:]}")
            time.sleep(0.2)
        raise TimeoutError(f"{name} does not listen after {START_LIMIT_S:.0f} s:\n{self.log(name)[-3000:]}")

    def _end(self) -> None:
        """End what was started, last first; each leads a session of its own, so that its children go with it."""
        for ask in (signal.SIGTERM, signal.SIGKILL):
            for _, process in reversed(self._started):
                if process.poll() is None or ask is signal.SIGKILL:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(process.pid, ask)
            deadline_s = time.monotonic() + 15
            for _, process in self._started:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.1, deadline_s - time.monotonic()))

    # -- use ----------------------------------------------------------------------------------------------------

    def log(self, name: str) -> str:
        """Return what a process has written."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def pid(self, name: str) -> int:
        """Return the process id of what was started under this name."""
        return dict(self._started)[name].pid

    def wait_for_log(self, name: str, text: str, limit_s: float) -> None:
        """Wait until a process has written ``text``.

        Raises:
            TimeoutError: It has not after ``limit_s``.
        """
        deadline_s = time.monotonic() + limit_s
        while text not in self.log(name):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{name} has not written {text!r} after {limit_s:.0f} s:\n{self._logs()}")
            time.sleep(0.1)

    def run(self, app: Path, config: Mapping[str, Any], *, limit_s: float) -> tuple[str, str]:
        """Submit an app and wait until its run is over; return the run's status and its log.

        Raises:
            RuntimeError: ``flwr run`` failed or the run was not over after ``limit_s``.
        """
        overrides = " ".join(f"{key}={json.dumps(value)}" for key, value in config.items())
        output = self._flwr(limit_s, "run", str(app), "loopback", "--run-config", overrides, "--stream")
        listed = json.loads(self._flwr(START_LIMIT_S, "ls", "loopback", "--format", "json"))
        return str(listed["runs"][0]["status"]), output

    def _flwr(self, limit_s: float, *arguments: str) -> str:
        try:
            done = subprocess.run(
                [find_command("flwr") or "flwr", *arguments], capture_output=True, text=True, timeout=limit_s,
                env={**self._environment, "COLUMNS": "200", "NO_COLOR": "1"}, cwd=self.folder, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as expired:
            raise RuntimeError(f"flwr {arguments[0]} is not done after {limit_s:.0f} s:\n{self._logs()}") from expired
        if done.returncode != 0:
            raise RuntimeError(
                f"flwr {arguments[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}\n{self._logs()}"
            )
        return done.stdout + ("" if "json" in arguments else done.stderr)

    def _logs(self) -> str:
        return "\n".join(f"--- {name}\n{self.log(name)[-2000:]}" for name, _ in self._started)
