# SPDX-License-Identifier: Apache-2.0
"""How well does the federated detector find abnormal beats of patients it never saw?

Trains on DS1 of MIT-BIH, shared over clients, in plain loops with the app's own functions, and tests on
DS2 (without record 202) after the last round. Prints one line per run and, as its last line, one JSON object.

    python benchmarks/arrhythmia.py --rounds 10 --seeds 1 2 3
    python benchmarks/arrhythmia.py --validate --clients 7 --seeds 1

With `--validate` DS2 is not touched: three times a third of the DS1 patients is held out, the rest trains.
This is what the model, its score and its settings were chosen by.
"""

import argparse
import json
import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch

from fedgen import task
from fedgen.config import AppConfig
from fedgen.data import aami
from fedgen.data.sources import DataSource, choose_source
from fedgen.data.windows import PreparedPatient
from fedgen.evaluation.metrics import POSITIVE_CLASSES, auprc, auroc
from fedgen.evaluation.thresholds import combine, quantile_of
from fedgen.models import AnomalyModel
from fedgen.models.macs import macs_per_beat

FOLDS = (
    ("106", "119", "201", "208", "112", "118", "223"),
    ("203", "207", "116", "109", "122", "205", "220", "124"),
    ("101", "108", "114", "115", "209", "215", "230"),
)
"""DS1 patients held out together in validation; the first two folds hold most V beats."""

MOSTLY_ECTOPIC = "232"
TASKS: dict[str, tuple[int, ...]] = {**POSITIVE_CLASSES, "s": (aami.S,), "f": (aami.F,)}


@dataclass(frozen=True)
class HeldOut:
    """A data source whose test patients are DS1 patients that do not train."""

    whole: DataSource
    held_out: tuple[str, ...]

    def train_patients(self, clients: int) -> tuple[str, ...]:
        """Return the DS1 patients that are not held out."""
        return tuple(p for p in self.whole.train_patients(clients) if p not in self.held_out)

    def test_patients(self) -> tuple[str, ...]:
        """Return the patients held out."""
        return self.held_out

    def prepared(self, patient: str) -> PreparedPatient:
        """Return one patient's beats."""
        return self.whole.prepared(patient)


def federated_round(
    state: task.StateDict, clients: list[list[PreparedPatient]], config: AppConfig, server_round: int
) -> tuple[task.StateDict, float]:
    """Return the averaged weights and the common threshold after one round of all clients."""
    results = [
        task.train_client(state, patients, config, partition=number, server_round=server_round)
        for number, patients in enumerate(clients)
    ]
    total = sum(result.examples for result in results)
    averaged = OrderedDict(
        (key, torch.stack([r.state[key] * (r.examples / total) for r in results]).sum(dim=0)) for key in state
    )
    counts = combine([result.score_counts for result in results])
    return averaged, quantile_of(counts, config.threshold_quantile)


def per_class(model: AnomalyModel, patients: list[PreparedPatient]) -> dict[str, float]:
    """Return AUROC and AUPRC of each class against N, over all patients; of `svf` and `s` also without record 232.

    In 232 most beats are S, so they are what the detector takes for the patient's usual beat.
    """
    scores = np.concatenate([task.patient_scores(model, patient) for patient in patients])
    classes = np.concatenate([patient.classes for patient in patients])
    names = np.concatenate([np.full(len(patient.classes), patient.patient) for patient in patients])
    result: dict[str, float] = {}
    for name, positive in TASKS.items():
        chosen = np.isin(classes, (aami.N, *positive))
        is_positive = classes[chosen] != aami.N
        result[f"{name}.auroc"] = auroc(scores[chosen], is_positive)
        result[f"{name}.auprc"] = auprc(scores[chosen], is_positive)
        others = chosen & (names != MOSTLY_ECTOPIC)
        if name in ("svf", "s") and others.sum() < chosen.sum():
            result[f"{name}.auroc.less-232"] = auroc(scores[others], classes[others] != aami.N)
    return result


def run(source: DataSource, config: AppConfig, client_count: int) -> dict[str, float]:
    """Train one federation and test it once, after the last round (and untrained, for comparison)."""
    clients = [task.client_patients(source, config, i, client_count) for i in range(client_count)]
    tested = task.test_patients(source, config)
    model = task.new_model(config)
    untrained = per_class(model, tested)
    state, threshold = OrderedDict(model.state_dict()), 0.0
    started_s = time.perf_counter()
    for number in range(1, config.num_server_rounds + 1):
        state, threshold = federated_round(state, clients, config, number)
    round_s = (time.perf_counter() - started_s) / config.num_server_rounds
    model.load_state_dict(state)
    started_s = time.perf_counter()
    measured, _ = task.evaluate(model, tested, threshold)
    evaluate_s = time.perf_counter() - started_s
    return {
        **{key: value for key, value in measured.items() if not key.startswith("patient.")},
        **per_class(model, tested),
        **{f"untrained.{key}": value for key, value in untrained.items()},
        "train_s_per_round": round_s,
        "evaluate_s": evaluate_s,
    }


def main() -> None:
    """Run all seeds, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=AppConfig().num_server_rounds)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--max-beats", type=int, default=0, help="beats per training patient; 0: all")
    parser.add_argument("--validate", action="store_true", help="hold out DS1 patients instead of testing on DS2")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    _, source, _ = choose_source("mitdb", "none", "", 0)
    model = task.new_model(AppConfig())
    parameters = sum(parameter.numel() for parameter in model.parameters())
    sources = [HeldOut(source, fold) for fold in FOLDS] if options.validate else [source]
    tested_on = "held-out thirds of DS1" if options.validate else "DS2 less 202"
    print(f"{options.clients} clients, {options.rounds} rounds, {parameters} parameters; tested on {tested_on}")
    runs = []
    for seed in options.seeds:
        config = AppConfig(num_server_rounds=options.rounds, data_max_beats_per_patient=options.max_beats, seed=seed)
        for number, part in enumerate(sources):
            result = run(part, config, options.clients)
            runs.append(result)
            values = "  ".join(f"{key} {value:.3f}" for key, value in result.items())
            print(f"seed {seed}, split {number}: {values}", flush=True)
    figures = {
        key: {
            "mean": float(np.mean([result[key] for result in runs])),
            "sd": float(np.std([result[key] for result in runs], ddof=1)) if len(runs) > 1 else 0.0,
        }
        for key in runs[0]
    }
    conditions: dict[str, object] = {"clients": options.clients, "rounds": options.rounds, "seeds": options.seeds}
    conditions["tested on"] = tested_on
    size = {"parameters": parameters, "model_bytes": 4 * parameters, "macs_per_beat": macs_per_beat(model)}
    print(json.dumps({"benchmark": "arrhythmia", **conditions, **size, "figures": figures}))


if __name__ == "__main__":
    main()
