"""A pool of forked worker processes that run ClientApp calls, and the journal that remembers them.

Workers are forked from the process that has imported the app, so imports are paid once and memory is shared. The ServerApp
runs in none of them. Results do not depend on the number of workers, unless an app carries state in module globals and has not
asked for ``fresh_process``.
"""

from __future__ import annotations

import gc
import heapq
import math
import multiprocessing
import os
import queue
import selectors
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from emulator.flower import adapter
from emulator.flower.journal import Journal
from emulator.flower.logs import log_to_stderr
from emulator.flower.worker import Job, Outcome, call, call_in_child
from emulator.interrupts import raise_if_interrupted

_FORK = multiprocessing.get_context("fork")
STOCK_S = 0.1
LARGEST_STOCK_S = 0.5
MOST_IN_STOCK = 1024
"""How much work, and how many jobs, a worker may hold: half its share of what is queued, within these bounds (guided
self-scheduling, Polychronopoulos and Kuck 1987). Short calls follow each other without a pause while the world is being
computed; behind a long call a waiting job would only miss another worker that becomes free."""

CORES_VARIABLE = "PYTHON_CPU_COUNT"
"""How Python programs are told how many cores are theirs (``os.process_cpu_count`` reads it from 3.13 on)."""
INTERRUPT_CHECK_S = 0.25
"""How often a wait for a worker looks whether the user has pressed Ctrl-C."""


class Executor:
    """Runs jobs in ``workers`` processes; ``submit`` early, ``result`` when the answer is needed.

    Args:
        client_app: The imported ClientApp.
        run_config: Flower run config of the run.
        workers: Number of processes, at least 1.
        journal: Remembers finished calls, so that an interrupted run goes on without repeating them.
        log_path: Where the workers' standard output and error go.
        fresh_process: Run each call in a process of its own, forked from the worker.
    """

    def __init__(
        self,
        client_app: Any,
        run_config: Mapping[str, Any],
        *,
        workers: int,
        journal: Journal,
        log_path: Path,
        fresh_process: bool = False,
    ) -> None:
        self._client_app = client_app
        self._run_config = run_config
        self._journal = journal
        self._log_path = log_path
        self._call = call_in_child if fresh_process else call
        self._wanted_workers = workers
        self._workers: dict[Connection, Any] = {}
        self._selector = selectors.DefaultSelector()
        self._running: dict[Connection, deque[tuple[Job, float]]] = {}
        self._held_s: dict[Connection, float] = {}
        self._started: set[str] = set()
        self._retried: set[str] = set()
        self._queue: dict[str, Job] = {}
        self._order: list[tuple[float, int, str]] = []
        self._queued = 0
        self._done: dict[str, Outcome] = {}
        self._expected_s: dict[int, float] = {}
        self._wanted_key = ""
        self.cpu_s = 0.0
        self.calls = 0
        for _ in range(workers):  # now, before the ServerApp runs: workers know nothing of what it does
            self._start_worker()

    def submit(self, job: Job) -> None:
        """Queue ``job`` unless it is known already; it starts as soon as a worker is free."""
        if job.key in self._queue or job.key in self._done or job.key in self._started:
            return
        remembered = self._journal.find(job)
        if remembered is not None:
            self._done[job.key] = remembered
            return
        self._enqueue(job)
        self._pump()

    def result(self, job: Job) -> Outcome:
        """Return the outcome of ``job``, waiting for it; a job waited for goes to the head of the queue."""
        self.submit(job)
        self._wanted_key = job.key
        while job.key not in self._done:
            raise_if_interrupted()
            self._pump()
            if job.key not in self._done:
                self._collect(block=True)
        return self._done.pop(job.key)

    def close(self) -> None:
        """End the workers; calls under way are dropped."""
        for connection, process in self._workers.items():
            connection.close()
            process.terminate()
        for process in self._workers.values():
            process.join()
        self._selector.close()
        self._workers.clear()
        self._running.clear()

    def _pump(self) -> None:
        self._collect(block=False)
        while self._queue:
            connection = self._freest_worker()
            if connection is None:
                return
            job = self._next_job()
            expected_s = self._expected_s.get(job.node_id, self._mean_s())
            self._started.add(job.key)
            self._running[connection].append((job, expected_s))
            self._held_s[connection] += expected_s
            try:
                connection.send(job)
            except OSError:  # the worker died while idle: it is buried and the job starts anew elsewhere
                self._running[connection].pop()
                self._started.discard(job.key)
                self._enqueue(job)
                self._remove(connection)

    def _next_job(self) -> Job:
        """Take the job to start next: the one waited for, else the longest, so that no long one is left for the end."""
        key = self._wanted_key
        while key not in self._queue:
            key = heapq.heappop(self._order)[-1]
        return self._queue.pop(key)

    def _enqueue(self, job: Job) -> None:
        self._queue[job.key] = job
        self._queued += 1
        heapq.heappush(self._order, (-self._expected_s.get(job.node_id, math.inf), self._queued, job.key))

    def _freest_worker(self) -> Connection | None:
        """Return a worker that can take a job, starting one where there are fewer than wanted; None where all are full."""
        if len(self._workers) < self._wanted_workers and all(self._running[c] for c in self._workers):
            return self._start_worker()
        connection = min(self._workers, key=lambda c: len(self._running[c]))
        held = len(self._running[connection])
        share_s = len(self._queue) * self._mean_s() / (2 * self._wanted_workers) if held else 0.0
        is_short = self._held_s[connection] < max(STOCK_S, min(share_s, LARGEST_STOCK_S))
        return connection if held == 0 or (held < MOST_IN_STOCK and is_short) else None

    def _mean_s(self) -> float:
        """Return how long a call takes that nothing is known of: as long as those before it."""
        return self.cpu_s / self.calls if self.calls else math.inf

    def _collect(self, *, block: bool) -> None:
        if not any(self._running.values()):
            return
        for ready, _ in self._selector.select(INTERRUPT_CHECK_S if block else 0):
            connection: Connection = ready.data
            if not self._running[connection]:  # it has died idle
                self._remove(connection)
                continue
            job, expected_s = self._running[connection].popleft()
            self._held_s[connection] = self._held_s[connection] - expected_s if self._running[connection] else 0.0
            try:
                outcome: Outcome = connection.recv()
            except (EOFError, ConnectionResetError):
                self._started.discard(job.key)
                exit_code = self._remove(connection)
                if exit_code < 0 and job.key not in self._retried:
                    self._retried.add(job.key)  # killed from outside, by the host's memory killer perhaps: once more
                    self._enqueue(job)
                    continue
                self._done[job.key] = _crashed(job, exit_code)
                continue
            self._started.discard(job.key)
            self.cpu_s += outcome.cpu_s
            self._expected_s[job.node_id] = outcome.cpu_s
            self.calls += 1
            self._journal.remember(job, outcome)
            self._done[job.key] = outcome

    def _start_worker(self) -> Connection:
        gc.freeze()  # keeps the collector from writing to pages the worker shares with this process
        ours, theirs = _FORK.Pipe()
        process = _FORK.Process(
            target=_worker_main,
            args=(theirs, [ours, *self._workers], self._client_app, self._run_config, self._log_path, self._call),
        )
        process.daemon = True
        process.start()
        theirs.close()
        self._workers[ours] = process
        self._running[ours], self._held_s[ours] = deque(), 0.0
        self._selector.register(ours, selectors.EVENT_READ, ours)
        return ours

    def _remove(self, connection: Connection) -> int:
        """Forget a worker that has died; jobs waiting behind its last one start anew. Returns its exit code."""
        process = self._workers.pop(connection)
        self._selector.unregister(connection)
        del self._held_s[connection]
        for waiting, _ in reversed(self._running.pop(connection)):
            self._started.discard(waiting.key)
            self._enqueue(waiting)
        process.join()
        connection.close()
        return int(process.exitcode or 0)


