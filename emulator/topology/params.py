"""Parameters of plug-ins: names and types are those of the function's signature; faults are collected."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from emulator.registry import nearest
from emulator.units import parse_quantity


class ParameterError(ValueError):
    """Several things wrong with the parameters of one block, each at a key below it (empty: the block itself)."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{key}: {message}" if key else message for key, message in faults))


def bind(function: Callable[..., Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``params`` as keyword arguments for ``function``.

    Only keyword-only parameters may be set from a scenario. A parameter called ``for_`` is written ``for``, since
    Python reserves the word. Types are checked strictly (``"3"`` is no int); without annotation anything goes.

    Raises:
        ParameterError: Unknown names (with the nearest allowed one), missing names, wrong types: all of them.
    """
    signature = inspect.signature(function, eval_str=True)
    known = {name.rstrip("_"): item for name, item in signature.parameters.items() if item.kind is item.KEYWORD_ONLY}
    takes_any = any(item.kind is item.VAR_KEYWORD for item in signature.parameters.values())
    faults: list[tuple[str, str]] = []
    bound: dict[str, Any] = {}
    for name, value in params.items():
        if name in known:
            bound[known[name].name] = value
            faults.extend(_type_faults(name, value, known[name].annotation))
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
