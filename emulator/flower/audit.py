"""The auditor an app may ship: ``[tool.emulate] audit = "package.module:function"`` in its pyproject.

The function takes the run folder and returns an object with ``faults`` (what is wrong, the first first), ``notices``, ``summary``
and ``name``. It is the app's own, because only the app knows what it keeps; files it wants kept it leaves in the ServerApp's
``context.state["kept-files"]``, and they lie in the run folder under ``kept/``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

from emulator.errors import RunFailed, UsageError
from emulator.flower import adapter

KEPT_FILES: Final = "kept-files"
KEPT: Final = "kept"


@dataclass(frozen=True)
class AuditResult:
    """What the app's auditor found.

    Attributes:
        faults: What is wrong; empty where nothing is.
        notices: What is right and worth knowing.
        summary: One line.
        name: What the audited record calls itself, to be compared with what is known from elsewhere.
    """

    faults: tuple[str, ...]
    notices: tuple[str, ...]
    summary: str
    name: str


def keep_files(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the files that a ServerApp wants kept into ``folder``/kept.

    Raises:
        RunFailed: A name is not that of a file in one folder.
    """
    for name, data in dict(state.get(KEPT_FILES, {})).items():
        if PurePath(name).name != name or not isinstance(data, bytes):
            raise RunFailed(f"the app wants {name!r} kept; allowed: bytes under a file name without folders")
        (folder / KEPT).mkdir(exist_ok=True)
        (folder / KEPT / name).write_bytes(data)


def audit_run(app_dir: Path, run: Path) -> AuditResult:
    """Let the app's auditor check a run folder.

    Raises:
        UsageError: The app names no auditor.
        AppLoadError: It cannot be imported.
    """
    with (app_dir / "pyproject.toml").open("rb") as file:
        reference = tomllib.load(file).get("tool", {}).get("emulate", {}).get("audit")
    if not isinstance(reference, str):
        raise UsageError(
            f'{app_dir}/pyproject.toml names no auditor; one is named by [tool.emulate] audit = "module:function"'
        )
    found = adapter.load_named(app_dir, reference, "auditor")(run)
    return AuditResult(
        tuple(map(str, found.faults)), tuple(map(str, found.notices)), str(found.summary), str(found.name)
    )
