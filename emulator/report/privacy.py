"""The report's section on what privacy costs: guarantees, messages by what they are for, seconds and energy by mechanism."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from emulator.metrics.history import History
from emulator.metrics.panel import format_energy
from emulator.models.energy import energy_j
from emulator.plan import Plan
from emulator.report.markup import Cell, duration, figure, section, size, table

if TYPE_CHECKING:
    import pandas as pd

EPSILON_PREFIX: Final = "round.epsilon-"
"""Metrics of an app that tell epsilon by another accountant than the one whose figure counts: ``round.epsilon-renyi-example``."""
UNIT_WORDS: Final = {
    "dp_train_macs": "training with noise (all of it, not the surplus)",
    "encrypted_ciphertexts": "encryption",
    "decrypted_ciphertexts": "decryption of sums",
    "added_ciphertexts": "adding ciphertexts",
    "masked_elements": "masking and unmasking",
    "key_agreements": "key agreements",
    "signatures": "signatures made and checked",
}


def privacy_section(
    tables: Mapping[str, pd.DataFrame], summary: Mapping[str, Any], plan: Plan, history: History
) -> str:
    """Return the section; empty for a run without any mechanism."""
    if not (summary["privacy"] or summary["ledger"]["entries"] or history.work):
        return ""
    lead = (
        "What the mechanisms promise stands in the notices at the head of the page. Here is what they cost: epsilon, bytes of "
        "every kind of message, seconds and energy of what only they do."
    )
    body = _guarantees(tables, summary) + _messages(history) + _work(plan, history)
    return section("privacy", "What privacy costs", lead, body)


def _guarantees(tables: Mapping[str, pd.DataFrame], summary: Mapping[str, Any]) -> str:
    if not summary["privacy"]:
        return ""
    rows = [
        (Cell(words), Cell("as the app reports it"), figure(epsilon, f"{epsilon:.4g}"))
        for words, epsilon in summary["privacy"]["guarantees"].items()
    ]
    metrics = tables["metrics"]
    others = metrics[metrics["name"].str.startswith(EPSILON_PREFIX) & metrics["value"].notna()]
    for name, values in others.groupby("name")["value"]:
        accountant, _, unit = str(name).removeprefix(EPSILON_PREFIX).partition("-")
        rows.append((Cell(f"one {unit}"), Cell(f"{accountant} accounting"), figure(0, f"{float(values.max()):.4g}")))
    return table("Epsilon spent over the run", ("Protects", "By", "Epsilon"), rows)


def _messages(history: History) -> str:
    """Return messages and bytes by type of message, in order of first appearance."""
    count: dict[str, int] = defaultdict(int)
    moved: dict[tuple[str, str], int] = defaultdict(int)
    busy_s: dict[str, float] = defaultdict(float)
    for message in history.messages.values():
        count[message.type] += 1
    for transfer in history.transfers:
        if transfer.msg in history.messages:
            moved[history.messages[transfer.msg].type, transfer.direction] += transfer.delivered_bytes or 0
    for job in history.jobs:
        if job.msg in history.messages:
            busy_s[history.messages[job.msg].type] += job.span[1] - job.span[0]
    rows = [
        (
            Cell(kind),
            figure(number, f"{number:,}"),
            figure(0, size(moved[kind, "download"])),
            figure(0, size(moved[kind, "upload"])),
            figure(0, duration(busy_s[kind])),
        )
        for kind, number in count.items()
    ]
    head = ("Message", "Number", "Bytes down", "Bytes up", "Device time, with the start of Python")
    return table("Messages by type, whole run, all clients; the first to each client brings the app along", head, rows)


def _work(plan: Plan, history: History) -> str:
    """Return seconds and energy by mechanism, at the sites and at the server."""
    if not history.work:
        return ""
    devices = {node.name: node.device for node in plan.nodes}
    seconds: dict[tuple[str, bool], float] = defaultdict(float)
    joules: dict[str, float | None] = defaultdict(float)
    longest: dict[str, float] = defaultdict(float)
    for (unit, name), spent_s in history.work.items():
        is_server = name == plan.server.name
        seconds[unit, is_server] += spent_s
        if is_server:
            continue
        longest[unit] = max(longest[unit], spent_s)
        device, so_far = devices[name], joules[unit]
        energy = None if device is None else energy_j(device, busy_s=spent_s, idle_s=0.0)
        joules[unit] = None if so_far is None or energy is None else so_far + energy
    rows = [
        (
            Cell(UNIT_WORDS.get(unit, unit)),
            figure(0, duration(seconds[unit, False])),
            figure(0, duration(longest[unit])),
            figure(joules[unit], format_energy(joules[unit] or 0.0)),
            figure(0, duration(seconds[unit, True])),
        )
        for unit in UNIT_WORDS
        if (unit, False) in seconds or (unit, True) in seconds
    ]
    head = ("Work", "Seconds, all sites", "Most at one site", "Energy, all sites", "Seconds, server")
    return table("Work of the mechanisms, whole run", head, rows)
