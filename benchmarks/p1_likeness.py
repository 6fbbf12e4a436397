# SPDX-License-Identifier: Apache-2.0
"""How alike are the beats that the nodes' models generate, in plain and in secure federated learning?

Takes the models of finished runs of `emulate study scenarios/paper/p1.yaml`: from the global model before the last round, every
node trains that round once more on its own patient (with fresh noise where the run had noise), and its model then generates
beats from codes of N(0, I). The auto-encoder knows no classes and was trained on normal beats: those are what it generates.

- alike: mean correlation of two nodes' beats from the same codes and templates, over all pairs of nodes;
- between nodes: maximum mean discrepancy (squared, one kernel width for all) of two nodes' beats, each with its own patient's
  template; beside it that of the patients' real normal beats;
- to real: the same of a node's generated beats and its patient's real ones. The decoder's mean has no noise, real beats do.

    python benchmarks/p1_likeness.py --cells results/p1/cells

Prints a table, and as its last line one JSON object.
"""

import argparse
import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import cast

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, RecordDict
from numpy.typing import NDArray
from safetensors.torch import load_file

from emulator.report import style
from emulator.report.drawing import Drawing, Line, Text
from emulator.report.svg import to_svg
from emulator.study.statistics import Estimate, estimate
from fedgen import task
from fedgen.config import AppConfig
from fedgen.data.sources import DataSource, choose_source
from fedgen.evaluation.likeness import Beats, discrepancy, generate, mean_correlation, mean_over_pairs, median_distance
from fedgen.models.conv_vae import ConvVae
from fedgen.privacy import example_level
from fedgen.privacy.frame import Call

NODES, ROUNDS, BEATS = 22, 5, 600
SAMPLES, PER_TEMPLATE = 200, 10
KINDS = {"basic": "none", "secure": "secure"}


@dataclass(frozen=True)
class Patient:
    """What a node's model is compared on: usual beat and real normal beats."""

    template: NDArray[np.float32]
    real: Beats


def patients_of(source: DataSource) -> list[Patient]:
    """Return the nodes' patients, with evenly spread normal beats."""
    result = []
    for node in range(NODES):
        (patient,) = task.client_patients(source, AppConfig(), node, NODES)
        beats = task.normal_beats([patient]).beats.numpy().astype(np.float64)
        result.append(Patient(patient.template, beats[np.linspace(0, len(beats) - 1, SAMPLES).astype(int)]))
    return result


def config_of(variant: str, seed: int) -> AppConfig:
    """Return the settings of a run of the study."""
    return AppConfig(
        seed=seed,
        num_server_rounds=ROUNDS,
        min_replies=15,
        privacy_kind=KINDS.get(variant, "none"),
        data_max_beats_per_patient=BEATS,
    )


def model_of(config: AppConfig, weights: dict[str, torch.Tensor]) -> ConvVae:
    """Return a model with these weights."""
    model = task.new_model(config)
    model.load_state_dict(weights)
    return cast(ConvVae, model.eval())


def nodes_of(config: AppConfig, before: dict[str, torch.Tensor], source: DataSource) -> list[ConvVae]:
    """Return every node's model after it has trained the last round."""
    models = []
    for node in range(NODES):
        if config.privacy_kind == "none":
            patients = task.client_patients(source, config, node, NODES)
            state = task.train_client(
                task.OrderedDict(before), patients, config, partition=node, server_round=ROUNDS
            ).state
        else:
            context = Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={})
            call = Call(context, config, ROUNDS, task.derived_seed("likeness", config.seed, node))
            protected = example_level.protected_patients(source, config, node, NODES)
            state = example_level.train_examples(call, ArrayRecord(before), protected).weights.to_torch_state_dict()
        models.append(model_of(config, dict(state)))
    return models


