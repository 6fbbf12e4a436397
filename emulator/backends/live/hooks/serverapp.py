"""Notes what the ServerApp does: rounds, messages pushed, replies pulled, metrics; keeps the global model of every round."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from emulator.backends.live.hooks.job import Name, NodeJob, node_job, open_journal, remember_name, run_folder
from emulator.backends.live.hooks.pacing import PacedTime
from emulator.backends.live.hooks.serverwork import ServerWork
from emulator.backends.live.journal import Journal, read_rows
from emulator.backends.live.rounds import RoundKeeper
from emulator.rng import derive_seed

LOST: Final = "lost"
"""How the outcome of a ServerApp begins that was ended by a placed fault."""


def watch_serverapp() -> None:
    """Wrap the ServerApp's Grid and Flower's strategies; the run's time 0 is when the ServerApp is called."""
    from flwr.superlink.grid.http_grid import HttpGrid

    from emulator.flower.appinfo import read_app_info
    from emulator.flower.audit import keep_files
    from emulator.flower.observe import observed_strategies
    from emulator.flower.worker import prepare_process

    flower: Any = import_module("flwr.superlink.runtime.run_serverapp")  # the package has a function of that name
    journal, job = open_journal("serverapp"), node_job()
    rounds = RoundKeeper(lambda what, **fields: journal.write(what, **fields))
    info = read_app_info(Path(job.app_path))
    work = ServerWork(job.device, reports_work=info.reports_work, journal=journal, round_number=lambda: rounds.number)
    watch = _GridWatch(journal, rounds, work)
    observer = _Observer(journal, rounds, run_folder().parent / "weights")
    watch.on_push = observer.on_push
    grid: Any = import_module("flwr.superlink.grid.http_grid")
    grid.time = PacedTime({3: job.flower.serverapp_poll_s})
    push, pull, exchange, run = HttpGrid.push_messages, HttpGrid.pull_messages, HttpGrid.send_and_receive, flower.run_

    def push_messages(self: Any, messages: Iterable[Any]) -> Any:
        given = list(messages)
        with work.paused():
            return watch.push(lambda batch: push(self, batch), given)

    def pull_messages(self: Any, message_ids: Iterable[str]) -> Any:
        _end_where_placed(job, rounds.number, journal)
        with work.paused():
            return watch.pull(list(pull(self, message_ids)))

    def send_and_receive(self: Any, messages: Iterable[Any], **named: Any) -> Any:
        before, given = rounds.waiting(), list(messages)
        with work.paused():
            replies = exchange(self, given, **named)
        rounds.abandon_but(before)
        return replies

    def watched_run(*arguments: Any, **named: Any) -> Any:
        prepare_process(derive_seed(job.seed, "serverapp"))
        journal.write("serverapp_started")
        outcome = "failed"
        try:
            with observed_strategies(observer):
                work.begin(named["context"].state)
                result = run(*arguments, **named)
            work.settle()
            outcome = "finished"
            return result
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
            raise
        finally:
            keep_files(run_folder().parent, named["context"].state)
            rounds.end()
            journal.write("serverapp_ended", outcome=outcome)

    # Flower has no hook between ServerApp and Grid: its own methods are wrapped in this process alone.
    HttpGrid.push_messages = push_messages  # type: ignore[method-assign]
    HttpGrid.pull_messages = pull_messages  # type: ignore[method-assign]
    HttpGrid.send_and_receive = send_and_receive  # type: ignore[method-assign]
    flower.run_ = watched_run


def _end_where_placed(job: NodeJob, round_number: int, journal: Journal) -> None:
    """End this process for good, as a crash would, where the plan places its loss in a round: all messages are out now."""
    if any(fault.phase == "serve" and fault.round <= round_number for fault in job.placed):
        journal.write("serverapp_ended", outcome=f"{LOST} in round {round_number} (server_app_loss)")
        os.kill(os.getpid(), signal.SIGKILL)