def _crashed(job: Job, exit_code: int) -> Outcome:
    """Return Flower's error reply for a ClientApp process that ended by itself. It is not kept in the journal."""
    message = adapter.message_from_bytes(job.message)
    reason = f"the ClientApp process ended with exit code {exit_code}"
    reply = adapter.error_reply(message.metadata, adapter.CRASHED, reason, message.metadata.created_at)
    return Outcome(
        reply=adapter.message_to_bytes(reply), state=job.state, sizes=adapter.object_sizes(reply), work=None, cpu_s=0.0,
        peak_bytes=0, error=reason, metrics={},
    )  # fmt: skip


def _worker_main(
    connection: Connection,
    others: list[Connection],
    client_app: Any,
    run_config: Mapping[str, Any],
    log_path: Path,
    carry_out: Callable[[Any, Job, Mapping[str, Any]], Outcome],
) -> None:
    for other in others:  # inherited ends of other workers' pipes would keep those alive
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ[CORES_VARIABLE] = "1"  # one call, one core: the others belong to the other workers
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    log_to_stderr()
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, jobs), daemon=True).start()
    while True:
        job = jobs.get()
        outcome = carry_out(client_app, job, run_config)
        if outcome.error:
            sys.stderr.write(f"{job.key}:\n{outcome.error}\n")
        connection.send(outcome)


def _receive(connection: Connection, jobs: queue.SimpleQueue[Job]) -> None:
    """Take jobs off the pipe while a call runs, so that neither side ever waits for the other to read."""
    while True:
        try:
            jobs.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)  # the parent is gone; skips the exit handlers inherited from it
