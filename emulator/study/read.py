"""A study file to a ``Study``; every fault at once, with its line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from emulator.errors import Fault, ScenarioError
from emulator.registry import nearest
from emulator.scenario import kinds
from emulator.scenario.kinds import show
from emulator.scenario.load import load
from emulator.scenario.schema import Block, Config, Count, MaybeName, Seed, Switch, Text
from emulator.scenario.translate import message_of
from emulator.scenario.tree import KeyPath, Tree
from emulator.study.spec import Column, FigureSpec, Study, TableSpec, Variant

Factor = Annotated[float, kinds.factor()]
INFINITE = "inf"


class VariantBlock(Block):
    """One variant."""

    scenario: Text | None = None
    set: Config = Field(default={})


class ColumnBlock(Block):
    """One column."""

    title: Text
    figure: Text
    minus: Text = ""
    scale: Factor = 1.0
    reference: dict[str, float] = Field(default={})


class TableBlock(Block):
    """One table."""

    title: Text
    variants: list[Text] = Field(default=[])
    columns: list[ColumnBlock] = Field(min_length=1)


class FigureBlock(Block):
    """One figure."""

    title: Text
    kind: Literal["bars", "rounds", "points"]
    figure: Text
    variants: list[Text] = Field(default=[])
    scale: Factor = 1.0
    unit: Text = ""
    axis: Text = ""
    at: dict[str, float | Literal["inf"]] = Field(default={})
    reference: dict[str, float] = Field(default={})


class StudyBlock(Block):
    """A whole file."""

    name: MaybeName = None
    scenario: Text | None = None
    quick: Switch = False
    seeds: Count | list[Seed] = 5
    seed_keys: list[Text] = Field(default=[])
    set: Config = Field(default={})
    variants: dict[str, VariantBlock | None] = Field(min_length=1)
    baseline: Text | None = None
    tables: list[TableBlock] = Field(default=[])
    figures: list[FigureBlock] = Field(default=[])


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
    figures = tuple(_figure(figure, names) for figure in block.figures)
    return Study(block.name or path.stem, loaded.question, seeds, variants, block.baseline or names[0], tables, figures)


def _variant(name: str, part: VariantBlock, study: StudyBlock, folder: Path) -> Variant:
    scenario = folder / (part.scenario or study.scenario or "")
    changes = {**study.set, **part.set}
    overrides = tuple(f"{key}={json.dumps(value)}" for key, value in changes.items())
    return Variant(name, scenario, overrides, study.quick, tuple(study.seed_keys))


def _figure(block: FigureBlock, names: tuple[str, ...]) -> FigureSpec:
    at = {name: math.inf if place == INFINITE else place for name, place in block.at.items()}
    shown = tuple(block.variants) or tuple(at) or names
    return FigureSpec(**{**dict(block), "variants": shown, "at": at})


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
    for key, name in _names_used(block):
        if name not in block.variants:
            yield key, f"got {show(name)}; must be a variant: {', '.join(names)}{nearest(name, names)}"
    for i, figure in enumerate(block.figures):
        if (figure.kind == "points") != bool(figure.at):
            yield ("figures", i, "at"), "is for points, and points need it: the place of each variant, as in {few: 10}"
        for name, place in figure.at.items():
            if place != INFINITE and not 0 < float(place) < math.inf:
                yield ("figures", i, "at", name), f"got {show(place)}; must be a number above 0, or inf"
    if isinstance(block.seeds, list) and len(set(block.seeds)) < max(len(block.seeds), 1):
        yield ("seeds",), "names a seed twice; every run needs its own"
    if block.seeds == []:
        yield ("seeds",), "is empty; name at least one seed"


def _names_used(block: StudyBlock) -> Iterator[tuple[KeyPath, str]]:
    """Yield where the file names a variant, and which."""
    if block.baseline:
        yield ("baseline",), block.baseline
    for i, table in enumerate(block.tables):
        yield from ((("tables", i, "variants", j), name) for j, name in enumerate(table.variants))
        for j, column in enumerate(table.columns):
            yield from ((("tables", i, "columns", j, "reference", name), name) for name in column.reference)
    for i, figure in enumerate(block.figures):
        yield from ((("figures", i, "variants", j), name) for j, name in enumerate(figure.variants))
        yield from ((("figures", i, "at", name), name) for name in figure.at)
        yield from ((("figures", i, "reference", name), name) for name in figure.reference)


def _translate(detail: ErrorDetails, tree: Tree) -> Fault:
    path: KeyPath = tuple(step for step in detail["loc"] if not _is_branch(step))
    return tree.fault(path, message_of(detail, path, StudyBlock))


def _is_branch(step: Any) -> bool:
    """Whether pydantic names a branch of a union here, which is no key of the file."""
    return isinstance(step, str) and (
        step in ("[key]", "int", "float") or step.startswith(("list[", "function-", "constrained-", "literal["))
    )
