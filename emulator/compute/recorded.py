"""What the calls of one real client weighed and cost, round by round: recorded by a run of the app, replayed without learning.

``calls.json`` in a run folder holds, for every client, its training calls in order. A scenario with ``learning: none`` names the
file and takes one client's list for all of its devices: the first round the first call, and so on, the last call for all further
rounds (the first call of an app often does more than the others: it prepares data).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from emulator.plan import RecordedCall
from emulator.registry import nearest

FILE_NAME = "calls.json"
_CALLS: TypeAdapter[dict[str, list[RecordedCall]]] = TypeAdapter(dict[str, list[RecordedCall]])


class CallRecorder:
    """Keeps the training calls of a run by client."""

    def __init__(self) -> None:
        self._calls: dict[str, list[RecordedCall]] = {}

    def add(self, client: str, call: RecordedCall) -> None:
        """Note the client's next call."""
        self._calls.setdefault(client, []).append(call)

    def save(self, folder: Path) -> None:
        """Write ``calls.json``; nothing where no client was trained."""
        if self._calls:
            plain = {name: [_plain(call) for call in calls] for name, calls in sorted(self._calls.items())}
            (folder / FILE_NAME).write_text(json.dumps(plain, indent=0, sort_keys=True) + "\n")


def _plain(call: RecordedCall) -> dict[str, Any]:
    work = None if call.work is None else dict(call.work)
    return {name: getattr(call, name) for name in RecordedCall.__dataclass_fields__} | {"work": work}


def read_calls(path: Path, client: str | None) -> tuple[RecordedCall, ...]:
    """Return the calls of ``client``; of the one with the most calls, the first by name, where none is named.

    Raises:
        ValueError: The file is no record of calls, holds none, or has no such client.
    """
    try:
        calls: Mapping[str, list[RecordedCall]] = _CALLS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"got {path.name!r}, which is no {FILE_NAME} of a run folder: {reason}") from error
    if not any(calls.values()):
        raise ValueError(f"{path.name} holds no calls; record a run of the app in which a client trained")
    if client is None:
        client = min(calls, key=lambda name: (-len(calls[name]), name))
    if not calls.get(client):
        raise ValueError(
            f"client {client!r} made no calls in {path.name}; allowed: {_some(calls)}{nearest(client, sorted(calls))}"
        )
    return tuple(calls[client])


def _some(calls: Mapping[str, list[RecordedCall]]) -> str:
    names = sorted(name for name, found in calls.items() if found)
    return ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
