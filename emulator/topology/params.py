"""Parameters of plug-ins: names and types are those of the function's signature; faults are collected."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from emulator.datafiles import find_file, is_file_parameter
from emulator.registry import nearest
from emulator.units import parse_quantity


class ParameterError(ValueError):
    """Several things wrong with the parameters of one block, each at a key below it (empty: the block itself)."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{key}: {message}" if key else message for key, message in faults))


def bind(function: Callable[..., Any], params: Mapping[str, Any], *, given: Collection[str] = ()) -> dict[str, Any]:
    """Return ``params`` as keyword arguments for ``function``.

    Only keyword-only parameters may be set from a scenario, without those ``given`` by the caller. A parameter called
    ``for_`` is written ``for``, since Python reserves the word. Types are checked strictly (``"3"`` is no int); without
    annotation anything goes. A parameter annotated ``pathlib.Path`` is a data file (``emulator.datafiles``): its name
    is ``file`` or ends in ``_file``, and the function gets the path of a file that is there.

    Raises:
        ParameterError: Unknown names (with the nearest allowed one), missing names, wrong types, missing files: all.
    """
    signature = inspect.signature(function, eval_str=True)
    known = {
        name.rstrip("_"): item
        for name, item in signature.parameters.items()
        if item.kind is item.KEYWORD_ONLY and name not in given
    }
    takes_any = any(item.kind is item.VAR_KEYWORD for item in signature.parameters.values())
    faults = [
        ("", f"the plug-in's parameter {item.name!r} is a Path; its author must call it 'file' or '..._file'")
        for item in known.values()
        if _is_path(item) and not is_file_parameter(item.name)
    ]
    bound: dict[str, Any] = {}
    for name, value in params.items():
        if name in known:
            item = known[name]
            value, found = _file(name, value) if _is_path(item) else (value, _type_faults(name, value, item.annotation))
            bound[item.name] = value
            faults.extend(found)
        elif takes_any:
            bound[name] = value
        else:
            faults.append((name, f"unknown parameter; allowed: {', '.join(known)}{nearest(name, list(known))}"))
    for name, item in known.items():
        if item.default is item.empty and name not in params:
            faults.append(("", f"parameter {name!r} is missing; allowed: {', '.join(known)}"))
    if faults:
        raise ParameterError(faults)
    return bound


def _is_path(item: inspect.Parameter) -> bool:
    return item.annotation is Path or Path in get_args(item.annotation)


def _file(name: str, value: object) -> tuple[object, list[tuple[str, str]]]:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        return value, [(name, f"got {value!r}; want the path of a file")]
    try:
        return find_file(str(value)), []
    except ValueError as error:
        return value, [(name, str(error))]


def _type_faults(name: str, value: object, annotation: Any) -> list[tuple[str, str]]:
    if annotation is inspect.Parameter.empty:
        return []
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    try:
        TypeAdapter(annotation, config=config).validate_python(value)
    except ValidationError as error:
        wanted = getattr(annotation, "__name__", str(annotation)) if isinstance(annotation, type) else str(annotation)
        detail = error.errors()[0]["msg"]
        return [(name, f"got {value!r}; want {wanted.replace('collections.abc.', '')} ({detail})")]
    return []


def quantity(key: str, text: object, dimension: str) -> float:
    """Return ``text`` in the base unit of ``dimension``, as ``parse_quantity``, with faults placed at ``key``.

    Raises:
        ParameterError: The text is no quantity of that dimension.
    """
    try:
        return parse_quantity(text, dimension)
    except ValueError as error:
        raise ParameterError([(key, str(error))]) from None


def as_list(value: str | Sequence[str]) -> list[str]:
    """Return one name, or a list of names, as a list."""
    return [value] if isinstance(value, str) else list(value)
