from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.errors import Fault, ScenarioError
from emulator.scenario import examine, load_scenario

WriteScenario = Callable[..., Path]


FAILURES = """
failures:
  - {kind: schedule, target: site-01/gateway, at: 1 h, for: 1 h}
  - {kind: schedule, target: site-02/gateway, at: 1 h, for: 1 h}
"""


def only(path: Path, *overrides: str, quick: bool = False) -> Fault:
    faults = examine(path, overrides=overrides, quick=quick)[1]
    assert len(faults) == 1, faults
    return faults[0]


def test_run_config_is_defaults_then_file_in_either_spelling(write_scenario: WriteScenario) -> None:
    config = load_scenario(write_scenario("data: {source: mitdb}\ntraining: {rate: 1}\n")).app.config
    assert config["data.source"] == "mitdb"
    assert config["num-server-rounds"] == 3
    assert config["training.rate"] == 1.0
    assert isinstance(config["training.rate"], float)


def test_quick_is_applied_on_demand_and_is_gone_afterwards(write_scenario: WriteScenario) -> None:
    path = write_scenario("quick: {training.epochs: 5, 'failures[1].for': 2 h, clock: {horizon: 1 d}}\n" + FAILURES)
    assert load_scenario(path).app.config["training.epochs"] == 1
    quick = load_scenario(path, quick=True)
    assert quick.app.config["training.epochs"] == 5
    assert quick.failures[1].params["for"] == "2 h"
    assert quick.failures[0].params["for"] == "1 h"
    assert quick.clock.horizon_s == 86400
    assert "quick" not in quick.resolved


def test_set_wins_over_quick_and_seed_over_all(write_scenario: WriteScenario) -> None:
    path = write_scenario("seed: 1\nquick: {training.epochs: 5, seed: 2}\n")
    scenario = load_scenario(path, quick=True, overrides=["training.epochs=7", "seed=3"], seed=4)
    assert scenario.app.config["training.epochs"] == 7
    assert scenario.seed == 4
    assert scenario.places["seed"] == ("--seed", 0)
    assert load_scenario(path, quick=True, overrides=["seed=3"]).seed == 3
    assert load_scenario(path, quick=True).seed == 2


def test_set_replaces_a_run_config_key_however_the_file_spells_it(write_scenario: WriteScenario) -> None:
    path = write_scenario("data: {source: a}\n")
    assert load_scenario(path, overrides=["app.config.data.source=b"]).app.config["data.source"] == "b"
    assert load_scenario(path, overrides=["data={source: c}"]).app.config["data.source"] == "c"


def test_set_reads_quantities_blocks_and_patterns(write_scenario: WriteScenario) -> None:
    path = write_scenario('overrides: {"site-01/*": {loss: 2 %}}\n' + FAILURES)
    scenario = load_scenario(
        path,
        overrides=[
            "overrides.site-01/*.loss=3 %",
            "failures[0].for=2 h",
            "topology={kind: rural_district, sites: 4}",
            "links.mine={like: geo_vsat, up: 2 Mbit/s}",
            "clock.starts_at=06:30",
        ],
    )
    assert scenario.overrides == {"site-01/*": {"loss": "3 %"}}
    assert scenario.failures[0].params["for"] == "2 h"
    assert (scenario.topology.kind, scenario.topology.params) == ("rural_district", {"sites": 4})
    assert scenario.links["mine"]["up"] == "2 Mbit/s"
    assert scenario.clock.starts_at_s == 6.5 * 3600


