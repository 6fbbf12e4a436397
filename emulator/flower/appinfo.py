"""What an app's ``pyproject.toml`` says about it, without importing it."""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass
from pathlib import Path

_DEFAULT_PATTERNS = ("**/*.py", "**/*.toml", "**/*.md")
_COMPRESSION = 0.35
"""A Flower App Bundle is a zip; Python text shrinks to about a third (estimate)."""


@dataclass(frozen=True)
class AppInfo:
    """Facts about a Flower app.

    Attributes:
        reports_work: ``[tool.emulate] reports-work``: replies carry a ``work-report`` record.
        bundle_bytes: Estimated size of the bundle a SuperNode fetches on first contact.
    """

    reports_work: bool
    bundle_bytes: int


def read_app_info(app_dir: Path) -> AppInfo:
    """Return the facts about the app in ``app_dir``."""
    with (app_dir / "pyproject.toml").open("rb") as file:
        tool = tomllib.load(file).get("tool", {})
    include = tool.get("flwr", {}).get("app", {}).get("fab-include", _DEFAULT_PATTERNS)
    files = {path for pattern in include for path in app_dir.glob(pattern) if path.is_file()}
    kept = [path for path in files if not _is_ignored(path.relative_to(app_dir))]
    size = int(sum(path.stat().st_size for path in kept) * _COMPRESSION)
    return AppInfo(bool(tool.get("emulate", {}).get("reports-work", False)), size)


def _is_ignored(path: Path) -> bool:
    return any(part.startswith(".") or fnmatch.fnmatch(part, "__pycache__") for part in path.parts)
