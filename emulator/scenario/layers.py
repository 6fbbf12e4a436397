"""Layers of a scenario: the file, then its ``quick`` block, then ``--set``; and the run config gathered from each.

The blocks ``data:``, ``model:`` ... and ``app.config`` say the same thing in two ways. Each layer's are moved into one
flat run config, so that a later layer replaces an earlier value whichever way either was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from emulator.errors import Fault
from emulator.scenario.kinds import show
from emulator.scenario.schema import SUGAR
from emulator.scenario.tree import KeyPath, Setting, Tree, dotted, locate
from emulator.scenario.yaml12 import parse_yaml

SET_FILE: Final = "--set"
SEED_FILE: Final = "--seed"


def gather_config(tree: Tree) -> list[Fault]:
    """Move the run config of one layer out of ``tree.data`` into ``tree.config``; return what is wrong with it.

    A block that is no mapping stays where it is, for the schema to refuse.
    """
    faults: list[Fault] = []
    found: dict[str, Setting] = {}
    app = tree.data.get("app")
    blocks: list[tuple[KeyPath, str, Any]] = [((name,), f"{name}.", tree.data.get(name)) for name in SUGAR]
    blocks.append((("app", "config"), "", app.get("config") if isinstance(app, dict) else None))
    for path, prefix, block in blocks:
        if not isinstance(block, dict):
            continue
        tree.take(path)
        for below, value in _leaves(block):
            key = prefix + ".".join(str(step) for step in below)
            setting = Setting(value, tree.place((*path, *below)), dotted((*path, *below)))
            complaint = _unfit(value)
            if complaint:
                faults.append(Fault(*setting.place, setting.key, complaint))
            elif key in found:
                first = found[key]
                message = f"sets {key!r} again, first in line {first.place[1]} as {first.key!r}; keep one"
                faults.append(Fault(*setting.place, setting.key, message))
            else:
                found[key] = setting
    tree.config.update(found)
    return faults


def _leaves(block: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and value of everything in ``block`` that is not itself a mapping."""
    for key, value in block.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _unfit(value: Any) -> str:
    """Return why Flower's run config cannot hold ``value``, or an empty string."""
    if isinstance(value, list):
        return "got a list; Flower's run config holds single values only: write text such as 'a,b' if the app splits it"
    if value is None:
        return "got nothing; write a value, or leave the key out"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return f"got {show(value)}; Flower's run config holds integers of 64 bits"
    return ""


def apply_quick(tree: Tree, block: Any) -> list[Fault]:
    """Lay the file's ``quick`` block over ``tree``; its keys may be nested, dotted or both."""
    if not isinstance(block, dict):
        return []  # the schema refuses it
    faults: list[Fault] = []
    seen: dict[KeyPath, int] = {}
    for below, value in _leaves(block):
        written: KeyPath = ("quick", *below)
        try:
            path = locate(tree.data, ".".join(below))
            if path[0] == "quick":
                raise ValueError("a quick block cannot change itself")
            if path in seen:
                raise ValueError(f"is changed twice, first in line {seen[path]}; keep one")
        except ValueError as error:
            faults.append(tree.fault(written, str(error)))
            continue
        seen[path] = tree.place(written)[1]
        tree.put(path, value, tree.place(written))
    return faults + gather_config(tree)


def apply_sets(tree: Tree, overrides: Sequence[str]) -> list[Fault]:
    """Lay each ``key=value`` of ``overrides`` over ``tree``, in order; a value is read as YAML."""
    faults: list[Fault] = []
    for override in overrides:
        key, equals, text = override.partition("=")
        key = key.strip()
        if not equals or not key:
            message = f"got {override!r}; write key=value, for example topology.sites=20"
            faults.append(Fault(SET_FILE, 0, "", message))
            continue
        parsed = parse_yaml(text, SET_FILE)
        if parsed.faults:
            faults += [Fault(SET_FILE, 0, key, fault.message) for fault in parsed.faults]
            continue
        try:
            path = locate(tree.data, key)
            if path[0] == "quick":
                raise ValueError("--set comes after the quick block; set the value itself")
        except ValueError as error:
            faults.append(Fault(SET_FILE, 0, key, str(error)))
            continue
        tree.put(path, parsed.data, (SET_FILE, 0))
        faults += gather_config(tree)
    return faults
