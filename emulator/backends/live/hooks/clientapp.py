"""Makes a ClientApp call last as long as on its device (hold-until) and notes what it did.

The call runs at the machine's full speed. Two waits make up for the device, as in virtual time: before the message is
asked for (the part of the process's start until then), and before the reply is handed over (the rest of the start,
and the work, from the app's report or else the CPU time measured, times the device's factor). Where the machine was
slower than the device the wait is none, and how much it was late is noted: the run's verdict counts it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from emulator.backends.live.hooks.job import Name, NodeJob, mark_left, name_of, node_job, open_journal
from emulator.backends.live.journal import Journal
from emulator.compute.costs import fits_memory, seconds
from emulator.flower.protocol import START_BEFORE_MESSAGE
from emulator.rng import derive_seed


def watch_clientapp(started_s: float) -> None:
    """Wrap the ClientApp process that began at ``started_s``."""
    flower: Any = import_module("flwr.supernode.runtime.run_clientapp")  # the package has a function of that name
    call = _Call(node_job(), open_journal("clientapp"), started_s)
    pull = flower.pull_task_input

    def watched_pull(client: Any) -> Any:
        _sleep_until(call.asks_from_s)
        pulled = pull(client)
        call.has_message(pulled[0])
        return pulled

    flower.pull_task_input = watched_pull
    get_loader = flower.get_load_client_app_fn

    def watched_loader(*arguments: Any, **named: Any) -> Any:
        load = get_loader(*arguments, **named)

        def watched_load(*which: Any, **more: Any) -> Any:
            app = load(*which, **more)
            return lambda message, context: call.run(app, message, context)

        return watched_load

    flower.get_load_client_app_fn = watched_loader


class _Call:
    """One ClientApp call on its device."""

    def __init__(self, job: NodeJob, journal: Journal, started_s: float) -> None:
        assert job.device is not None  # the planner gives every client a device
        self._job, self._journal, self._device = job, journal, job.device
        self._start_s = seconds(job.device, {"process_starts": 1.0}) if job.holds else 0.0
        self._started_s = started_s
        self.asks_from_s = started_s + START_BEFORE_MESSAGE * self._start_s
        self._name, self._kind, self._begun_s = Name("", 0), "", started_s

    def has_message(self, message: Any) -> None:
        """The process has its message: the computation counts from here, less the start that went before."""
        ready_s = time.monotonic()
        self._name = name_of(message.metadata.message_id)
        self._kind = message.metadata.message_type.split(".")[0]
        self._begun_s = max(self._started_s, ready_s - START_BEFORE_MESSAGE * self._start_s)
        self._note("compute_started", self._begun_s, note=self._kind)

    def run(self, app: Any, message: Any, context: Any) -> Any:
        """Run the app as the virtual world runs it, and hold its reply until the device would have it."""
        from emulator.flower import worker

        worker.prepare_process(derive_seed(self._job.seed, "clientapp", self._name.key))
        resident_bytes = worker._start_peak()
        cpu_before_s = time.process_time()
        try:
            reply = app(message=message, context=context)
        except Exception:
            self._hold(None, time.process_time() - cpu_before_s)
            self._finish({})
            raise
        cpu_s = time.process_time() - cpu_before_s
        work = worker._take_work(reply)
        peak_bytes = max(0.0, float(worker._peak_bytes() - resident_bytes))
        if work is not None:
            peak_bytes = work.pop("peak_memory_bytes", 0.0)
        self._die_where_memory_ends(peak_bytes)
        self._hold(work, cpu_s)
        self._finish(worker._scalar_metrics(reply))
        return reply

    def _hold(self, work: Mapping[str, float] | None, cpu_s: float) -> None:
        """Wait until the device would be done; a fault placed in the training ends the process half way."""
        factor = self._device.cpu_time_factor or 1.0
        work_s = seconds(self._device, work) if work is not None else cpu_s * factor
        half_s, due_s = (self._begun_s + self._start_s + share * work_s for share in (0.5, 1.0))
        for fault in self._job.placed:
            if self._kind == "train" and (fault.round, fault.phase) == (self._name.round, "train"):
                _sleep_until(half_s)
                self._end(fault.action)
        late_s = time.monotonic() - due_s
        if not self._job.holds:
            return
        _sleep_until(due_s)
        self._note("held", late_s=max(0.0, late_s), seconds=due_s - self._begun_s)

    def _die_where_memory_ends(self, peak_bytes: float) -> None:
        if fits_memory(self._device, peak_bytes) is False:
            _sleep_until(self._begun_s + self._start_s)
            self._end("out of memory")

    def _end(self, why: str) -> None:
        """End this process as the system would, at once; where the node leaves, its SuperNode and all it has started too."""
        self._note("compute_lost", why=why)
        if why == "leave":
            mark_left(self._job.host)
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    def _finish(self, metrics: Mapping[str, float]) -> None:
        self._note("compute_finished", note=self._kind, metrics=dict(metrics))

    def _note(self, what: str, at_s: float | None = None, **fields: Any) -> None:
        self._journal.write(what, at_s, node=self._job.node, key=self._name.key, round=self._name.round, **fields)


def _sleep_until(at_s: float) -> None:
    left_s = at_s - time.monotonic()
    if left_s > 0:
        time.sleep(left_s)
