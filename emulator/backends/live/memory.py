"""Notes which ClientApps the kernel has ended because they had no memory left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.backends.live.cgroups import kills
from emulator.backends.live.job import LiveJob
from emulator.backends.live.journal import Journal, read_rows

OUT_OF_MEMORY = "out of memory"


class MemoryWatch:
    """Looks at the kernel's counters of every node's group.

    Args:
        job: The run's job.
        hosts: Short names by node.
        journal: Gets a row like the one a ClientApp writes that ends by itself: a killed process writes none.
    """

    def __init__(self, job: LiveJob, hosts: Mapping[str, str], journal: Journal) -> None:
        self._job, self._journal = job, journal
        self._nodes = {host: node for node, host in hosts.items() if host in job.groups}
        self._seen = dict.fromkeys(self._nodes, 0)

    def look(self) -> None:
        """Write down what has happened since the last look."""
        for host, node in self._nodes.items():
            count = kills(self._job.groups[host])
            if count > self._seen[host]:
                self._seen[host] = count
                self._tell(host, node)

    def _tell(self, host: str, node: str) -> None:
        """A process may be killed before it has its message: then the computation begins and is lost at once."""
        begun, taken = (
            self._last(host, "clientapp", "compute_started"),
            self._last(host, "supernode", "download_started"),
        )
        if taken is None:
            return
        message = {"node": node, "key": taken["key"], "round": taken["round"]}
        if begun is None or begun["key"] != taken["key"]:
            self._journal.write("compute_started", **message, note=self._kind(taken["key"]))
        self._journal.write("compute_lost", **message, why=OUT_OF_MEMORY)

    def _last(self, host: str, process: str, what: str) -> dict[str, Any] | None:
        path = self._job.journals / f"{host}-{process}.jsonl"
        rows = list(read_rows(path)) if path.exists() else []
        return next((row for row in reversed(rows) if row["what"] == what), None)

    def _kind(self, key: str) -> str:
        """Return what a message asks for, by the ServerApp's journal."""
        rows = (row for path in self._job.journals.glob("*-serverapp.jsonl") for row in read_rows(path))
        kinds = [str(row["note"]) for row in rows if row["what"] == "pushed" and row["key"] == key]
        return kinds[0].split(".")[0] if kinds else "train"
