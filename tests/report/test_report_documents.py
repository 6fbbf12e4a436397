"""The generated pages are up to date."""

from __future__ import annotations

from pathlib import Path

from emulator.events import KINDS
from emulator.metrics.columns import TABLES
from emulator.metrics.documents import pages

ROOT = Path(__file__).resolve().parents[2]


def test_pages_are_up_to_date():
    for path, text in pages(ROOT).items():
        assert path.read_text() == text, f"run python -m emulator.metrics.documents: {path.name} is out of date"


def test_every_kind_and_every_column_is_described():
    log, results = ((ROOT / name).read_text() for name in ("docs/event-log.md", "results/README.md"))
    assert all(f"| `{kind}` |" in log for kind in KINDS)
    assert all(f"| `{column.name}` |" in results for columns in TABLES.values() for column in columns)
