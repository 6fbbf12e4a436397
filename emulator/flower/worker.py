"""One ClientApp call: what happens in a worker process between a message in and a reply out.

Before each call the random generators, the thread count and Flower's task identity are set from the job, so that the reply
depends on the job alone and not on the worker or on what ran before. Module globals of an app do survive between calls in
a worker; a real SuperNode starts a fresh process per message.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import resource
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from flwr.app import Error, Message

from emulator.flower import adapter
from emulator.flower.adapter import ObjectSizes
from emulator.flower.clock import EPOCH_S, real_monotonic, virtual_time

WORK_REPORT: Final = "work-report"
"""Reserved ConfigRecord in a reply (and in the ServerApp's context state): units of work done, by name."""


@dataclass(frozen=True)
class Job:
    """A ClientApp call.

    Attributes:
        key: Names the call in the run: ``node#n`` for the n-th message to that node.
        node_id: Flower's number of the node.
        node_config: ``partition-id`` and ``num-partitions``, and what a hostile client is told.
        message: Serialised instruction message.
        state: Serialised ``Context.state`` of the node before the call.
        seed: Seed of every random generator in the call.
    """

    key: str
    node_id: int
    node_config: Mapping[str, str | int | float]
    message: bytes
    state: bytes
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What a call gave.

    Attributes:
        reply: Serialised reply message (content, or an error).
        state: Serialised ``Context.state`` after the call.
        sizes: Objects in which the reply travels.
        work: Units of work the app reported, or None where it reported none.
        cpu_s: CPU seconds of the call on the host.
        peak_bytes: Peak resident memory during the call above that at its start.
        slept_s: Seconds the ClientApp slept; they pass on the device without computing.
        error: Traceback where the ClientApp raised, else empty.
        metrics: Scalar metrics of the reply by name.
    """

    reply: bytes
    state: bytes
    sizes: ObjectSizes
    work: Mapping[str, float] | None
    cpu_s: float
    peak_bytes: int
    error: str
    metrics: Mapping[str, float]
    slept_s: float = 0.0


def prepare_process(seed: int) -> None:
    """Seed the global generators and fix the thread count, as at the start of a fresh, single-threaded process."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
        torch.set_num_threads(1)


def call(client_app: Any, job: Job, run_config: Mapping[str, Any]) -> Outcome:
    """Run the ClientApp on the job's message; an exception becomes Flower's error reply."""
    prepare_process(job.seed)
    adapter.set_identity(job.node_id, task_id=2)
    message = adapter.message_from_bytes(job.message)
    state = adapter.content_from_bytes(job.state)
    context = adapter.make_context(job.node_id, dict(job.node_config), state, dict(run_config))
    resident_bytes = _start_peak()
    clock = CallClock(message.metadata.created_at)
    cpu_before = time.process_time()
    error = ""
    try:
        with virtual_time(clock):
            reply = client_app(message=message, context=context)
        work = _take_work(reply)
    except Exception as raised:  # a ClientApp may raise anything; Flower turns it into an error reply
        error = traceback.format_exc()
        reason = f"{type(raised)}:<'{raised}'>"
        reply, work = Message(Error(code=adapter.RAISED, reason=reason), reply_to=message), None
    cpu_s = time.process_time() - cpu_before
    return Outcome(
        reply=adapter.message_to_bytes(reply),
        state=adapter.content_to_bytes(context.state),
        sizes=adapter.object_sizes(reply),
        work=work,
        cpu_s=cpu_s,
        peak_bytes=max(0, _peak_bytes() - resident_bytes),
        slept_s=clock.slept_s,
        error=error,
        metrics=_scalar_metrics(reply),
    )


def call_in_child(client_app: Any, job: Job, run_config: Mapping[str, Any]) -> Outcome:
    """Run `call` in a process forked for it, so that nothing it leaves in module globals lives on.

    Where that process ends by itself, the calling one ends the same way: to its parent a crash is a crash.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(call(client_app, job, run_config), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        os.kill(os.getpid(), -code)
    if code > 0:
        os._exit(code)
    outcome: Outcome = pickle.loads(answer)
    return outcome


def _take_work(reply: Message) -> dict[str, float] | None:
    if not reply.has_content() or WORK_REPORT not in reply.content:
        return None
    record = reply.content.pop(WORK_REPORT)
    return adapter.numbers(record)


def _scalar_metrics(reply: Message) -> dict[str, float]:
    if not reply.has_content():
        return {}
    return {
        name: float(value)
        for record in reply.content.metric_records.values()
        for name, value in record.items()
        if isinstance(value, (int, float))
    }


PEAK_RESET_BYTES: Final = 16 * 1024**2
"""An earlier peak this far above the present would hide a call's own; resetting it costs a walk over all pages."""


_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def _start_peak() -> int:
    """Forget an earlier peak that could hide this call's, and return the resident bytes (Linux; elsewhere it never falls)."""
    resident_bytes = _resident_bytes()
    if _peak_bytes() - resident_bytes > PEAK_RESET_BYTES:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    return resident_bytes


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident_bytes() -> int:
    try:
        file = os.open("/proc/self/statm", os.O_RDONLY)  # some calls take less time than parsing /proc/self/status
    except OSError:
        return _peak_bytes()
    try:
        return int(os.read(file, 256).split()[1]) * _PAGE_BYTES
    finally:
        os.close(file)


class CallClock:
    """What a ClientApp's ``time`` shows: virtual time at the message's creation, plus real time and sleeps since.

    Sleeping takes no real time; it is added to the time of the call on the device.
    """

    def __init__(self, created_at: float) -> None:
        self._start_s = created_at - EPOCH_S
        self._began_s = real_monotonic()
        self.slept_s = 0.0

    def now_s(self) -> float:
        """Virtual seconds."""
        return self._start_s + self.slept_s + real_monotonic() - self._began_s

    def sleep(self, seconds: float) -> None:
        """Let virtual seconds pass."""
        self.slept_s += seconds
