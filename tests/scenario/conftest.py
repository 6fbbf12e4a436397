"""A scenario file written on the spot, with the small app of the bad scenarios."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

APPS = Path(__file__).parent.parent / "bad_scenarios"

WriteScenario = Callable[..., Path]


@pytest.fixture
def write_scenario(tmp_path: Path) -> WriteScenario:
    """Return a function that writes text to ``case.yaml``; ``app`` and ``topology`` are added unless told otherwise."""

    def write(text: str = "", *, app: str = "app", add_rest: bool = True) -> Path:
        path = tmp_path / "case.yaml"
        rest = f"\ntopology: {{kind: star, sites: 3}}\napp: {{path: {APPS / app}}}\n" if add_rest else ""
        path.write_text(text + rest, encoding="utf-8")
        return path

    return write
