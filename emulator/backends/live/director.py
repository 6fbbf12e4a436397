"""Carries out a live run inside its sandbox: builds the network, starts Flower, replays the faults, ends everything.

It runs in network, process and mount namespaces of its own (``sandbox``); whatever it starts ends with it. What it
has to say goes to its
journal: ``ready`` when all SuperNodes have joined, ``failed`` with a sentence, ``ended`` at the end.
"""

from __future__ import annotations

import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from emulator.backends.live import commands
from emulator.backends.live.cgroups import bind_groups
from emulator.backends.live.credentials import NodeKey, ServerFiles, make_node_key, make_server_files
from emulator.backends.live.faults import Action, node_actions, off_at_start
from emulator.backends.live.hooks.job import left_mark, write_node_job
from emulator.backends.live.hooks.superlink import LEASE_VARIABLE
from emulator.backends.live.hooks.supernode import CRASHED_ON_PURPOSE
from emulator.backends.live.job import LiveJob, read_job
from emulator.backends.live.journal import Journal, read_rows
from emulator.backends.live.memory import MemoryWatch
from emulator.backends.live.mininet_network import build_network
from emulator.backends.live.network import describe_network
from emulator.backends.live.probes import Probes
from emulator.backends.live.processes import Hosts, wait_until
from emulator.backends.live.shapers import start_shaper
from emulator.backends.live.streams import start_streams
from emulator.errors import BackendUnavailable, EmulatorError
from emulator.flower.nodeconfig import partition_configs
from emulator.plan import Plan

STARTS_AT_ONCE: Final = 4
LOOK_S: Final = 0.02
RESTART_S: Final = 5.0
"""Pause before a SuperNode that ended by itself is started again, as a service manager would be told."""


