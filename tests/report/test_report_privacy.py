"""The section on what privacy costs: there where a mechanism ran, with the log's own sums."""

from __future__ import annotations

import re

import pytest
from report_builder import small_log, small_plan

from emulator.metrics import build_tables, summarise
from emulator.metrics.history import read_history
from emulator.models.energy import energy_j
from emulator.report.privacy import privacy_section


def cells(section: str, first: str) -> list[str]:
    """Return the other cells of the row whose first cell reads so."""
    row = re.search(rf"<tr><td>{re.escape(first)}</td>(.*?)</tr>", section)
    assert row, f"no row {first!r} in {section}"
    return re.findall(r"<td[^>]*>(.*?)</td>", row[1])


@pytest.fixture
def drawn(tmp_path):
    plan = small_plan()
    events = small_log(tmp_path)
    tables = build_tables(events, plan)
    return plan, read_history(events, plan), tables, summarise(tables, plan, events)


def test_bytes_by_type_of_message_are_the_transfers(drawn) -> None:
    plan, history, tables, summary = drawn
    section = privacy_section(tables, summary, plan, history)
    number, down, up, _ = cells(section, "train")
    transfers = tables["transfers"]
    assert number == str(len(history.messages))
    moved = transfers.groupby("direction")["delivered_bytes"].sum()
    assert (down, up) == (f"{moved['download'] / 1000:.3g} kB", f"{moved['upload'] / 1000:.3g} kB")
    assert cells(section, "DP-SGD") == ["as the app reports it", "1.5"]


def test_seconds_and_energy_by_mechanism(drawn) -> None:
    plan, history, tables, summary = drawn
    first, second = (node for node in plan.nodes if node.kind == "client" and node.device)
    history.work.update(
        {("signatures", first.name): 2.0, ("signatures", second.name): 3.0, ("signatures", "server"): 7.0}
    )
    history.work["encrypted_ciphertexts", "server"] = 1.0
    section = privacy_section(tables, summary, plan, history)
    energies = [energy_j(node.device, busy_s=s, idle_s=0) for node, s in ((first, 2.0), (second, 3.0))]
    sites, most, energy, server = cells(section, "signatures made and checked")
    assert (sites, most, server) == ("5.0 s", "3.0 s", "7.0 s")
    assert energy == ("unknown" if None in energies else f"{sum(energies):.3g} J")
    assert cells(section, "encryption")[3] == "1.0 s"


def test_a_run_without_mechanisms_has_no_such_section(drawn) -> None:
    plan, history, tables, summary = drawn
    assert privacy_section(tables, {**summary, "privacy": None, "ledger": {"entries": 0}}, plan, history) == ""