class _GridWatch:
    """Names messages and notes their ways in and out of the ServerApp."""

    def __init__(self, journal: Journal, rounds: RoundKeeper, work: ServerWork) -> None:
        self._journal, self._rounds, self._work = journal, rounds, work
        self._count: Counter[int] = Counter()
        self._names: dict[str, tuple[Name, str]] = {}
        self._nodes: dict[int, str] = {}
        self.on_push: Callable[[int, Any], None] = lambda _round, _message: None

    def push(self, push: Callable[[list[Any]], Any], messages: list[Any]) -> Any:
        """Push, with every message named before any node can see it."""
        from emulator.flower import adapter

        number = self._rounds.enter(
            [(m.metadata.dst_node_id, m.metadata.message_type, m.metadata.group_id) for m in messages]
        )
        for message in messages:
            self.on_push(number, message)
            node_id, began_s = message.metadata.dst_node_id, time.monotonic()
            node = self._node(node_id)
            self._count[node_id] += 1
            name = Name(f"{node}#{self._count[node_id]}", number)
            message_id = message.object_id
            self._names[message_id] = (name, node)
            remember_name(message_id, name)
            sizes = adapter.object_sizes(message)
            self._journal.write(
                "pushed", began_s, node=node, key=name.key, round=number, size_bytes=sizes.total_bytes,
                note=message.metadata.message_type,
            )  # fmt: skip
            self._rounds.sent(name.key)
        return push(messages)

    def pull(self, replies: list[Any]) -> list[Any]:
        """Note the replies handed to the ServerApp."""
        from emulator.flower import adapter

        for reply in replies:
            name, node = self._names[reply.metadata.reply_to_message_id]
            is_good = not reply.has_error()
            self._rounds.replied(name.key, node, is_good=is_good)
            self._work.received(reply)
            self._journal.write(
                "pulled", node=node, key=name.key, round=name.round,
                size_bytes=adapter.object_sizes(reply).total_bytes, note="ok" if is_good else reply.error.reason or "error",
            )  # fmt: skip
        return replies

    def _node(self, node_id: int) -> str:
        """Return the plan's node behind Flower's number: the SuperNodes note it when they join."""
        if node_id not in self._nodes:
            for path in (run_folder() / "journals").glob("*-supernode.jsonl"):
                self._nodes.update(
                    (row["node_id"], row["node"]) for row in read_rows(path) if row["what"] == "connected"
                )
        return self._nodes[node_id]


class _Observer:
    """Keeps what a strategy reports (see ``emulator.flower.observe``), and the models that other ServerApps push."""

    def __init__(self, journal: Journal, rounds: RoundKeeper, weights: Path) -> None:
        self._journal, self._rounds, self._weights = journal, rounds, weights
        self._rounds_before = 0
        self._sees_strategy = False
        weights.mkdir(parents=True, exist_ok=True)

    def on_start(self) -> None:
        self._sees_strategy = True
        self._rounds_before = self._rounds.number
        self._rounds.trust_strategy(True)

    def on_end(self) -> None:
        self._rounds.trust_strategy(False)

    def on_round(self) -> None:
        self._rounds.begin()

    def on_arrays(self, round_number: int, arrays: Any) -> None:
        number = self._rounds_before + round_number
        if round_number > 0 or not self._path(number).exists():
            self._save(number, arrays)

    def on_metrics(self, round_number: int, source: str, metrics: Any) -> None:
        prefix = "" if source == "server" else f"{source}."
        for name, value in sorted(metrics.items()):
            if isinstance(value, (int, float)):
                number = self._rounds_before + round_number
                self._journal.write("metric", round=number, value=value, note=f"{prefix}{name}")

    def on_push(self, round_number: int, message: Any) -> None:
        if self._sees_strategy or not message.metadata.message_type.startswith("train"):
            return
        records = list(message.content.array_records.values())
        if records and not self._path(round_number - 1).exists():
            self._save(round_number - 1, records[0])

    def _save(self, round_number: int, arrays: Any) -> None:
        import numpy as np
        from safetensors.numpy import save_file

        data = {name: np.require(array.numpy(), requirements="C") for name, array in arrays.items()}
        save_file(data, self._path(round_number), metadata={"round": str(round_number)})

    def _path(self, round_number: int) -> Path:
        return self._weights / f"round-{round_number:03d}.safetensors"
