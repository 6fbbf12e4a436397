"""Two tables of cells: who took part in which round, and model quality per test patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulator.metrics.participation import FATES
from emulator.metrics.round_rows import PATIENT_PREFIX
from emulator.report import style
from emulator.report.drawing import Drawing, Rect, Text

if TYPE_CHECKING:
    import pandas as pd

MOST_CLIENTS: Final = 60
MOST_ROUNDS: Final = 100
LOOKS: Final = {
    "replied": ("#009e73", "●", "#ffffff"),
    "late": ("#f0e442", "L", "#1f2933"),
    "failed": ("#d55e00", "F", "#ffffff"),
    "lost": ("#a8b1bc", "–", "#1f2933"),
    "down": ("#3f4753", "D", "#ffffff"),
    "open": ("#ffffff", "?", "#1f2933"),
    "away": ("#c3cad3", "D", "#3f4753"),
    "idle": ("#f1f3f6", "", "#1f2933"),
}
"""Colour, letter and letter's colour of each fate: it reads without colour too."""


def draw_participation(participation: pd.DataFrame) -> tuple[Drawing, list[str]]:
    """Return the matrix of rounds (columns) by clients (rows)."""
    clients = list(dict.fromkeys(participation["node"]))
    rounds = [int(number) for number in dict.fromkeys(participation["round"])]
    notes = []
    if len(clients) > MOST_CLIENTS:
        bad = participation[~participation["fate"].isin(["replied", "idle"])]["node"].value_counts()
        worst = set(sorted(clients, key=lambda name: (-int(bad.get(name, 0)), name))[:MOST_CLIENTS])
        notes.append(f"Shown: the {MOST_CLIENTS} of {len(clients)} clients that missed most.")
        clients = [name for name in clients if name in worst]
    if len(rounds) > MOST_ROUNDS:
        notes.append(f"Shown: the first {MOST_ROUNDS} of {len(rounds)} rounds.")
        rounds = rounds[:MOST_ROUNDS]
    left, top = 190.0, 56.0
    side = min(30.0, (style.WIDTH - left - 90) / max(len(rounds), 1))
    tall = 22.0
    drawing = Drawing(
        style.WIDTH, top + tall * len(clients) + 12, "Participation of each client in each round",
        "Rows are clients, columns rounds; the last column counts the rounds in which a client's reply was used.",
    )  # fmt: skip
    _add_legend(drawing, left, set(participation["fate"]))
    every = max(1, round(len(rounds) / 40))
    for j, number in enumerate(rounds):
        if j % every == 0:
            drawing.add(Text(left + side * (j + 0.5), top - 7, str(number), 11, style.SOFT, "middle"))
    rows = {(row["node"], int(row["round"])): row for row in participation.to_dict("records")}
    for i, name in enumerate(clients):
        y = top + tall * i
        drawing.add(Text(left - 10, y + 15, style.shorten(name, 26), 12, style.INK, "end"))
        for j, number in enumerate(rounds):
            row = rows[name, number]
            colour, letter, ink = LOOKS[row["fate"]]
            tip = f"{name}, round {number}: {row['fate']}, {FATES[row['fate']]}" + (
                f" ({row['reason']})" if row["reason"] else ""
            )
            drawing.add(Rect(left + side * j + 1, y + 1, side - 2, tall - 2, colour, tip, stroke="#d5dae1", radius=2))
            if side >= 12 and letter:
                drawing.add(Text(left + side * (j + 0.5), y + 15, letter, 11, ink, "middle", bold=True))
        joined = sum(rows[name, number]["fate"] == "replied" for number in rounds)
        drawing.add(Text(left + side * len(rounds) + 12, y + 15, f"{joined} of {len(rounds)}", 11.5, style.SOFT))
    return drawing, notes


def _add_legend(drawing: Drawing, x: float, seen: set[str]) -> None:
    for fate, (colour, letter, ink) in LOOKS.items():
        if fate in seen:
            label = {"idle": "not addressed", "away": "down, not addressed", "open": "undecided"}.get(fate, fate)
            drawing.add(Rect(x, 4, 18, 14, colour, stroke="#d5dae1", radius=2))
            drawing.add(
                Text(x + 9, 15, letter, 10.5, ink, "middle", bold=True), Text(x + 24, 15, label, 11.5, style.SOFT)
            )
            x += 24 + 6.6 * len(label) + 18


def patient_values(metrics: pd.DataFrame) -> tuple[list[str], list[str], dict[tuple[str, str], float]]:
    """Return patients, metric names and their values after the last round that has any.

    A value that this round does not define (no beat was called abnormal, say) is missing, not taken from an earlier round.
    """
    values: dict[tuple[str, str], float] = {}
    of_patients = metrics[metrics["name"].astype(str).str.startswith(PATIENT_PREFIX)]
    last = of_patients[of_patients["t_s"] == of_patients["t_s"].max()]
    for name, value in zip(last["name"], last["value"], strict=True):
        if value == value:
            patient, _, metric = str(name)[len(PATIENT_PREFIX) :].partition(".")
            values[patient, metric or "value"] = float(value)
    patients = sorted({patient for patient, _ in values}, key=lambda name: (len(name), name))
    return patients, sorted({metric for _, metric in values}), values