def compared(models: list[ConvVae], patients: list[Patient], width: float, seed: int) -> dict[str, float]:
    """Return the figures of one run's models; one model alone is not compared with others."""
    random = np.random.default_rng(seed)
    codes = random.standard_normal((SAMPLES, models[0].latent)).astype(np.float32)
    few = codes[:PER_TEMPLATE]
    figures: dict[str, float] = {}
    if len(models) > 1:
        same = [np.concatenate([generate(model, few, each.template) for each in patients]) for model in models]
        figures["alike"] = float(np.mean([mean_correlation(one, other) for one, other in combinations(same, 2)]))
    own = models if len(models) > 1 else models * len(patients)
    made = [generate(model, codes, each.template) for model, each in zip(own, patients, strict=True)]
    figures["between nodes"] = mean_over_pairs(made, width)
    figures["to real"] = float(
        np.mean([discrepancy(beats, each.real, width) for beats, each in zip(made, patients, strict=True)])
    )
    return figures


def drawing_of(rows: dict[str, list[ConvVae]], patients: list[Patient]) -> Drawing:
    """Return the usual beat (code 0) of every node's model for one template, and for each node's own."""
    drawing = Drawing(1080, 30 + 220 * len(rows), "Beats that the nodes' models generate", "One line per node, code 0.")
    common = patients[0].template
    for i, (name, models) in enumerate(rows.items()):
        zero = np.zeros((1, models[0].latent), dtype=np.float32)
        sets = {
            f"{name}: every node, one patient's template": [generate(m, zero, common)[0] for m in models],
            f"{name}: every node, its own patient": [
                generate(m, zero, p.template)[0] for m, p in zip(models, patients, strict=True)
            ],
            "the patients' mean real beats": [each.real.mean(axis=0) for each in patients],
        }
        for j, (title, beats) in enumerate(sets.items()):
            x, y = 20 + 355 * j, 30 + 220 * i
            drawing.add(Text(x, y, title, 12, style.INK, bold=True))
            for number, beat in enumerate(beats):
                points = [(x + 330 * at / 127, y + 90 - 22 * float(beat[at])) for at in range(0, len(beat), 2)]
                drawing.add(Line(points, style.SERIES[number % len(style.SERIES)], 0.8))
    return drawing


def _told(found: Estimate) -> str:
    if found.mean is None:
        return "-"
    half = "" if found.low is None or found.high is None else f" ± {(found.high - found.low) / 2:.3f}"
    return f"{found.mean:.3f}{half}"


def main() -> None:
    """Print the table, its conditions and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", type=Path, required=True, help="folder of the study's runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--figure", type=Path, help="SVG to draw, of the first seed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    used, source, _ = choose_source("mitdb", "none", "", 1)
    patients = patients_of(source)
    width = median_distance(np.concatenate([each.real[::10] for each in patients]))
    found: dict[str, list[dict[str, float]]] = {}
    drawn: dict[str, list[ConvVae]] = {}
    for seed in options.seeds:
        for variant in ("centralised", *KINDS):
            (run,) = (options.cells / variant).glob(f"*/seed-{seed}/weights")
            config = config_of(variant, seed)
            after = load_file(run / f"round-{ROUNDS:03d}.safetensors")
            if variant == "centralised":
                start = model_of(config, load_file(run / "round-000.safetensors"))
                found.setdefault("untrained model", []).append(compared([start], patients, width, seed))
            else:
                models = nodes_of(config, load_file(run / f"round-{ROUNDS - 1:03d}.safetensors"), source)
                found.setdefault(f"{variant}, nodes", []).append(compared(models, patients, width, seed))
                if seed == options.seeds[0]:
                    drawn[variant] = models
            found.setdefault(f"{variant}, global model", []).append(
                compared([model_of(config, after)], patients, width, seed)
            )
    print(
        f"{used}, {NODES} nodes, round {ROUNDS}, seeds {options.seeds}, {SAMPLES} beats a node; mean and 95 % interval"
    )
    print(f"between patients, real beats: {mean_over_pairs([each.real for each in patients], width):.3f}\n")
    print(f"{'models':28}{'alike':>18}{'between nodes':>18}{'to real':>18}")
    for name, runs in found.items():
        cells = [
            _told(estimate([run[key] for run in runs if key in run])) for key in ("alike", "between nodes", "to real")
        ]
        print(f"{name:28}" + "".join(f"{cell:>18}" for cell in cells))
    if options.figure:
        options.figure.write_text(to_svg(drawing_of(drawn, patients), "likeness", is_file=True) + "\n")
    print(json.dumps({"benchmark": "p1_likeness", "seeds": options.seeds, "kernel width": width, "figures": found}))


if __name__ == "__main__":
    main()