class Director:
    """See the module docstring."""

    def __init__(self, job: LiveJob, plan: Plan) -> None:
        self._job, self._plan = job, plan
        self._configs = partition_configs(plan)
        self._journal = Journal(job.journals, "director")
        self._network = describe_network(plan)
        self._host = {host.node: host.name for host in self._network.hosts}
        self._server = self._network.host_of(plan.server.name)
        self._files: ServerFiles = make_server_files(job.path / "keys", self._server.address)
        self._keys: dict[str, NodeKey] = {}
        self._off = off_at_start(plan)
        self._powered = {node.name for node in plan.clients} - self._off

    def run(self) -> None:
        """Carry out the run.

        Raises:
            BackendUnavailable: Something did not come up; one sentence says what.
        """
        began_s = time.monotonic()
        # before the hosts are made: they get a copy of what is mounted now
        self._job = replace(self._job, groups=bind_groups(self._job.groups, self._job.path / "groups"))
        self._memory = MemoryWatch(self._job, self._host, self._journal)
        built = build_network(self._network, self._job.shaper, self._job.congestion_control)
        home, watched = self._job.path / "flwr", self._job.path / "bin"
        commands.write_watched_commands(watched)
        self._hosts = Hosts(built, self._job.path, self._environment(home, watched))
        self._shaper = start_shaper(self._job, self._plan, self._network, self._hosts)
        self._streams = start_streams(self._job, self._plan, self._network, self._hosts)
        self._start_superlink(home)
        self._start_supernodes()
        self._journal.write("ready", bring_up_s=time.monotonic() - began_s, shaper=self._job.shaper)
        with Probes(self._journal, self._job.journals):
            zero_s = self._start_app()
            self._journal.write("began", zero_s)
            self._shaper.begin(zero_s)
            self._streams.begin(zero_s)
            self._live_through(zero_s)
            self._shaper.end()
        self._journal.write("ended", **self._interface_counts(built))

    def _environment(self, home: Path, watched: Path) -> dict[str, str]:
        lease = {} if self._job.lease_s is None else {LEASE_VARIABLE: f"{self._job.lease_s:g}"}
        return {**commands.environment(home, watched, self._plan.flower), **lease}

    # -- Flower -------------------------------------------------------------------------------------------------

    def _start_superlink(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(commands.connection_config(self._server.address, self._files))
        write_node_job(self._job, self._plan, self._plan.server, self._server.name)
        database = self._job.path / "superlink.db"
        command = commands.superlink(self._server.address, self._files, database)
        self._hosts.start("superlink", self._server.name, [*commands.watched(command[0]), *command[1:]])
        port = f":{commands.SUPERLINK_PORT:04X}"
        tcp = Path(f"/proc/{self._hosts.process_of(self._server.name)}/net/tcp")

        def is_listening() -> bool:
            rows = (line.split() for line in tcp.read_text().splitlines()[1:])
            return any(row[1].endswith(port) and row[3] == "0A" for row in rows)

        if not wait_until(
            lambda: is_listening() or not self._hosts.is_running("superlink"), self._job.start_limit_s
        ) or (not self._hosts.is_running("superlink")):
            raise BackendUnavailable(
                f"the SuperLink did not come up within {self._job.start_limit_s:.0f} s; the end of its log:\n"
                + self._hosts.last_words("superlink")
            )

    def _start_supernodes(self) -> None:
        for node in self._plan.clients:
            host = self._host[node.name]
            write_node_job(self._job, self._plan, node, host)
            self._keys[node.name] = make_node_key(self._job.path / "keys", host)
        status = self._hosts.complete(
            "register", self._server.name, commands.register(list(self._keys.values())), self._job.start_limit_s
        )
        if status != 0:
            raise BackendUnavailable(
                f"the SuperLink refused the SuperNodes' keys (exit {status}):\n" + self._hosts.last_words("register")
            )
        names = [node.name for node in self._plan.clients if node.name not in self._off]
        for first in range(0, len(names), STARTS_AT_ONCE):
            batch = names[first : first + STARTS_AT_ONCE]
            for name in batch:
                self._start_supernode(name)
            if not wait_until(lambda batch=batch: all(map(self._has_joined, batch)), self._job.start_limit_s):
                missing = [name for name in batch if not self._has_joined(name)]
                raise BackendUnavailable(
                    f"{len(missing)} SuperNodes did not join within {self._job.start_limit_s:.0f} s: {', '.join(missing)}; "
                    f"the end of the first one's log:\n" + self._hosts.last_words(self._host[missing[0]])
                )

    def _start_supernode(self, node: str) -> None:
        host = self._host[node]
        command = commands.supernode(self._server.address, self._files, self._keys[node], self._configs[node])
        self._hosts.start(host, host, [*commands.watched(command[0]), *command[1:]])

    def _has_joined(self, node: str) -> bool:
        path = self._job.journals / f"{self._host[node]}-supernode.jsonl"
        return path.exists() and any(row["what"] == "connected" for row in read_rows(path))

    def _start_app(self) -> float:
        """Submit the app; return when its ServerApp was called, the run's time 0."""
        submit = commands.submit(Path(self._plan.app.path), self._plan.app.run_config)
        status = self._hosts.complete("submit", self._server.name, submit, self._job.start_limit_s)
        if status != 0:
            raise BackendUnavailable(
                f"'flwr run' did not start the app (exit {status}):\n" + self._hosts.last_words("submit")
            )
        if not wait_until(
            lambda: self._serverapp_row("serverapp_started") is not None, self._job.start_limit_s, every_s=LOOK_S
        ):
            raise BackendUnavailable(
                f"the ServerApp did not start within {self._job.start_limit_s:.0f} s; the end of the SuperLink's log:\n"
                + self._hosts.last_words("superlink")
            )
        row = self._serverapp_row("serverapp_started")
        assert row is not None  # waited for above
        return float(row["at_s"])

    def _serverapp_row(self, what: str) -> dict[str, Any] | None:
        path = self._job.journals / f"{self._server.name}-serverapp.jsonl"
        return next((row for row in read_rows(path) if row["what"] == what), None) if path.exists() else None

    # -- the run ------------------------------------------------------------------------------------------------

    def _live_through(self, zero_s: float) -> None:
        """Replay faults at their offsets until the ServerApp has ended or the slice is over."""
        agenda: list[Action] = node_actions(self._plan)
        end_s = zero_s + self._job.for_s if self._job.for_s is not None else float("inf")
        looked_s = 0.0
        while True:
            now_s = time.monotonic()
            while agenda and zero_s + agenda[0].at_s <= now_s:
                self._act(agenda.pop(0))
            self._shaper.replay(now_s - zero_s)
            agenda += self._supervise(now_s - zero_s)
            agenda.sort(key=lambda action: action.at_s)
            if now_s >= looked_s + 0.2:
                looked_s = now_s
                self._memory.look()
                if self._serverapp_row("serverapp_ended") is not None:
                    return
                if not self._hosts.is_running("superlink"):
                    raise EmulatorError(
                        "the SuperLink ended in the middle of the run:\n" + self._hosts.last_words("superlink")
                    )
            if now_s >= end_s:
                self._journal.write("slice_over")
                return
            time.sleep(LOOK_S)

    def _act(self, action: Action) -> None:
        self._journal.write("action", node=action.node, action=action.what, cause=action.cause, planned_s=action.at_s)
        is_client = action.node in self._keys
        if action.what == "down" and is_client:
            self._powered.discard(action.node)
            self._hosts.end(self._host[action.node], signal.SIGKILL)
            self._hosts.forget(self._host[action.node])
        elif action.what == "up":
            self._powered.add(action.node)
        elif action.what == "boot" and is_client and action.node in self._powered:
            self._start_supernode(action.node)

    def _supervise(self, now_s: float) -> list[Action]:
        """Return the starts of SuperNodes that have ended by themselves.

        One that carried out a placed crash boots like its device; one that left stays away; any other is started
        again as a service would be. The SuperLink refuses a SuperNode whose earlier life it still takes for online,
        and Flower's SuperNode then ends.
        """
        starts = []
        for node in sorted(self._powered):
            name = self._host[node]
            status = self._hosts.status(name)
            if status is None:
                continue
            self._hosts.forget(name)
            if left_mark(self._job.path, name).exists():
                self._act(Action(now_s, node, "down", "left for good"))
            elif status == CRASHED_ON_PURPOSE:
                self._act(Action(now_s, node, "down", "crash"))
                self._act(Action(now_s, node, "up"))
                device = self._plan.node_by_name[node].device
                starts.append(Action(now_s + ((device.boot_s if device else None) or 0.0), node, "boot"))
            else:
                self._journal.write("supernode_ended", node=node, status=status)
                starts.append(Action(now_s + RESTART_S, node, "boot", "service restarted"))
        return starts

    def _interface_counts(self, built: Any) -> dict[str, Any]:
        """Return the kernel's own counters of every wire's interfaces, an independent witness of the shaper's."""
        counts = {}
        for host in self._network.hosts:
            for line in Path(f"/proc/{built[host.name].pid}/net/dev").read_text().splitlines()[2:]:
                name, rest = line.split(":", 1)
                fields = [int(text) for text in rest.split()]
                counts[name.strip()] = {"received_bytes": fields[0], "sent_bytes": fields[8], "send_drops": fields[11]}
        counts.pop("lo", None)
        return {"interfaces": counts, "wires": {w.name: w.link.name for w in self._network.wires}}


def main(job_path: str) -> int:
    """Carry out the job; exit status 0 when the run came to its end, else 1 with the reason in the director's journal."""
    job, plan = read_job(Path(job_path))
    try:
        Director(job, plan).run()
    except EmulatorError as error:
        Journal(job.journals, "director").write("failed", why=str(error), exit_code=error.exit_code)
        return 1
    except Exception:
        Journal(job.journals, "director").write("failed", why=traceback.format_exc(), exit_code=4)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
