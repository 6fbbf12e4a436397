"""What an app's ``pyproject.toml`` says about it, without importing it."""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass
from pathlib import Path

_DEFAULT_PATTERNS = (
    "**/*.py", "**/*.toml", "**/*.md", "**/*.yaml", "**/*.yml", "**/*.json", "**/*.jsonl", "LICENSE",
)  # fmt: skip
"""What ``flwr build`` packs (flwr 1.41, ``FAB_INCLUDE_PATTERNS``) where the app does not say otherwise."""
_ZIP_BYTES_PER_FILE = 76
"""Heads of a file in a zip, here and in its directory, besides the name twice. Flower packs without compression."""
_LISTED_BYTES_PER_FILE = 74
"""A line of the bundle's list: SHA-256, size, separators; besides the name."""


@dataclass(frozen=True)
class AppInfo:
    """Facts about a Flower app.

    Attributes:
        reports_work: ``[tool.emulate] reports-work``: replies carry a ``work-report`` record.
        bundle_bytes: Size of the bundle a SuperNode fetches on first contact, within a few percent: exclusions other than hidden
            and cached files are not followed.
    """

    reports_work: bool
    bundle_bytes: int


def read_app_info(app_dir: Path) -> AppInfo:
    """Return the facts about the app in ``app_dir``."""
    with (app_dir / "pyproject.toml").open("rb") as file:
        tool = tomllib.load(file).get("tool", {})
    include = tool.get("flwr", {}).get("app", {}).get("fab-include", _DEFAULT_PATTERNS)
    files = {path for pattern in include for path in app_dir.glob(pattern) if path.is_file()}
    files.add(app_dir / "pyproject.toml")
    kept = [path for path in files if not _is_ignored(path.relative_to(app_dir))]
    each = _ZIP_BYTES_PER_FILE + _LISTED_BYTES_PER_FILE
    size = sum(path.stat().st_size + each + 3 * len(str(path.relative_to(app_dir))) for path in kept)
    return AppInfo(bool(tool.get("emulate", {}).get("reports-work", False)), size)


def _is_ignored(path: Path) -> bool:
    return any(part.startswith(".") or fnmatch.fnmatch(part, "__pycache__") for part in path.parts)
