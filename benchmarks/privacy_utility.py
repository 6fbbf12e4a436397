# SPDX-License-Identifier: Apache-2.0
"""What do quantisation and noise cost in detection quality?

Trains the app's model on DS1 of MIT-BIH over ten clinics with equal weights, with the app's own functions, and tests on DS2:
as floats, quantised to 8 and 16 bits as under encryption and secure aggregation (whose sums are exact, so that nothing else
changes), and with DP-SGD. The same seeds for all, so that differences are paired.

    python benchmarks/privacy_utility.py --seeds 5
"""

import argparse
import json
import random
import time

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, RecordDict

from fedgen import task
from fedgen.config import AppConfig
from fedgen.data.sources import DataSource, choose_source
from fedgen.data.windows import PreparedPatient
from fedgen.privacy.client import Share, train_examples, train_plain
from fedgen.privacy.codecs import Codec, FloatCodec, QuantisedCodec
from fedgen.privacy.frame import Call, Sum
from fedgen.privacy.kinds import parse_kind
from fedgen.privacy.score_tail import threshold_rule
from fedgen.privacy.vectors import TAIL, layout_of, moved

CLIENTS = 10
MEASURES = ("v.f1", "svf.f1", "v.auroc", "svf.auroc")


def trained(
    config: AppConfig, source: DataSource, test: list[PreparedPatient], codec: Codec, *, is_private: bool
) -> dict[str, float]:
    """Run all rounds and return the test's measures."""
    random.seed(config.seed)
    model = task.new_model(config)
    arrays, threshold = ArrayRecord(dict(model.state_dict())), None
    rule = threshold_rule(parse_kind("dp" if is_private else "none"), config, print)
    contexts = [Context(run_id=1, node_id=i, node_config={}, state=RecordDict(), run_config={}) for i in range(CLIENTS)]
    for server_round in range(1, config.num_server_rounds + 1):
        numbers, accounts = [], []
        for partition, context in enumerate(contexts):
            call = Call(context, config, server_round, task.derived_seed(config.seed, partition, server_round))
            share = Share(source, partition, CLIENTS)
            contribution = train_examples(call, arrays, share) if is_private else train_plain(call, arrays, share)
            numbers.append(codec.encode(call, contribution.vector, codec.brief()))
            accounts.append(contribution.spent or ConfigRecord())
        mean = codec.decode(Sum(np.sum(numbers, axis=0), tuple(range(CLIENTS))))
        arrays, threshold = moved(arrays, mean[:-TAIL]), rule.see(mean[-TAIL:], accounts)
    model.load_state_dict(arrays.to_torch_state_dict())
    measured, _ = task.evaluate(model, test, threshold)
    return {name: measured.get(name, 0.0) for name in MEASURES}


def main() -> None:
    """Print the table, the conditions and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beats", type=int, default=300, help="training beats per patient")
    parser.add_argument("--variants", nargs="+", default=["floats", "8 bits"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    used, source, _ = choose_source("mitdb", "none", "", 1)
    rows: dict[str, list[dict[str, float]]] = {}
    for variant in options.variants:
        for seed in range(1, options.seeds + 1):
            begin_s = time.monotonic()
            epsilon = float(variant.split()[1]) if variant.startswith("epsilon") else None
            config = AppConfig(
                seed=seed,
                num_server_rounds=options.rounds,
                data_max_beats_per_patient=options.beats,
                data_test_beats_per_patient=400,
                **({} if epsilon is None else {"privacy_kind": "dp", "privacy_example_epsilon": epsilon}),
            )
            layout = layout_of(ArrayRecord(dict(task.new_model(config).state_dict())))
            bits = int(variant.split()[0]) if variant.endswith("bits") else 0
            codec: Codec = (
                QuantisedCodec(layout, bits=bits, first_range=config.privacy_first_range) if bits else FloatCodec()
            )
            test = task.test_patients(source, config)
            result = trained(config, source, test, codec, is_private=epsilon is not None)
            rows.setdefault(variant, []).append(result)
            values = "  ".join(f"{name} {value:.4f}" for name, value in result.items())
            print(f"{variant:<12} seed {seed}  {values}  {time.monotonic() - begin_s:.0f} s", flush=True)
    print(
        f"\n{CLIENTS} clinics, {options.rounds} rounds, {options.beats} beats per patient, {used}; mean ± standard deviation"
    )
    for variant, results in rows.items():
        words = [
            f"{name} {np.mean([r[name] for r in results]):.4f} ± {np.std([r[name] for r in results]):.4f}"
            for name in MEASURES
        ]
        print(f"{variant:<12} " + "  ".join(words))
    first = options.variants[0]
    for variant in options.variants[1:]:
        gaps = {m: [a[m] - b[m] for a, b in zip(rows[variant], rows[first], strict=True)] for m in MEASURES}
        words = [f"{name} {100 * np.mean(gap):+.2f} ± {100 * np.std(gap):.2f}" for name, gap in gaps.items()]
        print(f"{variant} less {first}, points: " + "  ".join(words))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
