# SPDX-License-Identifier: Apache-2.0
"""The run configuration: every key with its type, default, bounds and meaning, in one place.

`fedgen/run_config.schema.json` is printed from here by `python -m fedgen.config`.
"""

import dataclasses
import difflib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fedgen.errors import ConfigError
from fedgen.keys import key
from fedgen.privacy import kinds
from fedgen.privacy.settings import PrivacySettings

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
BOUND_WORDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
JSON_TYPES: dict[type, str] = {int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, kw_only=True)
class AppConfig(PrivacySettings):
    """All settings of a run; each field documents itself in the schema."""

    num_server_rounds: int = key("num-server-rounds", 10, "Training rounds.", minimum=1)
    round_deadline_s: float = key(
        "round-deadline-s", 3600.0, "Seconds the server waits for replies in a round.", exclusiveMinimum=0
    )
    round_interval_s: float = key(
        "round-interval-s",
        0.0,
        "Round r starts no earlier than (r - 1) times this many seconds after the first; 0: back to back.",
        minimum=0,
    )
    checkpoint_dir: str = key(
        "checkpoint-dir",
        "",
        "Folder for a checkpoint after every round; a run that finds one there goes on after it. Empty: none is kept.",
    )
    min_replies: int = key(
        "min-replies", 1, "With fewer good replies in a round the global model is kept as it is.", minimum=1
    )
    fraction_train: float = key(
        "fraction-train",
        1.0,
        "Share of the connected clients that train in a round.",
        exclusiveMinimum=0,
        maximum=1,
    )
    min_available_nodes: int = key(
        "min-available-nodes",
        2,
        "Clients that must be connected before a round starts; after the deadline it starts without them.",
        minimum=1,
    )
    data_source: str = key("data.source", "mitdb", "Patients: MIT-BIH or simulated.", enum=["mitdb", "simulated"])
    data_otherwise: str = key(
        "data.otherwise",
        "none",
        "What to do when the source cannot be had: none stops with an error.",
        enum=["none", "simulated"],
    )
    data_dir: str = key("data.dir", "", "Folder with the WFDB records of MIT-BIH; empty: search for it.")
    data_fold: int = key(
        "data.fold",
        1,
        "1: DS1 trains and DS2 tests; 2: the other way round. Both together: cross-validation by patient over all 44 records.",
        minimum=1,
        maximum=2,
    )
    data_max_beats_per_patient: int = key(
        "data.max-beats-per-patient", 0, "Evenly spread beats used per training patient; 0: all.", minimum=0
    )
    data_test_beats_per_patient: int = key(
        "data.test-beats-per-patient", 0, "Evenly spread beats used per test patient; 0: all.", minimum=0
    )
    model_kind: str = key("model.kind", "conv-vae", "Anomaly model.", enum=["conv-vae"])
    model_latent: int = key("model.latent", 8, "Dimensions of the latent code.", minimum=1, maximum=1024)
    model_beta: float = key("model.beta", 1.0, "Weight of the KL term in the loss.", minimum=0)
    training_epochs: int = key("training.epochs", 1, "Passes over a client's beats per round.", minimum=1)
    training_batch_size: int = key("training.batch-size", 128, "Beats per training step.", minimum=1)
    training_learning_rate: float = key(
        "training.learning-rate", 0.002, "Step size of Adam.", exclusiveMinimum=0, maximum=1
    )
    training_place: str = key(
        "training.place",
        "clients",
        "Where training happens: at the clients (federated), or at the server, to which they send their raw signals.",
        enum=["clients", "server"],
    )
    threshold_quantile: float = key(
        "threshold.quantile",
        0.97,
        "A beat is called abnormal above this quantile of the clients' normal training scores.",
        exclusiveMinimum=0,
        exclusiveMaximum=1,
    )
    strategy_kind: str = key(
        "strategy.kind",
        "fedavg",
        "How one model is made of many: the mean, or one of Flower's rules that withstand hostile clients.",
        enum=["fedavg", "median", "trimmed-mean", "krum", "multi-krum", "bulyan"],
    )
    strategy_hostile: int = key(
        "strategy.hostile",
        1,
        "Hostile clients that such a rule must withstand; with too few replies for it the model is kept.",
        minimum=0,
    )
    strategy_length_bound: float = key(
        "strategy.length-bound",
        0.0,
        "Updates longer than this many times the round's median length are left out; 0: none is.",
        minimum=0,
    )
    seed: int = key("seed", 1, "Seed of weights, training, sampling and simulated patients.", minimum=0)


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of the run configuration, with flat keys."""
    properties = {
        entry.metadata["key"]: {
            "description": entry.metadata["meaning"],
            "type": JSON_TYPES[_type_of(entry)],
            **entry.metadata["rules"],
            "default": entry.default,
        }
        for entry in dataclasses.fields(AppConfig)
    }
    return {
        "$schema": SCHEMA_DIALECT,
        "title": "Run configuration of the fedgen Flower app",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _type_of(entry: "dataclasses.Field[Any]") -> type:
    """Return a field's type, taken from its default."""
    return type(entry.default)


