"""Checks a ``Tree`` against the schema and the rules between keys; finds every fault, not the first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from emulator.errors import Fault
from emulator.scenario.kinds import show
from emulator.scenario.schema import Document, FlowerBlock, LinkFields, ProfileBlock
from emulator.scenario.translate import block_at, message_of
from emulator.scenario.tree import KeyPath, Tree
from emulator.units import parse_quantity

_DROPPED = object()


@dataclass(frozen=True)
class Checked:
    """The sound part of a scenario, and what is wrong with the rest.

    Attributes:
        document: None where too little is sound to go on.
        failure_indices: For each failure kept, its place in the file's list.
        names_app: Whether ``app.path`` is sound; where it is not, the document holds a stand-in.
        faults: All faults.
    """

    document: Document | None
    failure_indices: tuple[int, ...]
    names_app: bool
    faults: tuple[Fault, ...]


class _Broken(NamedTuple):
    """A fault at ``path``; what stands at ``drops`` cannot be used, and ``instead`` takes its place if there is one."""

    path: KeyPath
    message: str
    drops: KeyPath
    instead: Any = _DROPPED


def check(tree: Tree) -> Checked:
    """Return the sound part of ``tree`` and all faults of the schema and of the rules between keys."""
    bad: list[_Broken] = []
    try:
        Document.model_validate(tree.data)
    except ValidationError as error:
        bad += [_translate(detail) for detail in error.errors(include_url=False)]
    bad += list(_rules(tree.data))
    sound = _without(tree.data, bad)
    failures = sound.get("failures", [])
    indices = tuple(index for index, item in enumerate(failures) if item is not _DROPPED)
    if "failures" in sound:
        sound["failures"] = [failures[index] for index in indices]
    names_app = isinstance(sound.get("app"), dict) and "path" in sound["app"]
    if not names_app:
        sound["app"] = {"path": "."}  # its absence is a fault already; the network can still be checked
    try:
        document = None if tree.refused else Document.model_validate(sound)
    except ValidationError:
        document = None
    faults = tuple(tree.fault(broken.path, broken.message) for broken in bad if broken.path not in tree.refused)
    return Checked(document, indices, names_app, faults)


def _translate(detail: ErrorDetails) -> _Broken:
    """Return one of pydantic's errors in our words."""
    path: KeyPath = tuple(step for step in detail["loc"] if step != "[key]")
    rule, message = detail["type"], message_of(detail, path, Document)
    if rule == "missing":
        return _Broken(path, message, path[:-1])
    return _Broken(path, message, path, _stand_in(path) if rule == "value_error" else _DROPPED)


def _stand_in(path: KeyPath) -> Any:
    """Return a sound value for a profile's or a link's field, so that nobody complains of its absence as well."""
    block = block_at(Document, path[:-1])
    if path and issubclass(block, (ProfileBlock, LinkFields)) and path[-1] in block.model_fields:
        return (block.model_fields[str(path[-1])].examples or [_DROPPED])[0]
    return _DROPPED


def _rules(data: dict[str, Any]) -> Iterator[_Broken]:
    """Yield each rule between keys that is broken; shapes the schema refuses are passed over."""
    for section in ("links", "overrides"):
        for name, fields in _mappings(data.get(section)):
            for one, other, reason in _EXCLUSIVE:
                if one in fields and other in fields:
                    path = (section, name, other)
                    yield _Broken(path, f"stands together with {one!r}; {reason}", path)
    for name, fields in _mappings(data.get("devices")):
        if "like" in fields and "file" in fields:
            path = ("devices", name, "file")
            yield _Broken(path, "stands together with 'like'; a profile starts from one or the other", path)
    for section in ("devices", "links"):
        yield from _like_loops(section, dict(_mappings(data.get(section))))
    if isinstance(data.get("learning"), dict):
        yield from _learning_rules(data["learning"])
    if isinstance(data.get("flower"), dict):
        yield from _heartbeat_rule(data["flower"])


def _learning_rules(learning: dict[str, Any]) -> Iterator[_Broken]:
    """Recorded calls replace training, a sample is trained: each goes with one kind of learning."""
    kind = learning.get("kind", "real")
    for key, wanted in (("recorded_file", "none"), ("trained_clients", "real")):
        if key in learning and kind != wanted:
            yield _Broken(("learning", key), f"goes with 'kind: {wanted}', the kind is {kind}", ("learning", key))
    if "recorded_file" in learning:
        for key in ("download", "upload", "objects", "work", "memory"):
            if key in learning:
                message = "stands together with 'recorded_file', which gives sizes and work; write one of them"
                yield _Broken(("learning", key), message, ("learning", key))
    elif "recorded_client" in learning:
        path = ("learning", "recorded_client")
        yield _Broken(path, "needs 'recorded_file', the calls.json it is in", path)


def _heartbeat_rule(flower: dict[str, Any]) -> Iterator[_Broken]:
    """A node must be heard at least once before it counts as gone."""
    defaults = FlowerBlock()
    heartbeat = flower.get("heartbeat", defaults.heartbeat)
    offline_after = flower.get("offline_after", defaults.offline_after)
    try:
        is_too_short = parse_quantity(offline_after, "time") <= parse_quantity(heartbeat, "time")
    except ValueError:
        return  # the schema's to tell
    if is_too_short:
        path = ("flower", "offline_after" if "offline_after" in flower else "heartbeat")
        reason = f"offline_after ({offline_after}) must be longer than heartbeat ({heartbeat})"
        yield _Broken(path, f"got {show(flower[path[1]])}; {reason}", path)


_EXCLUSIVE = (
    ("rate", "up", "'rate' sets both directions: write either 'rate', or 'up' and 'down'"),
    ("rate", "down", "'rate' sets both directions: write either 'rate', or 'up' and 'down'"),
    ("delay", "rtt", "the round trip is twice the delay: write one of them"),
)


def _mappings(section: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(section, dict):
        yield from ((name, fields) for name, fields in section.items() if isinstance(fields, dict))


def _like_loops(section: str, profiles: dict[str, dict[str, Any]]) -> Iterator[_Broken]:
    """Yield one fault for each ring of profiles that are like each other."""
    told: set[str] = set()
    for start in profiles:
        chain: list[str] = []
        name: Any = start
        while isinstance(name, str) and name in profiles and name not in chain:
            chain.append(name)
            name = profiles[name].get("like")
        ring = chain[chain.index(name) :] if name in chain else []
        if ring and not told.intersection(ring):
            told.update(ring)
            arrows = " -> ".join([*ring, ring[0]])
            advice = "give the profile another name" if len(ring) == 1 else "one of them must start elsewhere"
            path = (section, ring[0], "like")
            message = f"profiles are like each other in a ring: {arrows}; {advice}"
            yield _Broken(path, message, path, _stand_in(path))


def _without(data: dict[str, Any], bad: list[_Broken]) -> dict[str, Any]:
    """Return a copy of ``data`` without what ``bad`` drops; dropped list items leave a marker."""
    copied: dict[str, Any] = _copy(data)
    for broken in bad:
        path = broken.drops
        if not path or not _has(copied, path):
            continue
        node: Any = copied
        for step in path[:-1]:
            node = node[step]
        if broken.instead is _DROPPED and isinstance(node, dict):
            del node[path[-1]]
        else:
            node[path[-1]] = broken.instead
    return copied


def _has(data: Any, path: KeyPath) -> bool:
    for step in path:
        is_inside = step in data if isinstance(data, dict) else isinstance(data, list) and step in range(len(data))
        if not is_inside:
            return False
        data = data[step]
    return True


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
