"""The tables of figures: well formed, sourced, and equal to the reference they were taken from."""

from pathlib import Path
from typing import Any

import pytest
from planning_builder import REPOSITORY

from emulator.compute.costs import cost_table
from emulator.models.devices import device_table
from emulator.models.facts import KINDS, SCALE, Fact, Table
from emulator.models.links import link_table

REFERENCE = REPOSITORY.parent / "shared" / "reference" / "profiles"
TABLES = {"devices": device_table(), "links": link_table(), "costs": cost_table()}
ROWS = [fact for table in TABLES.values() for rows in table.values() for fact in rows.values()]

# Computed from the raw files of the cited measurement; the reference summarises them with an undervolted board as anchor.
FROM_RAW_FILES = {
    "train_gflops_effective_small_cnn", "train_step", "train_gflops_marginal_small", "throttled_speed",
}  # fmt: skip


def name_of(fact: Fact) -> str:
    return f"{fact.profile}.{fact.quantity}"


def test_every_row_has_a_source_a_kind_and_a_readable_value() -> None:
    for fact in ROWS:
        assert fact.kind in KINDS, name_of(fact)
        assert fact.source.strip(), name_of(fact)
        if fact.unit == "bool":
            assert fact.value in ("true", "false"), name_of(fact)
        elif fact.unit != "str":
            assert fact.unit.split()[0] in SCALE, name_of(fact)
            assert fact.number >= 0, name_of(fact)


def test_an_estimate_says_so_in_its_source_and_only_an_estimate_does() -> None:
    for fact in ROWS:
        assert fact.source.startswith("estimate:") == (fact.kind == "estimate"), name_of(fact)


@pytest.mark.parametrize("block", ["devices", "links"])
def test_figures_equal_the_reference(block: str) -> None:
    path = REFERENCE / f"{block[:-1]}_profiles.yaml"
    if not path.exists():
        pytest.skip(f"the reference figures are not at {path}")
    reference = _read(path)[block]
    compared = 0
    for profile, rows in TABLES[block].items():
        for quantity, fact in rows.items():
            leaf = reference.get(profile, {}).get(quantity)
            if isinstance(leaf, dict) and quantity not in FROM_RAW_FILES:
                _assert_equal(fact, leaf)
                compared += 1
    assert compared > 100


def _assert_equal(fact: Fact, leaf: dict[str, Any]) -> None:
    value = leaf["value"]
    if isinstance(value, list):
        assert min(value) <= float(fact.value) <= max(value), name_of(fact)
        assert "range" in fact.note, name_of(fact)
    elif isinstance(value, bool):
        assert fact.is_true == value, name_of(fact)
    else:
        assert float(fact.value) == float(value), name_of(fact)
    assert (fact.kind, fact.source) == (leaf["kind"], leaf["source"].strip()), name_of(fact)


def _read(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_rows_that_the_reference_lacks_are_estimates_or_classes() -> None:
    path = REFERENCE / "link_profiles.yaml"
    if not path.exists():
        pytest.skip(f"the reference figures are not at {path}")
    own: list[Fact] = []
    for block in ("devices", "links"):
        reference = _read(REFERENCE / f"{block[:-1]}_profiles.yaml")[block]
        own += [
            fact
            for profile, rows in _table(block).items()
            for quantity, fact in rows.items()
            if not isinstance(reference.get(profile, {}).get(quantity), dict)
        ]
    allowed = {"klass", "half_duplex", "cost_per_gb"} | FROM_RAW_FILES
    assert [name_of(fact) for fact in own if not fact.is_assumed and fact.quantity not in allowed] == []


def _table(block: str) -> Table:
    return TABLES[block]
