from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emulator.scenario.load import load, opening_comment
from emulator.scenario.yaml12 import Writer12, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("12:30:00", "12:30:00"),
        ("18:00", "18:00"),
        ("1e-5", 1e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-3", -3),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("10 Mbit/s", "10 Mbit/s"),
        ("=", "="),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    parsed = parse_yaml(f"key: {text}\n", "f")
    assert parsed.faults == []
    assert parsed.data == {"key": value}
    assert type(parsed.data["key"]) is type(value)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parse_yaml("1: a\ntrue: b\non: c\n", "f").data == {"1": "a", "true": "b", "on": "c"}


def test_places_are_the_lines_of_keys_and_items() -> None:
    parsed = parse_yaml("# question\na:\n  b:\n    - 1\n    - c: 2\n", "f")
    assert parsed.places[("a", "b")] == ("f", 3)
    assert parsed.places[("a", "b", 1)] == ("f", 5)
    assert parsed.places[("a", "b", 1, "c")] == ("f", 5)


def test_aliases_are_copies_with_their_own_keys() -> None:
    parsed = parse_yaml("a: &x {b: 1}\nc: *x\n", "f")
    assert parsed.faults == []
    assert parsed.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert parsed.places[("c",)] == ("f", 2)


def test_very_deep_nesting_is_one_fault() -> None:
    for depth in (60, 20_000):
        parsed = parse_yaml("a: " + "[" * depth + "]" * depth, "f")
        assert len(parsed.faults) == 1
        assert "deep" in parsed.faults[0].message


def test_half_a_surrogate_pair_is_refused() -> None:
    assert "surrogate" in parse_yaml('a: "\\ud800"\n', "f").faults[0].message


def test_opening_comment_ends_at_the_first_key() -> None:
    assert opening_comment("\n# How  long?\n#\n# Minutes.\nname: x\n# not this\n") == "How long? Minutes."


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_what_is_no_file_is_one_fault(tmp_path: Path, name: str) -> None:
    loaded = load(tmp_path / name)
    assert loaded.tree is None
    assert len(loaded.faults) == 1


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_text("a: 1\n" * 300_000)
    assert "larger" in load(path).faults[0].message


@given(st.text())
def test_any_text_gives_data_or_faults_but_no_error(text: str) -> None:
    parse_yaml(text, "f")


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
LOOKALIKES = st.sampled_from(
    ["off", "yes", "1e-5", "12:30:00", "0o7", "0x1", "null", "~", "", "<<", "=", "1_0", "- a", "#"]
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS | LOOKALIKES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(bool) | st.just("on"), inner, max_size=3),
    max_leaves=10,
)


@given(PLAIN)
def test_what_is_written_reads_the_same(value: object) -> None:
    written = yaml.dump({"key": value}, Dumper=Writer12, allow_unicode=True)
    parsed = parse_yaml(written, "f")
    assert parsed.faults == []
    assert parsed.data == {"key": value}
    assert yaml.safe_load(written) == {"key": value}  # and by the rules of 1.1
