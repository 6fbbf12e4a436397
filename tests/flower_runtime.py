# SPDX-License-Identifier: Apache-2.0
"""A tiny in-process Flower runtime, for the tests of the app and of its privacy mechanisms."""

import os
from collections.abc import Iterable
from typing import Any

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

SERVER_NODE = 1
FIRST_CLIENT_NODE = 100


def pass_over_wire(message: Message) -> Message:
    """Return what arrives when a message is serialised, sent and read again."""
    wire = message_to_proto(message).SerializeToString()
    proto = type(message_to_proto(message))()
    proto.ParseFromString(wire)
    return message_from_proto(proto)


class InProcessGrid(Grid):
    """Runs ClientApps one after the other.

    `lose(round, node)` tells which replies to training never arrive, `lose_query(action, round, node)` which to questions.
    """

    def __init__(self, app: ClientApp, contexts: dict[int, Context], lose: Any = None) -> None:
        self.app = app
        self.contexts = contexts
        self.lose = lose or (lambda server_round, node: False)
        self.lose_query: Any = lambda action, server_round, node: False
        self.replies: list[Message] = []
        self.asked: list[Message] = []

    def set_run(self, run: Run) -> None:
        raise AssertionError("not used by the app")

    @property
    def run(self) -> Run:
        raise AssertionError("not used by the app")

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise AssertionError("not used by the app")

    def get_node_ids(self) -> Iterable[int]:
        return list(self.contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise AssertionError("not used by the app")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise AssertionError("not used by the app")

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        arrived = []
        for number, message in enumerate(messages):
            message.metadata.__dict__["_message_id"] = f"message-{number}"
            received = pass_over_wire(message)
            node = received.metadata.dst_node_id
            TaskIdentity.node_id = node
            reply = pass_over_wire(self.app(received, self.contexts[node]))
            TaskIdentity.node_id = SERVER_NODE
            self.replies.append(reply)
            self.asked.append(received)
            if not self._is_lost(received, node):
                arrived.append(reply)
        return arrived

    def _is_lost(self, message: Message, node: int) -> bool:
        server_round = int(message.content.config_records["config"]["server-round"])
        kind, _, action = message.metadata.message_type.partition(".")
        if kind == "query":
            return bool(self.lose_query(action, server_round, node))
        return bool(self.lose(server_round, node))


@pytest.fixture(autouse=True)
def flower_identity() -> None:
    """Give this process the identity that Flower asks for before a message is made."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, SERVER_NODE, 1


@pytest.fixture
def make_contexts() -> Any:
    """Return a function that makes the contexts of n clients."""

    def make(run_config: dict[str, Any], clients: int) -> dict[int, Context]:
        return {
            FIRST_CLIENT_NODE + i: Context(
                run_id=1,
                node_id=FIRST_CLIENT_NODE + i,
                node_config={"partition-id": i, "num-partitions": clients},
                state=RecordDict(),
                run_config=run_config,
            )
            for i in range(clients)
        }

    return make


@pytest.fixture
def server_context() -> Any:
    """Return a function that makes the ServerApp's context."""

    def make(run_config: dict[str, Any]) -> Context:
        return Context(run_id=1, node_id=SERVER_NODE, node_config={}, state=RecordDict(), run_config=run_config)

    return make


@pytest.fixture
def grid_class() -> type[InProcessGrid]:
    """Return the in-process Grid."""
    return InProcessGrid
