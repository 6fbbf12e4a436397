"""Data files that a scenario names: traces and maps, found by one rule wherever a parameter asks for one.

A parameter called ``file``, or whose name ends in ``_file``, holds the path of a data file. A relative path is looked
up beside the scenario, then in the folder that ``FEDGEN_DATA`` names, then among the files shipped with the package
``topologies`` (``traces/``, ``maps/``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import topologies

VARIABLE = "FEDGEN_DATA"


def is_file_parameter(name: str) -> bool:
    """Return True for a parameter that holds the path of a data file."""
    return name == "file" or name.endswith("_file")


def beside(folder: Path, params: Any) -> Any:
    """Return ``params`` with every data file that lies in ``folder`` named by its absolute path.

    The scenario kept in a run folder then repeats the run, though it lies elsewhere. Nested mappings and lists are
    followed; files that are not there stay as they are written.
    """
    if isinstance(params, list):
        return [beside(folder, item) for item in params]
    if not isinstance(params, Mapping):
        return params
    return {name: _placed(folder, value) if is_file_parameter(name) else beside(folder, value)
            for name, value in params.items()}  # fmt: skip


def _placed(folder: Path, value: Any) -> Any:
    if not isinstance(value, str) or "\0" in value:
        return value
    path = folder / Path(value).expanduser()
    return str(path.resolve()) if path.is_file() else value


def find_file(text: str) -> Path:
    """Return the data file that ``text`` names, looked up in ``FEDGEN_DATA`` and among the shipped files.

    Raises:
        ValueError: No such file; says where it was looked for and what to do.
    """
    path = Path(text).expanduser()
    folders = [Path(os.environ[VARIABLE])] if os.environ.get(VARIABLE) else []
    for folder in (*folders, *(Path(entry) for entry in topologies.__path__)):
        if (folder / path).is_file():
            return folder / path
    if path.is_absolute():
        raise ValueError(f"got {text!r}; there is no such file")
    raise ValueError(
        f"got {text!r}; there is no such file beside the scenario, in the folder that {VARIABLE} names, or among the "
        f"shipped {_shipped()}; set {VARIABLE} to the folder that holds it, or give the path relative to the scenario"
    )


def _shipped() -> str:
    folder = Path(topologies.__path__[0])
    names = sorted(
        path.relative_to(folder).as_posix()
        for below in ("maps", "traces")
        for path in (folder / below).glob("*")
        if path.suffix != ".md"
    )
    return ", ".join(names)
