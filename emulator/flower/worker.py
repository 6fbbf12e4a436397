"""One ClientApp call: what happens in a worker process between a message in and a reply out.

Before each call the random generators, the thread count and Flower's task identity are set from the job, so that the reply
depends on the job alone and not on the worker or on what ran before. Module globals of an app do survive between calls in
a worker; a real SuperNode starts a fresh process per message.
"""

from __future__ import annotations

import random
import resource
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from flwr.app import Error, Message

from emulator.flower import adapter

WORK_REPORT: Final = "work-report"
"""Reserved ConfigRecord in a reply (and in the ServerApp's context state): units of work done, by name."""


@dataclass(frozen=True)
class Job:
    """A ClientApp call.

    Attributes:
        key: Names the call in the run: ``node#n`` for the n-th message to that node.
        node_id: Flower's number of the node.
        node_config: ``partition-id`` and ``num-partitions``.
        message: Serialised instruction message.
        state: Serialised ``Context.state`` of the node before the call.
        seed: Seed of every random generator in the call.
    """

    key: str
    node_id: int
    node_config: Mapping[str, int]
    message: bytes
    state: bytes
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What a call gave.

    Attributes:
        reply: Serialised reply message (content, or an error).
        state: Serialised ``Context.state`` after the call.
        object_count: Number of objects in which the reply travels.
        reply_bytes: Their bytes.
        work: Units of work the app reported, or None where it reported none.
        cpu_s: CPU seconds of the call on the host.
        peak_bytes: Growth of the worker's peak memory during the call, in bytes (0 where it did not grow).
        error: Traceback where the ClientApp raised, else empty.
        metrics: Scalar metrics of the reply by name.
    """

    reply: bytes
    state: bytes
    object_count: int
    reply_bytes: int
    work: Mapping[str, float] | None
    cpu_s: float
    peak_bytes: int
    error: str
    metrics: Mapping[str, float]


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
    peak_before = _peak_bytes()
    cpu_before = time.process_time()
    error = ""
    try:
        reply = client_app(message=message, context=context)
        work = _take_work(reply)
    except Exception as raised:  # a ClientApp may raise anything; Flower turns it into an error reply
        error = traceback.format_exc()
        reason = f"{type(raised)}:<'{raised}'>"
        reply, work = Message(Error(code=adapter.RAISED, reason=reason), reply_to=message), None
    cpu_s = time.process_time() - cpu_before
    sizes = adapter.object_sizes(reply)
    return Outcome(
        reply=adapter.message_to_bytes(reply),
        state=adapter.content_to_bytes(context.state),
        object_count=sizes.objects,
        reply_bytes=sizes.total_bytes,
        work=work,
        cpu_s=cpu_s,
        peak_bytes=max(0, _peak_bytes() - peak_before),
        error=error,
        metrics=_scalar_metrics(reply),
    )


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


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
