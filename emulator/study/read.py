"""A study file to a ``Study``; every fault at once, with its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from emulator.errors import Fault, ScenarioError
from emulator.registry import nearest
from emulator.scenario import kinds
from emulator.scenario.kinds import show
from emulator.scenario.load import load
from emulator.scenario.schema import Block, Config, Count, MaybeName, Seed, Switch, Text
from emulator.scenario.tree import KeyPath, Tree
from emulator.study.spec import Column, Study, TableSpec, Variant

Factor = Annotated[float, kinds.factor()]


class VariantBlock(Block):
    """One variant."""

    scenario: Text | None = None
    set: Config = Field(default={})


class ColumnBlock(Block):
    """One column."""

    title: Text
    figure: Text
    scale: Factor = 1.0
    reference: dict[str, float] = Field(default={})


class TableBlock(Block):
    """One table."""

    title: Text
    variants: list[Text] = Field(default=[])
    columns: list[ColumnBlock] = Field(min_length=1)


class StudyBlock(Block):
    """A whole file."""

    name: MaybeName = None
    scenario: Text | None = None
    quick: Switch = False
    seeds: Count | list[Seed] = 5
    set: Config = Field(default={})
    variants: dict[str, VariantBlock | None] = Field(min_length=1)
    baseline: Text | None = None
    tables: list[TableBlock] = Field(default=[])


def read_study(path: Path) -> Study:
    """Return the study that the file describes; paths in it are relative to it.

    Raises:
        ScenarioError: Carries every fault found.
    """
    loaded = load(path)
    if loaded.tree is None:
        raise ScenarioError(loaded.faults)
    try:
        block = StudyBlock.model_validate(loaded.tree.data)
    except ValidationError as error:
        faults = [_translate(detail, loaded.tree) for detail in error.errors(include_url=False)]
        raise ScenarioError(list(dict.fromkeys([*loaded.faults, *faults]))) from None
    faults = [*loaded.faults, *(loaded.tree.fault(key, message) for key, message in _rules(block, path.parent))]
    if faults:
        raise ScenarioError(faults)
    variants = tuple(
        _variant(name, part or VariantBlock(), block, path.parent) for name, part in block.variants.items()
    )
    names = tuple(variant.name for variant in variants)
    seeds = tuple(block.seeds) if isinstance(block.seeds, list) else tuple(range(1, block.seeds + 1))
    tables = tuple(
        TableSpec(table.title, tuple(table.variants) or names, tuple(Column(**dict(c)) for c in table.columns))
        for table in block.tables
    )
    return Study(block.name or path.stem, loaded.question, seeds, variants, block.baseline or names[0], tables)


def _variant(name: str, part: VariantBlock, study: StudyBlock, folder: Path) -> Variant:
    scenario = folder / (part.scenario or study.scenario or "")
    changes = {**study.set, **part.set}
    return Variant(name, scenario, tuple(f"{key}={json.dumps(value)}" for key, value in changes.items()), study.quick)


def _rules(block: StudyBlock, folder: Path) -> Iterator[tuple[KeyPath, str]]:
    """Yield what the schema cannot know: files that must exist, names that must be variants."""
    names = list(block.variants)
    for name, part in block.variants.items():
        written = (part.scenario if part else None) or block.scenario
        if written is None:
            yield (
                ("variants", name),
                "has no scenario; give it one, or one for the whole study ('scenario:' at the top)",
            )
        elif not (folder / written).is_file():
            yield ("variants", name, "scenario"), f"got {show(written)}; there is no file {str(folder / written)!r}"
    asked: list[tuple[KeyPath, str]] = [(("baseline",), block.baseline)] if block.baseline else []
    asked += [(("tables", i, "variants", j), n) for i, t in enumerate(block.tables) for j, n in enumerate(t.variants)]
    asked += [
        (("tables", i, "columns", j, "reference", n), n)
        for i, t in enumerate(block.tables) for j, c in enumerate(t.columns) for n in c.reference
    ]  # fmt: skip
    for key, name in asked:
        if name not in block.variants:
            yield key, f"got {show(name)}; must be a variant: {', '.join(names)}{nearest(name, names)}"
    if isinstance(block.seeds, list) and len(set(block.seeds)) < max(len(block.seeds), 1):
        yield ("seeds",), "names a seed twice; every run needs its own"
    if block.seeds == []:
        yield ("seeds",), "is empty; name at least one seed"


def _translate(detail: ErrorDetails, tree: Tree) -> Fault:
    path: KeyPath = tuple(step for step in detail["loc"] if not _is_branch(step))
    rule, got = detail["type"], detail["input"]
    if rule == "missing":
        return tree.fault(path, "is missing; it is required")
    if rule == "extra_forbidden":
        return tree.fault(
            path, f"unknown key{nearest(str(path[-1]), _known(path))}; allowed: {', '.join(_known(path))}"
        )
    message = (
        str(detail.get("ctx", {}).get("error", "")) if rule == "value_error" else f"got {show(got)}; {detail['msg']}"
    )
    return tree.fault(path, message)


def _is_branch(step: Any) -> bool:
    """Whether pydantic names a branch of a union here, which is no key of the file."""
    return isinstance(step, str) and (
        step in ("[key]", "int") or step.startswith(("list[", "function-", "constrained-"))
    )


def _known(path: KeyPath) -> list[str]:
    blocks = {1: StudyBlock, 3: VariantBlock if path[0] == "variants" else TableBlock}
    return list(blocks.get(len(path), ColumnBlock).model_fields)
