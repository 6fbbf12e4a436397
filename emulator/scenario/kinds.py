"""The kinds of value a scenario key can hold: how each is checked, and how the reference page describes it.

A kind keeps the value as it was written; ``emulator.units`` and the functions here turn it into base units later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from emulator.registry import nearest
from emulator.units import UNITS, parse_quantity

_CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_SCENARIO_NAME: Final = re.compile(r"[a-z0-9_-]+")
_PROFILE_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Kind:
    """A kind of value, to stand in ``Annotated``.

    Attributes:
        label: What the reference page calls it.
        allowed: What may be written.
        check: Raises ValueError, with what was got and what is allowed.
    """

    label: str
    allowed: str
    check: Callable[[Any], object]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Have pydantic call ``check`` and keep the value as it is written."""
        return core_schema.no_info_plain_validator_function(self._checked)

    def _checked(self, value: Any) -> Any:
        self.check(value)
        return value


def show(value: object) -> str:
    """Return ``value`` as a message shows it: text in quotes, booleans and null as YAML writes them."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def quantity(
    dimension: str, *, above: float | None = None, least: float | None = None, most: float | None = None, hint: str = ""
) -> Kind:
    """Return the kind of a quantity with bounds in the base unit of ``dimension``; ``hint`` follows a broken bound."""
    bounds = _bounds(above, least, most)

    def check(value: object) -> None:
        number = _parse(value, dimension)
        too_low = (above is not None and number <= above) or (least is not None and number < least)
        if too_low or (most is not None and number > most):
            raise ValueError(f"got {show(value)}; must be {bounds}{hint}")

    return Kind(dimension, f"{bounds}, bare or with %" if dimension == "fraction" else bounds, check)


def _bounds(above: float | None, least: float | None, most: float | None) -> str:
    parts = [f"above {above:g}"] if above is not None else []
    parts += [f"{least:g} or more"] if least is not None and most is None else []
    parts += [f"from {least:g} to {most:g}"] if least is not None and most is not None else []
    return " and ".join(parts)


def _parse(value: object, dimension: str) -> float:
    """``parse_quantity`` with values shown as YAML writes them and the nearest unit."""
    if value is None or isinstance(value, (bool, list, dict)):
        units = ", ".join(unit for unit in UNITS[dimension] if unit)
        raise ValueError(f"got {show(value)}; write a number and a unit ({units})")
    try:
        return parse_quantity(value, dimension)
    except ValueError as error:
        unit = str(value).strip().lstrip("+-0123456789.eE ")
        known = nearest(unit, [name for name in UNITS[dimension] if name]) if unit not in UNITS[dimension] else ""
        raise ValueError(f"{error}{known}") from None


def text() -> Kind:
    """Return the kind of a text that is not empty."""

    def check(value: object) -> None:
        if not isinstance(value, str):
            raise ValueError(f"got {show(value)}; must be text{_quote_hint(value)}")
        if not value.strip():
            raise ValueError("got an empty text; write one, or leave the key out")
        if "\0" in value:
            raise ValueError(f"got {show(value)}; text cannot hold the character NUL")

    return Kind("text", "not empty", check)


def _quote_hint(value: object) -> str:
    return f', in quotes if it is meant so: "{show(value)}"' if isinstance(value, (bool, int, float)) else ""


def choice(*allowed: str) -> Kind:
    """Return the kind of one word out of ``allowed``."""

    def check(value: object) -> None:
        if value not in allowed:
            hint = nearest(value, allowed) if isinstance(value, str) else ""
            raise ValueError(f"got {show(value)}; allowed: {', '.join(allowed)}{hint}")

    return Kind("choice", " or ".join(allowed), check)


def sample() -> Kind:
    """Return the kind of a part of a whole number of things, such as ``50 of 5000``."""

    def check(value: object) -> None:
        parse_sample(value)

    return Kind("sample", "as `50 of 5000`, the part from 1 to the whole", check)


def parse_sample(value: object) -> tuple[int, int]:
    """Return part and whole of ``50 of 5000``.

    Raises:
        ValueError: Another form, or a part that is not from 1 to the whole.
    """
    found = re.fullmatch(r"(\d+) of (\d+)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"got {show(value)}; write how many of how many, such as 50 of 5000")
    part, whole = int(found[1]), int(found[2])
    if not 1 <= part <= whole:
        raise ValueError(f"got {show(value)}; the part must be from 1 to the whole")
    return part, whole


def name(*, of_scenario: bool) -> Kind:
    """Return the kind of a name of a scenario (also names a folder) or of a profile."""
    pattern, letters = (
        (_SCENARIO_NAME, "a-z, 0-9, _ and -") if of_scenario else (_PROFILE_NAME, "A-Z, a-z, 0-9, _ and -")
    )

    def check(value: object) -> None:
        if not isinstance(value, str):
            raise ValueError(f"got {show(value)}; a name is text{_quote_hint(value)}")
        if not pattern.fullmatch(value):
            raise ValueError(f"got {show(value)}; a name consists of {letters}")

    return Kind("name", letters, check)


def integer(least: int) -> Kind:
    """Return the kind of an integer of ``least`` or more."""

    def check(value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"got {show(value)}; must be an integer of {least} or more, without a unit")
        if value < least:
            raise ValueError(f"got {show(value)}; must be {least} or more")

    return Kind("integer", f"{least} or more", check)


def factor() -> Kind:
    """Return the kind of a number above 0."""

    def check(value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"got {show(value)}; must be a number above 0, without a unit")
        if value <= 0:
            raise ValueError(f"got {show(value)}; must be above 0")

    return Kind("number", "above 0", check)


def boolean() -> Kind:
    """Return the kind of a boolean; ``on``, ``off``, ``yes`` and ``no`` are text and refused."""

    def check(value: object) -> None:
        if not isinstance(value, bool):
            raise ValueError(f"got {show(value)}; write true or false")

    return Kind("boolean", "true or false", check)


def time_of_day() -> Kind:
    """Return the kind of a time of day such as ``18:00``."""

    def check(value: object) -> None:
        parse_time_of_day(value)

    return Kind("time of day", "HH:MM or HH:MM:SS, 24 hours", check)


def parse_time_of_day(value: object) -> float:
    """Return the seconds after midnight of ``HH:MM`` or ``HH:MM:SS``.

    Raises:
        ValueError: The value is anything else.
    """
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"got {show(value)}; write a time of day from 00:00 to 23:59, for example '18:00'")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600.0 + minutes * 60.0 + seconds


def mapping() -> Kind:
    """Return the kind of a mapping whose content is checked elsewhere."""

    def check(value: object) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"got {show(value)}; must be a mapping (key: value)")

    return Kind("mapping", "keys and values", check)
