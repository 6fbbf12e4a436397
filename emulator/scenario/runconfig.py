"""The Flower run config: the app's defaults, what the scenario sets, and whether the app accepts it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from emulator.errors import Fault
from emulator.registry import nearest
from emulator.scenario.app import App
from emulator.scenario.kinds import show
from emulator.scenario.model import Scalar
from emulator.scenario.tree import Setting

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


def merge_config(app: App, settings: Mapping[str, Setting]) -> tuple[dict[str, Scalar], list[Fault]]:
    """Return the whole flat run config, and what the app would refuse in it.

    An integer where the app's default is a float becomes that float. With a schema, the schema decides; without one, a
    key must be among the app's defaults, as ``flwr run`` wants it, and keep its type.
    """
    config: dict[str, Scalar] = dict(app.defaults)
    for key, setting in settings.items():
        value = setting.value
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        config[key] = float(value) if is_integer and isinstance(app.defaults.get(key), float) else value
    if app.schema is None:
        found = [*_unlike_defaults(app.defaults, config)]
    else:
        found = [pair for error in _errors(app.schema, config) for pair in _explain(error, config)]
    if app.check is not None and not found:  # what single values a schema refuses, the check need not understand
        found = list(app.check(config))
    faults = [_placed(key, message, app, settings) for key, message in dict.fromkeys(found)]
    return {key: config[key] for key in sorted(config)}, faults


def _placed(key: str, message: str, app: App, settings: Mapping[str, Setting]) -> Fault:
    """Return the fault where ``key`` is set, else beside the settings of its group, else in the app's defaults."""
    setting = settings.get(key)
    if setting is not None:
        return Fault(*setting.place, setting.key, message)
    group = key.rpartition(".")[0]
    beside = [other for name, other in settings.items() if group and name.startswith(f"{group}.")]
    if beside and key not in app.defaults:
        return Fault(*beside[0].place, key, message)
    return Fault(app.pyproject, 0, f"tool.flwr.app.config.{key}" if key else "", message)


def _unlike_defaults(defaults: Mapping[str, Scalar], config: Mapping[str, Scalar]) -> Iterator[tuple[str, str]]:
    """Yield (key, message) for each key the app does not have, or whose type it would not expect."""
    for key, value in config.items():
        if key not in defaults:
            yield key, _unknown(key, sorted(defaults))
        elif _type_name(value) != _type_name(defaults[key]):
            yield (
                key,
                f"got {show(value)}; must be {_type_name(defaults[key])}, as the app's default {show(defaults[key])}",
            )


def _unknown(key: str, known: list[str]) -> str:
    if not known:
        return f"the app has no run config key {key!r}, nor any other"
    return f"the app has no run config key {key!r}; allowed: {', '.join(known)}{nearest(key, known)}"


def _type_name(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return {int: "an integer", float: "a number", str: "text"}[type(value)]


_TYPE_NAMES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "multipleOf": "a multiple of",
}


def _errors(schema: Mapping[str, Any], config: Mapping[str, Scalar]) -> list[ValidationError]:
    """Return what the schema refuses; of a key of the wrong type nothing but that."""
    from jsonschema import Draft202012Validator  # only apps that ship a schema pay for it

    errors = list(Draft202012Validator(schema).iter_errors(dict(config)))
    mistyped = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
    kept = [error for error in errors if error.validator == "type" or tuple(error.absolute_path) not in mistyped]
    return sorted(kept, key=lambda error: ([str(step) for step in error.absolute_path], error.message))


def _explain(error: ValidationError, config: Mapping[str, Scalar]) -> Iterator[tuple[str, str]]:
    """Yield (key, message) for one error of the schema; the key is empty where no single key is at fault."""
    key = ".".join(str(step) for step in error.absolute_path)
    got, rule = f"got {show(error.instance)}", str(error.validator)
    limit: Any = error.validator_value
    if rule == "additionalProperties":
        object_schema = error.schema if isinstance(error.schema, dict) else {}
        known = sorted(object_schema.get("properties", {}))
        patterns = list(object_schema.get("patternProperties", {}))
        for extra in [name for name in config if name not in known]:
            if not any(re.search(pattern, extra) for pattern in patterns):
                yield extra, _unknown(extra, known)
    elif rule == "required":
        for missing in [name for name in limit if name not in config]:
            yield missing, "is missing; with these settings the app requires it"
    elif rule == "enum":
        allowed = [str(item) if isinstance(item, str) else show(item) for item in limit]
        yield key, f"{got}; allowed: {', '.join(allowed)}{nearest(str(error.instance), allowed)}"
    elif rule == "const":
        yield key, f"{got}; must be {show(limit)}"
    elif rule == "type":
        names = [limit] if isinstance(limit, str) else list(limit)
        yield key, f"{got}; must be {' or '.join(_TYPE_NAMES.get(name, name) for name in names)}"
    elif rule in _BOUNDS:
        yield key, f"{got}; must be {_BOUNDS[rule]} {limit:g}"
    elif rule == "pattern":
        yield key, f"{got}; must match the pattern {limit!r}"
    elif rule in {"anyOf", "oneOf"} and error.context:
        parts = "; or ".join(dict.fromkeys(item.message for item in error.context))
        yield key, f"{got}; none of the alternatives holds: {parts}" if key else f"no alternative holds: {parts}"
    else:
        yield key, error.message
