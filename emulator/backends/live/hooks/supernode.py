"""Notes when a SuperNode has joined, and when each message begins and ends its way to it and its reply's way back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from emulator.backends.live.hooks.job import mark_left, name_of, node_job, open_journal
from emulator.backends.live.hooks.pacing import PacedTime

CRASHED_ON_PURPOSE = 77
"""Exit status of a SuperNode that carried out a fault placed in its upload; it is started again."""


def watch_supernode() -> None:
    """Wrap the SuperNode's connection to the SuperLink."""
    flower: Any = import_module("flwr.supernode.start_client_internal")
    connect, settings = flower._init_connection, node_job().flower
    flower.time = PacedTime({3: settings.supernode_poll_s, 0.5: settings.reply_poll_s})

    @contextmanager
    def watched_connection(*arguments: Any, **named: Any) -> Iterator[tuple[Any, ...]]:
        with connect(*arguments, **named) as parts:
            node_id, receive, send, get_run, get_fab, pull_object, push_object, confirm = parts
            watch = _Watch()
            watch.journal.write("connected", node=watch.job.node, node_id=node_id)
            yield (
                node_id, watch.receiving(receive), watch.sending(send), get_run, get_fab, pull_object,
                watch.pushing(push_object), watch.confirming(confirm),
            )  # fmt: skip

    flower._init_connection = watched_connection
    push = flower.push_object_contents_from_iterable

    def watched_push(*arguments: Any, **named: Any) -> Any:
        watch = _Watch.current
        try:
            result = push(*arguments, **named)
        except Exception as error:
            watch.note("upload_lost", why=type(error).__name__, size_bytes=watch.pushed_bytes)
            raise
        watch.note("upload_finished", size_bytes=watch.pushed_bytes)
        return result

    flower.push_object_contents_from_iterable = watched_push


class _Watch:
    """Notes the message in hand; a SuperNode has one at a time."""

    current: _Watch

    def __init__(self) -> None:
        self.job, self.journal = node_job(), open_journal("supernode")
        self._message_id = ""
        self.pushed_bytes = 0
        _Watch.current = self

    def note(self, what: str, at_s: float | None = None, **fields: Any) -> None:
        """Write down what happened to the message in hand."""
        name = name_of(self._message_id)
        self.journal.write(what, at_s, node=self.job.node, key=name.key, round=name.round, **fields)

    def receiving(self, receive: Any) -> Any:
        """Return ``receive`` that notes a message found: its way began when it was asked for."""

        def watched() -> Any:
            asked_s = time.monotonic()
            received = receive()
            if received is not None:
                self._message_id = received[0].metadata.message_id
                self.note("download_started", asked_s)
            return received

        return watched

    def confirming(self, confirm: Any) -> Any:
        """Return ``confirm`` that notes that all of the message is there."""

        def watched(run_id: int, message_id: str) -> Any:
            self.note("download_finished")
            return confirm(run_id, message_id)

        return watched

    def pushing(self, push: Any) -> Any:
        """Return ``push`` that counts the bytes of the reply."""

        def watched(run_id: int, session_id: str, object_id: str, content: bytes) -> Any:
            self.pushed_bytes += len(content)
            return push(run_id, session_id, object_id, content)

        return watched

    def sending(self, send: Any) -> Any:
        """Return ``send`` that notes that the reply is announced."""

        def watched(message: Any, *arguments: Any) -> Any:
            self._message_id = message.metadata.reply_to_message_id
            self.pushed_bytes = 0
            error = message.error.reason if message.has_error() else ""
            self.note("upload_started", error=error)
            self._crash_where_placed()
            return send(message, *arguments)

        return watched

    def _crash_where_placed(self) -> None:
        round_number = name_of(self._message_id).round
        for fault in self.job.placed:
            if (fault.round, fault.phase) == (round_number, "upload"):
                if fault.action == "leave":
                    mark_left(self.job.host)
                os._exit(CRASHED_ON_PURPOSE)
