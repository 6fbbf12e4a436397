"""What a hooked process knows of the run: files named by its environment."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from emulator.backends.live.job import LiveJob
from emulator.backends.live.journal import Journal
from emulator.plan import Device, FlowerSettings, Node, PlacedFault, Plan, RateCurve

FOLDER_VARIABLE: Final = "EMULATE_LIVE_FOLDER"
NODE_VARIABLE: Final = "EMULATE_LIVE_NODE"


@dataclass(frozen=True)
class NodeJob:
    """What the processes of one node need.

    Attributes:
        node: The plan's node.
        host: Its short name.
        seed: The plan's seed.
        device: Its hardware; None for the server where none is known.
        placed: The plan's faults placed at this node.
        flower: Pauses of Flower's processes.
        app_path: Folder of the app.
        groups: Control groups that the node's ClientApps join.
        holds: Replies are held until the device would have them.
    """

    node: str
    host: str
    seed: int
    device: Device | None
    placed: tuple[PlacedFault, ...]
    flower: FlowerSettings
    app_path: str
    groups: tuple[str, ...]
    holds: bool


def write_node_job(job: LiveJob, plan: Plan, node: Node, host: str) -> None:
    """Leave a node's job where its processes find it (plain JSON: a ClientApp starts once for every message)."""
    placed = tuple(fault for fault in plan.placed if fault.node == node.name)
    own = NodeJob(
        node.name, host, plan.seed, node.device, placed, plan.flower, plan.app.path, tuple(job.groups.get(host, ())),
        job.holds,
    )  # fmt: skip
    (job.path / "nodes").mkdir(parents=True, exist_ok=True)
    (job.path / "nodes" / f"{host}.json").write_text(json.dumps(asdict(own)))


def run_folder() -> Path:
    """Return the folder of the live run this process belongs to."""
    return Path(os.environ[FOLDER_VARIABLE])


def node_job() -> NodeJob:
    """Return this process's job."""
    data: dict[str, Any] = json.loads((run_folder() / "nodes" / f"{os.environ[NODE_VARIABLE]}.json").read_text())
    data["device"] = _device(data["device"]) if data["device"] else None
    data["flower"] = FlowerSettings(**data["flower"])
    data["placed"] = tuple(PlacedFault(**fault) for fault in data["placed"])
    return NodeJob(**data)


def _device(data: dict[str, Any]) -> Device:
    curve = data["rate_curve"]
    return Device(**{**data, "rate_curve": RateCurve(**curve) if curve else None})


def mark_left(host: str) -> None:
    """Let the director know that this node leaves for good, before its processes end."""
    left_mark(run_folder(), host).touch()


def left_mark(folder: Path, host: str) -> Path:
    """Return the file that says a host's node has left for good."""
    return folder / "nodes" / f"{host}.left"


def open_journal(kind: str) -> Journal:
    """Return the journal of this node's processes of one kind."""
    return Journal(run_folder() / "journals", f"{os.environ[NODE_VARIABLE]}-{kind}")


@dataclass(frozen=True)
class Name:
    """What the run calls a message: ``node#n`` for the n-th to that node, and its round."""

    key: str
    round: int


def remember_name(message_id: str, name: Name) -> None:
    """Let all processes of the run know what a message is called (its identifier is a digest and says nothing)."""
    folder = run_folder() / "names"
    folder.mkdir(exist_ok=True)
    partial = folder / f"{message_id}.partial"
    partial.write_text(json.dumps(asdict(name)))
    partial.replace(folder / message_id)


def name_of(message_id: str) -> Name:
    """Return what a message is called."""
    return Name(**json.loads((run_folder() / "names" / message_id).read_text()))
