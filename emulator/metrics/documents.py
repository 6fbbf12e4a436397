"""The generated pages: ``results/README.md`` (tables and run folders) and the tables of ``docs/event-log.md``.

``python -m emulator.metrics.documents`` writes both; a test holds that they are up to date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from emulator.events import KINDS, Event
from emulator.metrics.columns import TABLES

BEGIN: Final = "<!-- generated: python -m emulator.metrics.documents -->"
END: Final = "<!-- end of generated part -->"

_ABOUT: Final = {
    "rounds": "One row per round.",
    "transfers": "One row per transfer.",
    "devices": "One row per node of the plan.",
    "links": "Two rows per link of the plan, one for each direction.",
    "metrics": "One row per reported value.",
    "participation": "One row per round and client.",
}


def tables_markdown() -> str:
    """Return the description of every table as Markdown."""
    parts = []
    for name, columns in TABLES.items():
        lines = [f"### `{name}`", "", _ABOUT[name], "", "| column | unit | meaning |", "|---|---|---|"]
        lines += [f"| `{column.name}` | {column.unit or '-'} | {column.meaning} |" for column in columns]
        if name == "rounds":
            lines.append("| `metric.<name>` | - | one column for each global metric: its last value in that round |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def kinds_markdown() -> str:
    """Return the row's columns and every kind of row as Markdown."""
    lines = [f"The columns of a row: {', '.join(f'`{name}`' for name in Event._fields)}.", ""]
    lines += ["| kind | fields and what they mean |", "|---|---|"]
    lines += [f"| `{kind}` | {meaning} |" for kind, meaning in KINDS.items()]
    return "\n".join(lines) + "\n"


def replace_generated(page: str, text: str) -> str:
    """Return ``page`` with what stands between the two markers replaced by ``text``."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{text}\n{END}{tail}"


def pages(root: Path) -> dict[Path, str]:
    """Return each page with its generated part as it should be."""
    parts = {root / "results" / "README.md": tables_markdown(), root / "docs" / "event-log.md": kinds_markdown()}
    return {path: replace_generated(path.read_text(encoding="utf-8"), text) for path, text in parts.items()}


def main() -> None:
    """Write the pages of the repository this module stands in."""
    for path, text in pages(Path(__file__).resolve().parents[2]).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
