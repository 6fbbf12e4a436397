"""A resolved scenario, written and loaded again, is the same scenario."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.plan import FlowerSettings
from emulator.scenario import ClockSpec, Scenario, dump_scenario, examine, load_scenario
from emulator.scenario.schema import Document
from emulator.scenario.yaml12 import Writer12

APPS = Path(__file__).parent.parent / "bad_scenarios"
WriteScenario = Callable[..., Path]


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=8)
NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
NUMBERS = st.integers(1, 10**6) | st.floats(1e-6, 1e6)
LEAVES = (
    st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(-1e9, 1e9)
    | WORDS
    | st.sampled_from(["off", "1e-5", "12:30"])
)
PARAMS = st.dictionaries(
    WORDS.filter(lambda word: bool(word) and word != "kind"),
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2), max_leaves=4
    ),
    max_size=3,
)


def in_units(*units: str) -> st.SearchStrategy[str]:
    return st.builds(lambda number, unit: f"{number!r} {unit}", NUMBERS, st.sampled_from(units))


def some_of(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


RATES, TIMES, SIZES = in_units("kbit/s", "MB/s"), in_units("ms", "h"), in_units("kB", "GiB")
LINK = {
    "delay": TIMES,
    "jitter": TIMES,
    "loss": st.floats(0, 1) | st.just("2 %"),
    "queue": SIZES,
    "half_duplex": st.booleans(),
}
LINKS = some_of({"like": st.just("geo_vsat"), "rate": RATES, **LINK}) | some_of({"up": RATES, "down": RATES, **LINK})
OVERRIDES = some_of({"rate": RATES, **LINK})
DEVICES = some_of({"like": NAMES.map("d-{}".format), "cores": st.integers(1, 64), "memory": SIZES, "speed": NUMBERS})
DOCUMENTS = st.fixed_dictionaries(
    {"topology": PARAMS.map(lambda params: {"kind": "star", **params})},
    optional={
        "name": st.from_regex(r"[a-z0-9_-]{1,10}", fullmatch=True),
        "seed": st.integers(0, 2**63),
        "training": some_of({"epochs": st.integers(-5, 5), "rate": st.integers(-5, 5) | st.floats(-1e9, 1e9)}),
        "data": some_of({"source": WORDS | st.just("no")}),
        "devices": st.dictionaries(NAMES.map("own_{}".format), DEVICES, max_size=2),
        "links": st.dictionaries(NAMES, LINKS, max_size=2),
        "overrides": st.dictionaries(WORDS.filter(str.strip), OVERRIDES, max_size=2),
        "failures": st.lists(PARAMS.map(lambda params: {"kind": "schedule", **params}), max_size=2),
        "clock": some_of({"starts_at": st.sampled_from(["18:00", "06:30:15"]), "horizon": TIMES}),
        "flower": some_of(
            {"reply_poll": TIMES, "lanes": st.integers(1, 9), "chunk": in_units("MiB"), "tls": st.booleans()}
        ),
    },
)


def essence(scenario: Scenario) -> dict[str, Any]:
    fields = {field.name: getattr(scenario, field.name) for field in dataclasses.fields(scenario)}
    return {name: value for name, value in fields.items() if name not in ("source", "places")}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=150
)
@given(document=DOCUMENTS, question=st.lists(WORDS, max_size=30).map(" ".join))
def test_dump_loads_as_the_same_scenario(tmp_path: Path, document: dict[str, Any], question: str) -> None:
    # A link profile that is like another drawn name may close a ring, which is refused.
    document.get("links", {}).pop("geo_vsat", None)
    path, again = tmp_path / "first.yaml", tmp_path / "second.yaml"
    body = yaml.dump({**document, "app": {"path": str(APPS / "app")}}, Dumper=Writer12, allow_unicode=True)
    comment = f"# {question}\n" if question.strip() else ""
    path.write_text(f"{comment}{body}", encoding="utf-8")
    scenario = load_scenario(path)
    again.write_text(dump_scenario(scenario), encoding="utf-8")
    repeated = load_scenario(again)
    assert essence(repeated) == essence(scenario)
    assert dump_scenario(repeated) == dump_scenario(scenario)


def test_defaults_are_those_of_the_plan(write_scenario: WriteScenario) -> None:
    scenario = load_scenario(write_scenario())
    assert scenario.flower == FlowerSettings()
    assert scenario.clock == ClockSpec()
    assert scenario.name == "case"
    assert scenario.app.path.is_absolute()


def test_resolved_holds_the_layers_and_nothing_of_quick(write_scenario: WriteScenario, tmp_path: Path) -> None:
    path = write_scenario("# Why?\nseed: 1\nquick: {training.epochs: 4, flower.lanes: 1}\n")
    scenario = load_scenario(path, quick=True, overrides=["topology.sites=9"], seed=8)
    again = tmp_path / "resolved.yaml"
    again.write_text(dump_scenario(scenario), encoding="utf-8")
    assert essence(load_scenario(again)) == essence(scenario)
    assert essence(load_scenario(again, quick=True)) == essence(scenario)
    assert scenario.question == "Why?"
    assert scenario.resolved["topology"]["sites"] == 9


@pytest.mark.parametrize("app", ["app", "schema_app"])
def test_scenario_cannot_be_changed_by_accident(write_scenario: WriteScenario, app: str) -> None:
    scenario = load_scenario(write_scenario(app=app))
    with pytest.raises(dataclasses.FrozenInstanceError):
        scenario.seed = 3  # type: ignore[misc]


KEYS = st.sampled_from(
    [*Document.model_fields, "kind", "like", "up", "rate", "config", "path", "a..b", "failures[0]", "x"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from(["star", "10 ms", "off", "", "\0", str(APPS / "app")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(document=st.dictionaries(KEYS, VALUES, max_size=8), quick=st.booleans(), key=KEYS, text=st.text(max_size=6))
def test_anything_gives_a_scenario_or_faults(
    tmp_path: Path, document: dict[str, Any], quick: bool, key: str, text: str
) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    scenario, faults = examine(path, quick=quick, overrides=[f"{key}={text}", text])
    assert faults or scenario is not None
