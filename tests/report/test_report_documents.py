"""The generated pages are up to date."""

from __future__ import annotations

import json
import re
from pathlib import Path

from report_builder import clinic_log, clinic_plan

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


def test_examples_in_the_event_log_page_run(tmp_path, monkeypatch, capsys):
    run = tmp_path / "results" / "rural_clinic" / "001"
    plan = clinic_plan(4)
    clinic_log(run / "events", plan, 3)
    (run / "plan.json").write_text(json.dumps(plan.to_dict()))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/event-log.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "event-log.md", "exec"), {})
    shown = capsys.readouterr().out
    assert "'opened': 3" in shown
    assert "geo_vsat" in shown
