"""pydantic's errors in our words, for every file that a schema of blocks describes: scenarios and studies."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from emulator.registry import nearest
from emulator.scenario.kinds import show
from emulator.scenario.tree import KeyPath


def message_of(detail: ErrorDetails, path: KeyPath, root: type[BaseModel]) -> str:
    """Return what is wrong at ``path``, what was got and what is allowed.

    Args:
        detail: One of pydantic's errors.
        path: Its place in the file: ``detail["loc"]`` without what is no key or index.
        root: The block that the whole file is.
    """
    rule, got = detail["type"], detail["input"]
    if rule == "missing":
        field = block_at(root, path[:-1]).model_fields[str(path[-1])]
        example = f", for example {path[-1]}: {field.examples[0]}" if field.examples else ""
        return f"is missing; it is required{example}"
    if rule == "extra_forbidden":
        known = list(block_at(root, path[:-1]).model_fields)
        return f"unknown key; allowed: {', '.join(known)}{nearest(str(path[-1]), known)}"
    if rule == "value_error":
        return str(detail.get("ctx", {}).get("error"))
    if rule == "list_type":
        return f"got {show(got)}; must be a list (entries that begin with '-')"
    if rule == "model_type":
        known = list(block_at(root, path).model_fields)
        return f"got {show(got)}; must be a mapping with keys such as: {', '.join(known)}"
    if rule == "dict_type":
        return f"got {show(got)}; must be a mapping (key: value)"
    return f"got {show(got)}; {detail['msg']}"


def block_at(root: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """Return the block that stands at ``path`` of a file whose whole is ``root``; an empty one where none does."""
    annotation: Any = root
    for step in path:
        if get_origin(annotation) in {dict, list}:
            annotation = _present(get_args(annotation)[-1])
        else:
            annotation = _present(annotation.model_fields[str(step)].annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else BaseModel


def _present(annotation: Any) -> Any:
    """Return ``X`` for ``X | None``, and anything else as it is."""
    if get_origin(annotation) not in {Union, UnionType}:
        return annotation
    others = [each for each in get_args(annotation) if each is not type(None)]
    return others[0] if len(others) == 1 else annotation
