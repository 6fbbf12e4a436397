"""What device and link profiles have in common: own profiles that build on others with ``like``, and their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from emulator.models.facts import Table
from emulator.plan import ControlName
from emulator.registry import nearest
from emulator.topology.params import ParameterError
from emulator.units import parse_quantity

Own = Mapping[str, Mapping[str, Any]]


def like_chain(name: str, own: Own, table: Table, *, block: str) -> tuple[str | None, list[str]]:
    """Return the table profile that ``name`` ends at, and the own profiles on the way, the base-most first.

    Args:
        name: A profile of the table or one of ``own``.
        own: The scenario's own profiles.
        table: The shipped profiles.
        block: ``devices`` or ``links``: the block of the scenario, for messages.

    Returns:
        ``(None, chain)`` where the base-most own profile names no ``like``.

    Raises:
        ParameterError: Unknown name (with the nearest), a loop of ``like``, or an own profile that hides a shipped
            one. A fault about ``name`` itself has an empty key: the caller knows where the name stands.
    """
    chain: list[str] = []
    current, place = name, ""
    while current in own:
        if current in table:
            raise ParameterError([(f"{block}.{current}", f"{current!r} is a shipped profile; give yours another name")])
        if current in chain:
            loop = " -> ".join([*reversed(chain), current])
            raise ParameterError([(f"{block}.{name}.like", f"profiles are like each other in a loop: {loop}")])
        chain.insert(0, current)
        place = f"{block}.{current}.like"
        if "like" not in own[current]:
            return None, chain
        current = str(own[current]["like"])
    if current not in table:
        known = sorted({*table, *own})
        raise ParameterError(
            [(place, f"unknown profile {current!r}; allowed: {', '.join(known)}{nearest(current, known)}")]
        )
    return current, chain


def read_fields(fields: Mapping[str, Any], dimensions: Mapping[str, str], *, key: str) -> dict[str, Any]:
    """Return ``fields`` in base units.

    Args:
        fields: As written in a scenario (text with units), or floats in base units from a topology's edge.
        dimensions: Allowed field to its dimension in ``emulator.units``, or ``int``, ``bool``, ``control``, ``cooling``,
            ``plugin``.
        key: Dotted path of the block, for messages.

    Raises:
        ParameterError: Unknown fields (with the nearest), values that cannot be read or are out of range: all of them.
    """
    values: dict[str, Any] = {}
    faults: list[tuple[str, str]] = []
    for name, raw in fields.items():
        if name in ("like", "file"):
            continue
        if name not in dimensions:
            allowed = ["like", *dimensions]
            faults.append(
                (f"{key}.{name}", f"unknown field; allowed: {', '.join(allowed)}{nearest(str(name), allowed)}")
            )
            continue
        try:
            values[name] = _read_value(raw, dimensions[name])
        except ValueError as error:
            faults.append((f"{key}.{name}", str(error)))
    if faults:
        raise ParameterError(faults)
    return values


def _read_value(raw: object, dimension: str) -> float | int | bool | str | Mapping[str, Any]:
    if dimension == "plugin":
        if not isinstance(raw, Mapping) or not isinstance(raw.get("kind"), str):
            raise ValueError(f"got {raw!r}; want a mapping with 'kind', such as {{kind: trace}}")
        return raw
    if dimension == "cooling":
        if raw not in ("fan", "none"):
            raise ValueError(f"got {raw!r}; allowed: fan, none")
        return str(raw)
    if dimension == "bool":
        if not isinstance(raw, bool):
            raise ValueError(f"got {raw!r}; want true or false")
        return raw
    if dimension == "control":
        if raw not in get_args(ControlName):
            raise ValueError(f"got {raw!r}; allowed: {', '.join(get_args(ControlName))}")
        return str(raw)
    if dimension == "int":
        if isinstance(raw, bool) or not isinstance(raw, int) or raw < 1:
            raise ValueError(f"got {raw!r}; want a whole number from 1")
        return raw
    value = raw if isinstance(raw, float) else parse_quantity(raw, dimension)
    if value < 0:
        raise ValueError(f"got {raw!r}; it cannot be negative")
    return value
