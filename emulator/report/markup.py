"""Small pieces of HTML. Everything that comes from outside passes through ``text``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

from emulator.plan import LinkState
from emulator.report.drawing import Drawing
from emulator.report.svg import to_svg
from emulator.units import format_bytes, format_duration, format_rate

MOST_ROWS: Final = 200
"""Rows of a table in the page; the files in ``tables/`` hold all."""


class Cell(NamedTuple):
    """A cell of a table: its text, whether it is a number, and whether it says that a figure is unknown."""

    text: str
    is_number: bool = False
    is_unknown: bool = False


def text(value: object) -> str:
    """Return ``value`` safe inside an element or an attribute."""
    return escape(str(value), quote=True)


def figure(value: float | int | None, shown: str) -> Cell:
    """Return the cell of a figure, ``unknown`` where there is none (None, NaN or NA)."""
    if value is None or str(value) in ("nan", "<NA>", "None"):
        return Cell("unknown", is_number=True, is_unknown=True)
    return Cell(shown, is_number=True)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table; a column is set as numbers where its first cell is one."""
    body = list(rows)
    numeric = [bool(body) and cell.is_number for cell in body[0]] if body else [False] * len(head)
    classes = [' class="n"' if is_number else "" for is_number in numeric]
    names = "".join(f'<th scope="col"{css}>{text(name)}</th>' for name, css in zip(head, classes, strict=True))
    lines = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>\n" for row in body)
    if not body:
        lines = f'<tr><td colspan="{len(head)}">none</td></tr>\n'
    return (
        f'<div class="scroll"><table><caption>{text(caption)}</caption>\n'
        f"<thead><tr>{names}</tr></thead>\n<tbody>\n{lines}</tbody></table></div>\n"
    )


def _cell(cell: Cell) -> str:
    names = " ".join(name for name, wanted in (("n", cell.is_number), ("unknown", cell.is_unknown)) if wanted)
    return f'<td class="{names}">{text(cell.text)}</td>' if names else f"<td>{text(cell.text)}</td>"


def chart(drawn: tuple[Drawing, Sequence[str]], ident: str) -> str:
    """Return a chart with the notes on what it leaves out above it."""
    drawing, notes = drawn
    return limits(notes) + f'<div class="chart">{to_svg(drawing, ident)}</div>\n'


def limits(notes: Sequence[str]) -> str:
    """Return the visible notes on what is not shown."""
    return "".join(f'<div class="limit">{text(note)}</div>\n' for note in notes)


def section(ident: str, title: str, lead: str, body: str) -> str:
    """Return a section with its heading and one sentence that says how to read it."""
    return f'<section id="{ident}">\n<h2>{text(title)}</h2>\n<p>{text(lead)}</p>\n{body}</section>\n'


def folded(summary: str, body: str) -> str:
    """Return ``body`` behind a line that opens it."""
    return f"<details><summary>{text(summary)}</summary>\n{body}</details>\n"


def row_limit(rows: int, where: str) -> str:
    """Return the note on a table of more than ``MOST_ROWS`` rows; ``where`` names the file that holds all."""
    return limits([f"Shown: {MOST_ROWS} of {rows} rows; all are in {where}."] if rows > MOST_ROWS else [])


def nothing(why: str) -> str:
    """Return the note that stands where there is nothing to draw."""
    return limits([why])


def duration(seconds: float) -> str:
    """Return a duration for a table, a dash for none."""
    return format_duration(seconds) if seconds > 0 else "-"


def size(count: float) -> str:
    """Return a number of bytes for a table, a dash for none."""
    return format_bytes(count) if count > 0 else "-"


def rate_range(states: Sequence[LinkState]) -> str:
    """Return the rate of a link's direction, from the least to the greatest where it changes over time."""
    rates = {state.rate_bps for state in states}
    least, greatest = format_rate(min(rates)), format_rate(max(rates))
    return least if least == greatest else f"{least} to {greatest}"