def parse_config(run_config: Mapping[str, object]) -> AppConfig:
    """Check a Flower run configuration and turn it into settings.

    Args:
        run_config: Flat keys as in `context.run_config`; absent keys take their defaults.

    Returns:
        The settings.

    Raises:
        ConfigError: A key is unknown or its value is not allowed. All faults are named at once, each with
            key, value and what is allowed.
    """
    entries = {entry.metadata["key"]: entry for entry in dataclasses.fields(AppConfig)}
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in run_config.items():
        if name not in entries:
            near = difflib.get_close_matches(name, entries, n=1)
            faults.append(f"unknown key {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
            continue
        entry = entries[name]
        fault = _fault(value, _type_of(entry), entry.metadata["rules"])
        if fault:
            faults.append(f"{name} is {value!r}; allowed: {fault}")
        else:
            values[entry.name] = _type_of(entry)(value)
    if not faults:
        config = AppConfig(**values)
        faults = [f"{name}: {message}" for name, message in _unlikely(config)]
    if faults:
        raise ConfigError("run configuration: " + "; ".join(faults))
    return config


def _unlikely(config: AppConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, message) for settings that are allowed one by one and make no sense together."""
    yield from kinds.faults(config, min_replies=config.min_replies)
    for name, value, default in (
        ("strategy.kind", config.strategy_kind, "fedavg"),
        ("strategy.length-bound", config.strategy_length_bound, 0.0),
    ):
        if value != default and config.privacy_kind != "none":
            yield (
                name,
                f"{value!r} with privacy.kind {config.privacy_kind!r}: the server works on the sum and looks at no single update",
            )
    if config.training_place == "server" and config.privacy_kind != "none":
        yield (
            "training.place",
            f"server with privacy.kind {config.privacy_kind!r}: raw signals leave the clinics; set one of them back",
        )


def check_together(run_config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (key, message) for each fault of a run configuration whose single values the schema allows."""
    names = {entry.metadata["key"]: entry.name for entry in dataclasses.fields(AppConfig)}
    return list(_unlikely(AppConfig(**{names[name]: value for name, value in run_config.items()})))


def _fault(value: object, wanted: type, rules: Mapping[str, Any]) -> str | None:
    """Return what is allowed if a value is not, else None."""
    if "enum" in rules:
        return None if value in rules["enum"] else " or ".join(rules["enum"])
    if wanted is str:
        return None if isinstance(value, str) else "a text"
    allowed_types = (int,) if wanted is int else (int, float)
    allowed = ("a whole number " if wanted is int else "a number ") + " and ".join(
        f"{words} {rules[rule]}" for rule, words in BOUND_WORDS.items() if rule in rules
    )
    if isinstance(value, bool) or not isinstance(value, allowed_types) or not math.isfinite(value):
        return allowed
    too_small = value < rules.get("minimum", -math.inf) or value <= rules.get("exclusiveMinimum", -math.inf)
    too_large = value > rules.get("maximum", math.inf) or value >= rules.get("exclusiveMaximum", math.inf)
    return allowed if too_small or too_large else None


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
