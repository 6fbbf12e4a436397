"""The sound part of a scenario -> the frozen ``Scenario`` in base units, and the file that repeats it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from emulator.datafiles import beside
from emulator.network_settings import ModelName
from emulator.plan import ControlName, FlowerSettings, NetworkSettings, TimingOnly
from emulator.scenario.check import Checked
from emulator.scenario.kinds import parse_sample, parse_time_of_day
from emulator.scenario.model import AppSpec, ClockSpec, PluginSpec, Scalar, Scenario
from emulator.scenario.schema import ClockBlock, Document, FlowerBlock, LearningBlock, NetworkBlock
from emulator.scenario.tree import Place, Tree, dotted
from emulator.scenario.yaml12 import Writer12
from emulator.units import parse_quantity


@dataclass(frozen=True)
class Origin:
    """Where a scenario comes from: its tree, its file, its app's folder (absolute) and its opening comment."""

    tree: Tree
    source: Path
    app_path: Path
    question: str


def resolve(checked: Checked, document: Document, config: Mapping[str, Scalar], origin: Origin) -> Scenario:
    """Return the scenario that ``document`` describes, with ``config`` as the whole run config."""
    name = document.name or origin.source.stem
    plain = beside(origin.source.parent.resolve(), document.model_dump(mode="python", exclude_none=True))
    devices, links, overrides = (plain[section] for section in ("devices", "links", "overrides"))
    resolved = {
        "name": name,
        "seed": document.seed,
        "app": {"path": str(origin.app_path), "config": dict(config), "fresh_process": document.app.fresh_process},
        "learning": plain["learning"],
        "topology": plain["topology"],
        "devices": devices,
        "links": links,
        "overrides": overrides,
        "failures": plain["failures"],
        "clock": plain["clock"],
        "flower": plain["flower"],
        "network": plain["network"],
    }
    numbered = zip(checked.failure_indices, plain["failures"], strict=True)
    return Scenario(
        name=name,
        question=origin.question,
        source=str(origin.source),
        seed=document.seed,
        app=AppSpec(origin.app_path, dict(config), document.app.fresh_process),
        topology=_plugin(plain["topology"], "topology"),
        devices=devices,
        links=links,
        overrides=overrides,
        failures=tuple(_plugin(block, f"failures[{index}]") for index, block in numbered),
        clock=_clock(document.clock),
        timing=_timing(document.learning),
        recorded=_recorded(plain["learning"]),
        sample=parse_sample(document.learning.trained_clients) if document.learning.trained_clients else None,
        flower=_flower(document.flower),
        network=_network(document.network),
        resolved=resolved,
        places=_places(origin.tree),
    )


def _plugin(block: Mapping[str, Any], key: str) -> PluginSpec:
    return PluginSpec(block["kind"], {name: value for name, value in block.items() if name != "kind"}, key)


def _clock(block: ClockBlock) -> ClockSpec:
    return ClockSpec(parse_time_of_day(block.starts_at), parse_quantity(block.horizon, "time"))


def _timing(block: LearningBlock) -> TimingOnly | None:
    if block.kind != "none":
        return None
    return TimingOnly(
        rounds=block.rounds,
        deadline_s=parse_quantity(block.deadline, "time"),
        min_nodes=block.min_nodes,
        download_bytes=parse_quantity(block.download, "size"),
        download_objects=block.objects,
        upload_bytes=parse_quantity(block.upload, "size"),
        upload_objects=block.objects,
        work=dict(block.work),
        memory_bytes=parse_quantity(block.memory, "size"),
    )


def _recorded(learning: Mapping[str, Any]) -> tuple[str, str | None] | None:
    if "recorded_file" not in learning:
        return None
    return learning["recorded_file"], learning.get("recorded_client")


def _flower(block: FlowerBlock) -> FlowerSettings:
    return FlowerSettings(
        supernode_poll_s=parse_quantity(block.supernode_poll, "time"),
        serverapp_poll_s=parse_quantity(block.serverapp_poll, "time"),
        superexec_poll_s=parse_quantity(block.superexec_poll, "time"),
        reply_poll_s=parse_quantity(block.reply_poll, "time"),
        heartbeat_s=parse_quantity(block.heartbeat, "time"),
        offline_after_s=parse_quantity(block.offline_after, "time"),
        lanes=block.lanes,
        chunk_bytes=round(parse_quantity(block.chunk, "size")),
        is_tls=block.tls,
    )


def _network(block: NetworkBlock) -> NetworkSettings:
    return NetworkSettings(
        model=cast(ModelName, block.model),
        congestion_control=cast(ControlName, block.congestion_control),
        queue_bytes=parse_quantity(block.queue, "size"),
        packet_budget=block.packet_budget,
    )


def _places(tree: Tree) -> dict[str, Place]:
    """Return the places by dotted key; a run config key is known as it was written and under ``app.config``."""
    places = {dotted(path): place for path, place in tree.places.items()}
    for key, setting in tree.config.items():
        places[setting.key] = setting.place
        places[f"app.config.{key}"] = setting.place
    return places


def dump_scenario(scenario: Scenario) -> str:
    """Return a scenario file that loads as ``scenario``: the question as opening comment, then what was resolved."""
    lines = textwrap.wrap(scenario.question, 110, break_long_words=False, break_on_hyphens=False)
    comment = "".join(f"# {line}\n" for line in lines)
    body: str = yaml.dump(
        _plain(scenario.resolved),
        Dumper=Writer12,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=110,
    )
    return f"{comment}\n{body}" if comment else body


def _plain(value: Any) -> Any:
    """Return ``value`` with its mappings as dicts and its sequences as lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