@pytest.mark.parametrize(
    ("override", "key", "part"),
    [
        ("nmae=x", "nmae", "did you mean 'name'?"),
        ("privacy.knd=dp", "privacy.knd", "did you mean 'privacy.kind'?"),
        ("clock.horizon=3", "clock.horizon", "has no unit"),
        ("failures[2].for=1 h", "failures[2].for", "has 2 entries"),
        ("failures.for=1 h", "failures.for", "is a list"),
        ("seed.x=1", "seed.x", "is a single value"),
        ("clock[0]=1", "clock[0]", "so [0] cannot be set"),
        ("a..b=1", "a..b", "empty part"),
        ("seed", "", "write key=value"),
        ("=3", "", "write key=value"),
        ("seed=[1", "seed", "YAML syntax"),
        ("seed=!!python/none x", "seed", "without tags"),
        ("quick.seed=3", "quick.seed", "set the value itself"),
        ("seed=", "seed", "got nothing"),
    ],
)
def test_a_bad_set_is_a_fault_of_the_command_line(
    write_scenario: WriteScenario, override: str, key: str, part: str
) -> None:
    path = write_scenario("seed: 1\nclock: {horizon: 1 d}\nquick: {seed: 2}\n" + FAILURES)
    fault = only(path, override, quick=True)
    assert (fault.file, fault.line, fault.key) == ("--set", 0, key)
    assert part in fault.message


def test_faults_of_a_quick_value_stand_at_its_line(write_scenario: WriteScenario) -> None:
    path = write_scenario("seed: 1\nquick:\n  clock.horizon: 3\n")
    for quick in (False, True):
        fault = only(path, quick=quick)
        assert (fault.line, fault.key) == (3, "clock.horizon")


def test_examine_keeps_what_is_sound(write_scenario: WriteScenario) -> None:
    text = "seed: -1\nlinks: {mine: {like: geo_vsat, up: 10, x: 1}}\nfailures:\n  - 5\n  - {kind: crash, y: 2}\n"
    scenario, faults = examine(write_scenario(text))
    assert len(faults) == 4
    assert scenario is not None
    assert scenario.failures[0].key == "failures[1]"
    assert scenario.links["mine"]["like"] == "geo_vsat"
    assert scenario.fault("failures[1].y", "m").line == 5


def test_a_faulty_app_does_not_hide_the_network(write_scenario: WriteScenario) -> None:
    scenario, faults = examine(write_scenario("app: {path: nowhere}\ntopology: {kind: star}\n", add_rest=False))
    assert [fault.key for fault in faults] == ["app.path"]
    assert scenario is not None
    assert scenario.topology.kind == "star"


def test_load_scenario_raises_with_every_fault(write_scenario: WriteScenario) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write_scenario("seed: -1\nflower: {tls: off}\n"))
    assert [fault.key for fault in caught.value.faults] == ["seed", "flower.tls"]


def test_run_config_places_are_known_in_both_spellings(write_scenario: WriteScenario) -> None:
    scenario = load_scenario(write_scenario("seed: 1\ntraining: {epochs: 2}\n"))
    assert scenario.fault("app.config.training.epochs", "m").line == 2
    assert scenario.fault("training.epochs", "m").line == 2


@pytest.mark.parametrize(
    ("pyproject", "part"),
    [
        ("[project\n", "is not TOML"),
        ("[tool.flwr.app.components]\nserverapp = 'a:b'\nclientapp = 'no reference'\n", "names no clientapp"),
        ("[tool.flwr.app.config]\nlayers = [1, 2]\n", "run config default 'layers'"),
        ("[tool.emulate]\nrun-config-schema = 'none.json'\n", "'none.json' cannot be read"),
        ("[tool.emulate]\nrun-config-schema = 'pyproject.toml'\n", "is not JSON"),
        ("[tool.emulate]\nrun-config-schema = 3\n", "must be the path"),
    ],
)
def test_a_faulty_app_is_told_at_its_path(write_scenario: WriteScenario, pyproject: str, part: str) -> None:
    path = write_scenario("app: {path: own}\ntopology: {kind: star}\n", add_rest=False)
    (path.parent / "own").mkdir()
    # Written here and not kept beside the bad scenarios: tools that look for pyproject files would stumble over it.
    (path.parent / "own" / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    faults = examine(path)[1]
    assert {fault.key for fault in faults} == {"app.path"}
    assert any(part in fault.message for fault in faults)
