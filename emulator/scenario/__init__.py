"""Scenario files: read, check, resolve.

``load_scenario`` returns the scenario or raises with every fault. ``examine`` also returns what is sound of a faulty
one, so that the checks that need a network can go on and all faults are told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from emulator.errors import Fault, ScenarioError
from emulator.scenario.app import read_app
from emulator.scenario.check import check
from emulator.scenario.kinds import name
from emulator.scenario.layers import SEED_FILE, apply_quick, apply_sets, gather_config
from emulator.scenario.load import load
from emulator.scenario.model import AppSpec, ClockSpec, PluginSpec, Scenario
from emulator.scenario.resolve import Origin, dump_scenario, resolve
from emulator.scenario.runconfig import merge_config
from emulator.scenario.tree import Tree

__all__ = [
    "AppSpec",
    "ClockSpec",
    "PluginSpec",
    "Scenario",
    "dump_scenario",
    "examine",
    "load_scenario",
]


def load_scenario(
    path: Path, *, overrides: Sequence[str] = (), quick: bool = False, seed: int | None = None
) -> Scenario:
    """Return the scenario in the file at ``path``.

    Args:
        path: The scenario file.
        overrides: ``key=value`` changes (``--set``), laid over the file and its quick block.
        quick: Apply the file's ``quick`` block.
        seed: Replaces the seed, whatever else sets it.

    Raises:
        ScenarioError: Something is wrong; carries every fault found.
    """
    scenario, faults = examine(path, overrides=overrides, quick=quick, seed=seed)
    if faults or scenario is None:
        raise ScenarioError(faults)
    return scenario


def examine(
    path: Path, *, overrides: Sequence[str] = (), quick: bool = False, seed: int | None = None
) -> tuple[Scenario | None, list[Fault]]:
    """Return the scenario, or what is sound of it, or None; and all faults, sorted.

    The quick block is checked even when it is not applied. For the arguments see ``load_scenario``.
    """
    path = Path(path)
    loaded = load(path)
    if loaded.tree is None:
        return None, sorted(loaded.faults)
    base = loaded.tree
    block = base.data.get("quick")
    faults = loaded.faults + gather_config(base)

    def attempt(with_quick: bool) -> tuple[Scenario | None, list[Fault]]:
        tree = deepcopy(base)
        quick_faults = apply_quick(tree, block) if with_quick and block is not None else []
        scenario, later_faults = _lay_and_resolve(tree, path, overrides, seed=seed, question=loaded.question)
        return scenario, quick_faults + later_faults

    scenario, found = attempt(quick)
    faults += found
    if block and not quick:
        faults += attempt(True)[1]
    return scenario, sorted(set(faults))


def _lay_and_resolve(
    tree: Tree, path: Path, overrides: Sequence[str], *, seed: int | None, question: str
) -> tuple[Scenario | None, list[Fault]]:
    """Lay ``--set`` and the seed over ``tree``, check the whole, and resolve what is sound."""
    faults = apply_sets(tree, overrides)
    if seed is not None:
        tree.put(("seed",), seed, (SEED_FILE, 0))
    checked = check(tree)
    faults += checked.faults + _stem_faults(tree, path)
    document = checked.document
    if document is None:
        return None, faults
    folder = path.parent / document.app.path
    app = read_app(folder, document.app.path)
    config, refused = merge_config(app, tree.config)
    if checked.names_app:
        faults += [tree.fault(("app", "path"), message) for message in app.faults] or refused
    origin = Origin(tree, path, folder.resolve(), question)
    return resolve(checked, document, config, origin), faults


def _stem_faults(tree: Tree, path: Path) -> tuple[Fault, ...]:
    """A scenario without a name is called after its file, whose name must then be one."""
    if "name" in tree.data:
        return ()
    try:
        name(of_scenario=True).check(path.stem)
    except ValueError as error:
        return (tree.fault(("name",), f"is missing, so the file's name counts: {error}"),)
    return ()
