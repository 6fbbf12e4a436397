from __future__ import annotations

from pathlib import Path

from emulator.scenario import examine
from emulator.scenario.reference import COMPLETE_EXAMPLE, main, render
from emulator.scenario.schema import Document

APPS = Path(__file__).parent.parent / "bad_scenarios"


PAGE = Path(__file__).parents[2] / "docs" / "scenario.md"


def test_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.startswith(render()), "run: python -m emulator.scenario.reference"


def test_page_names_every_top_level_key_and_extra_sections() -> None:
    page = render([("Topologies", "| star |\n")])
    assert all(f"| `{key}` |" in page for key in Document.model_fields)
    assert page.endswith("## Topologies\n\n| star |\n")


def test_main_writes_where_it_is_told(tmp_path: Path) -> None:
    main([str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == render()


def test_example_on_the_page_loads(tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(COMPLETE_EXAMPLE.replace("path: ..", f"path: {APPS / 'app'}"), encoding="utf-8")
    scenario, faults = examine(path, quick=True)
    assert faults == []
    assert scenario is not None
    assert scenario.name == "rural_clinic"
