"""The Flower app a scenario names: its ``pyproject.toml``, its default run config, and the schema it may ship."""

from __future__ import annotations

import importlib
import json
import math
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from emulator.scenario.model import Scalar


@dataclass(frozen=True)
class App:
    """What the app's project folder says.

    Attributes:
        pyproject: The file, as it is shown in messages.
        defaults: ``[tool.flwr.app.config]``, flat.
        schema: JSON Schema of the flat run config, or None where the app ships none.
        check: Returns (key, message) for each setting that a schema cannot judge alone, or None where the app ships none.
        faults: What is wrong with the app.
    """

    pyproject: str
    defaults: Mapping[str, Scalar] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    check: Callable[[Mapping[str, Scalar]], Sequence[tuple[str, str]]] | None = None
    faults: tuple[str, ...] = ()


def read_app(folder: Path, written: str) -> App:
    """Return the app in ``folder``, which the scenario calls ``written``."""
    pyproject = folder / "pyproject.toml"
    shown = str(pyproject)
    advice = "write the folder of a Flower app, relative to the scenario file"
    try:
        if not folder.exists():
            return App(shown, faults=(f"got {written!r}; there is no folder {str(folder)!r}; {advice}",))
        if not folder.is_dir():
            return App(shown, faults=(f"got {written!r}, which is a file; {advice}",))
        if not pyproject.is_file():
            return App(shown, faults=(f"got {written!r}; the folder holds no pyproject.toml; {advice}",))
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        return App(shown, faults=(f"{shown!r} is not TOML: {error}",))
    except UnicodeDecodeError:
        return App(shown, faults=(f"{shown!r} is not UTF-8 text",))
    except (OSError, ValueError) as error:
        return App(shown, faults=(f"got {written!r}, which cannot be read: {error}",))
    return _examine_project(project, folder, shown)


def _examine_project(project: Mapping[str, Any], folder: Path, shown: str) -> App:
    faults: list[str] = []
    components = _table(project, "tool", "flwr", "app", "components")
    for name in ("serverapp", "clientapp"):
        reference = components.get(name)
        if not isinstance(reference, str) or ":" not in reference:
            example = f'{name} = "package.module:app"'
            faults.append(f"{shown!r} names no {name}; write {example} under [tool.flwr.app.components]")
    defaults: dict[str, Scalar] = {}
    for key, value in _flat(_table(project, "tool", "flwr", "app", "config")).items():
        if not isinstance(value, (str, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
            faults.append(f"{shown!r}: the run config default {key!r} must be text, a finite number, true or false")
        else:
            defaults[key] = value
    schema: Mapping[str, Any] | None = None
    check = None
    ours = _table(project, "tool", "emulate")
    try:
        if "run-config-schema" in ours:
            schema = _read_schema(folder, ours["run-config-schema"])
    except ValueError as error:
        faults.append(f"{shown!r}: run-config-schema: {error}")
    try:
        if "run-config-check" in ours:
            check = _load_check(folder, ours["run-config-check"])
    except ValueError as error:
        faults.append(f"{shown!r}: run-config-check: {error}")
    return App(shown, defaults, schema, check, tuple(faults))


def _table(project: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the TOML table at ``path``, empty where there is none."""
    node: Any = project
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join the keys of nested tables with dots, as Flower does."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _load_check(folder: Path, named: object) -> Callable[[Mapping[str, Scalar]], Sequence[tuple[str, str]]]:
    """Return the function that the app names; its module must be light, for ``--check`` needs neither torch nor Flower."""
    if not isinstance(named, str) or named.count(":") != 1:
        raise ValueError("must be 'package.module:function' inside the app's folder")
    module, _, function = named.partition(":")
    sys.path.insert(0, str(folder.resolve()))
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:  # whatever an app raises at import is the app's fault, and is told as such
        raise ValueError(f"{named!r} cannot be imported: {type(error).__name__}: {error}") from None
    finally:
        sys.path.pop(0)
    return cast(Callable[[Mapping[str, Scalar]], Sequence[tuple[str, str]]], found)


def _read_schema(folder: Path, named: object) -> Mapping[str, Any]:
    if not isinstance(named, str):
        raise ValueError("must be the path of a JSON Schema file, relative to pyproject.toml")
    from jsonschema import Draft202012Validator  # only apps that ship a schema pay for it
    from jsonschema.exceptions import SchemaError

    try:
        schema = json.loads((folder / named).read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
    except OSError as error:
        raise ValueError(f"{named!r} cannot be read: {error.strerror}") from None
    except SchemaError as error:
        raise ValueError(f"{named!r} is not a JSON Schema: {error.message}") from None
    except ValueError as error:
        raise ValueError(f"{named!r} is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise ValueError(f"{named!r} must hold a JSON object")
    return schema
