"""Every private corner of flwr that the emulator touches, in one file (pinned to flwr 1.41).

Flower's public API has no hook for running an app outside its own processes; what is borrowed here is the identity of the
running task, the protobuf conversion of messages, and the object tree in which messages travel.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, NamedTuple, cast

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

from flwr.app import Context, Error, Message, RecordDict
from flwr.app.message.message import make_message
from flwr.app.metadata import Metadata
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.common.serde import (
    message_from_proto,
    message_to_proto,
    recorddict_from_proto,
    recorddict_to_proto,
)
from flwr.common.serde_utils import metadata_to_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, no_object_id_recompute
from flwr.supercore.object_ref import load_app
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from emulator.errors import RunFailed

RUN_ID = 1
SERVER_NODE_ID = SUPERLINK_NODE_ID


class ObjectSizes(NamedTuple):
    """How a message travels: ``objects`` content-addressed objects of ``total_bytes`` together.

    ``parts`` are their sizes in the order in which they are sent; empty where nobody knows them.
    """

    objects: int
    total_bytes: int
    parts: tuple[int, ...] = ()


class AppLoadError(RunFailed):
    """The Flower app cannot be imported or lacks a component."""

    exit_code = 2


def set_identity(node_id: int, task_id: int = 1) -> None:
    """Tell flwr who the current process is; every ``Message`` made takes its source from it."""
    TaskIdentity.run_id = RUN_ID
    TaskIdentity.node_id = node_id
    TaskIdentity.task_id = task_id


def empty_run() -> Run:
    """Return the run information a Grid must offer."""
    return Run.create_empty(RUN_ID)


def load_component(app_dir: Path, component: str) -> Any:
    """Return the ``serverapp`` or ``clientapp`` object that the app's ``pyproject.toml`` names.

    Raises:
        AppLoadError: The file, the component or the object is missing, or importing it raises.
    """
    import tomllib

    with (app_dir / "pyproject.toml").open("rb") as file:
        config = tomllib.load(file)
    try:
        reference = config["tool"]["flwr"]["app"]["components"][component]
    except KeyError:
        raise AppLoadError(f"{app_dir}/pyproject.toml names no [tool.flwr.app.components] {component}") from None
    app = load_named(app_dir, reference, component)
    if component == "serverapp" and getattr(app, "_main", None) is None:
        raise AppLoadError(
            f"the app's serverapp {reference!r} has no @app.main() function. Flower's legacy server (server_fn) calls the Grid "
            "from several threads, which virtual time does not allow: move the app to the Message API"
        )
    return app


def load_named(app_dir: Path, reference: str, what: str) -> Any:
    """Return the object ``module:name`` of an app.

    Raises:
        AppLoadError: The object is missing, or importing it raises.
    """
    try:
        return load_app(reference, ImportError, app_dir)
    except (Exception, SystemExit) as error:  # whatever an app raises at import is the app's fault, and is told as such
        raise AppLoadError(
            f"the app's {what} {reference!r} in {app_dir} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def object_sizes(message: Message) -> ObjectSizes:
    """Return number and bytes of the distinct objects in which ``message`` would travel.

    One object each for the message, its RecordDict, every record and every array, plus the chunks of large arrays; equal
    objects inside a message travel once.
    """
    with no_object_id_recompute():
        parts = tuple(len(item.deflate()) for item in get_all_nested_objects(message).values())
        return ObjectSizes(len(parts), sum(parts), parts)


def content_to_bytes(content: RecordDict) -> bytes:
    """Serialise a RecordDict; equal content gives equal bytes."""
    return cast(bytes, recorddict_to_proto(content).SerializeToString(deterministic=True))


def empty_content() -> RecordDict:
    """Return a RecordDict without records."""
    return RecordDict()


def content_from_bytes(data: bytes) -> RecordDict:
    """Return the RecordDict serialised by ``content_to_bytes``."""
    return recorddict_from_proto(ProtoRecordDict.FromString(data))


def message_to_bytes(message: Message) -> bytes:
    """Serialise a message with metadata, and content or error."""
    return cast(bytes, message_to_proto(message).SerializeToString(deterministic=True))


def message_from_bytes(data: bytes) -> Message:
    """Return the message serialised by ``message_to_bytes``."""
    return message_from_proto(ProtoMessage.FromString(data))


def join_message(message: Message, content: bytes) -> bytes:
    """Serialise ``message`` with ``content`` already serialised (protobuf fields may be concatenated)."""
    proto = ProtoMessage(metadata=metadata_to_proto(message.metadata))
    head = proto.SerializeToString(deterministic=True)
    return cast(bytes, head + _content_field(content))


def _content_field(content: bytes) -> bytes:
    """Return the wire form of ``ProtoMessage.content`` holding ``content``: tag, length as varint, bytes."""
    number = ProtoMessage.DESCRIPTOR.fields_by_name["content"].number
    out, length = bytearray([number << 3 | 2]), len(content)
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + content


def numbers(record: Any) -> dict[str, float]:
    """Return a ConfigRecord's numbers by name; texts, lists and truth values are left out."""
    return {
        str(name): float(value)
        for name, value in record.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def count_elements(message: Message) -> int:
    """Return how many numbers the arrays of ``message`` hold."""
    if not message.has_content():
        return 0
    return sum(math.prod(array.shape) for record in message.content.array_records.values() for array in record.values())


def instruction_metadata(message: Message, message_id: str, created_at: float) -> Metadata:
    """Return the metadata under which ``message`` is sent: ours for the identifier and the time, else as given."""
    given = message.metadata
    return Metadata(
        run_id=RUN_ID,
        message_id=message_id,
        src_node_id=SERVER_NODE_ID,
        dst_node_id=given.dst_node_id,
        reply_to_message_id="",
        group_id=given.group_id,
        created_at=created_at,
        ttl=given.ttl,
        message_type=given.message_type,
        src_task_id=1,
    )


def build_message(metadata: Metadata, *, content: RecordDict | None = None, error: Error | None = None) -> Message:
    """Return a message with exactly this metadata."""
    return make_message(metadata=metadata, content=content, error=error)


def error_reply(metadata: Metadata, code: int, reason: str, created_at: float) -> Message:
    """Return the error message Flower would deliver in answer to the message with ``metadata``."""
    reply = Metadata(
        run_id=RUN_ID,
        message_id="",
        src_node_id=metadata.dst_node_id,
        dst_node_id=SERVER_NODE_ID,
        reply_to_message_id=metadata.message_id,
        group_id=metadata.group_id,
        created_at=created_at,
        ttl=metadata.ttl,
        message_type=metadata.message_type,
        dst_task_id=1,
    )
    return make_message(metadata=reply, error=Error(code=code, reason=reason))


def make_context(node_id: int, node_config: dict[str, Any], state: RecordDict, run_config: dict[str, Any]) -> Context:
    """Return the Context of one node in this run."""
    return Context(run_id=RUN_ID, node_id=node_id, node_config=node_config, state=state, run_config=run_config)


CRASHED = ErrorCode.CLIENT_APP_CRASHED
RAISED = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
MESSAGE_UNAVAILABLE = ErrorCode.MESSAGE_UNAVAILABLE
NODE_UNAVAILABLE = ErrorCode.NODE_UNAVAILABLE
