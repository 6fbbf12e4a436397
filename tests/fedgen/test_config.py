# SPDX-License-Identifier: Apache-2.0
"""The run configuration and its shipped schema."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

import fedgen
from fedgen.config import AppConfig, json_schema, parse_config
from fedgen.data.sources import SOURCES
from fedgen.errors import ConfigError
from fedgen.models import MODELS

SCHEMA = json.loads((Path(fedgen.__file__).parent / "run_config.schema.json").read_text())


def test_shipped_schema_is_up_to_date() -> None:
    assert json_schema() == SCHEMA
    assert SCHEMA["additionalProperties"] is False


def test_schema_defaults_are_the_dataclass_defaults() -> None:
    defaults = {field.metadata["key"]: field.default for field in dataclasses.fields(AppConfig)}
    assert {key: rule["default"] for key, rule in SCHEMA["properties"].items()} == defaults
    assert parse_config(defaults) == parse_config({}) == AppConfig()


def test_schema_names_what_the_registries_hold() -> None:
    assert set(SCHEMA["properties"]["model.kind"]["enum"]) == set(MODELS)
    assert set(SCHEMA["properties"]["data.source"]["enum"]) == set(SOURCES)


def test_values_arrive_with_their_types() -> None:
    config = parse_config({"round-deadline-s": 30, "training.epochs": 3, "data.dir": "/x"})
    assert config.round_deadline_s == 30.0
    assert isinstance(config.round_deadline_s, float)
    assert config.training_epochs == 3
    assert config.data_dir == "/x"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.kind", "transformer", "model.kind is 'transformer'; allowed: conv-vae"),
        ("data.source", "MITDB", "data.source is 'MITDB'; allowed: mitdb or simulated"),
        ("training.epochs", 0, "training.epochs is 0; allowed: a whole number at least 1"),
        ("training.epochs", 1.5, "training.epochs is 1.5; allowed: a whole number at least 1"),
        ("training.epochs", True, "training.epochs is True; allowed: a whole number at least 1"),
        ("training.learning-rate", -0.1, "allowed: a number at most 1 and above 0|above 0 and at most 1"),
        ("training.learning-rate", float("nan"), "training.learning-rate is nan"),
        ("threshold.quantile", 1.0, "threshold.quantile is 1.0; allowed: a number above 0 and below 1"),
        ("fraction-train", 1.01, "fraction-train is 1.01"),
        ("round-deadline-s", "soon", "round-deadline-s is 'soon'; allowed: a number above 0"),
        ("data.dir", 3, "data.dir is 3; allowed: a text"),
        ("min-reply", 2, "unknown key 'min-reply', did you mean 'min-replies'"),
    ],
)
def test_bad_values_are_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({key: value})


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"model.kind": "x", "seed": -1, "sede": 2})
    assert all(part in str(caught.value) for part in ("model.kind is 'x'", "seed is -1", "'sede'"))


def test_boundaries_follow_the_schema() -> None:
    for key, rule in SCHEMA["properties"].items():
        for bound, step in (("minimum", -1), ("maximum", 1)):
            if bound in rule:
                parse_config({key: rule[bound]})
                with pytest.raises(ConfigError):
                    parse_config({key: rule[bound] + step})
        for bound in ("exclusiveMinimum", "exclusiveMaximum"):
            if bound in rule:
                with pytest.raises(ConfigError):
                    parse_config({key: rule[bound]})


def flat(tables: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested TOML tables with dotted keys, as Flower does."""
    result: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[prefix + key] = value
    return result


def test_the_block_in_the_readme_holds_the_defaults() -> None:
    text = (Path(fedgen.__file__).parent / "README.md").read_text()
    block = tomllib.loads(text.split("```toml\n")[1].split("```")[0])
    defaults = {field.metadata["key"]: field.default for field in dataclasses.fields(AppConfig)}
    assert flat(block["tool"]["flwr"]["app"]["config"]) == defaults
    assert all(f"| `{key}` |" in text for key in defaults)


def test_the_installed_app_runs_with_the_defaults() -> None:
    project = tomllib.loads((Path(fedgen.__file__).parents[1] / "pyproject.toml").read_text())
    app = project["tool"]["flwr"]["app"]
    assert parse_config(flat(app["config"])) == AppConfig()
    assert app["components"] == {"serverapp": "fedgen.server_app:app", "clientapp": "fedgen.client_app:app"}
