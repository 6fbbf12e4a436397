# SPDX-License-Identifier: Apache-2.0
"""How many clients does client-level privacy need?

Every client's update is clipped to norm C and the sum of a round carries Gaussian noise of standard deviation z C in each of the
model's d weights, so that the noise in the mean has norm z C sqrt(d) / n. No client can move the mean by more than C / n, and all
together by no more than C. Two parts:

1. Accounting: z for five rounds of all clients at delta = 1 / (10 n), and the norm of the noise in the mean over C, for several
   budgets; with Poisson sampling of a tenth of the clients the same for five times as many rounds.
2. Training: the app's model on simulated patients (a minute of ECG each, one patient a client), five rounds, epsilon 8 for one
   client and none; quality on 21 other simulated patients, at the public threshold. Simulated, because MIT-BIH has no thousand
   patients: what counts is the difference between rows.

    python benchmarks/p1_clients.py --clients 10 30 100 300 1000

Prints both tables, and as its last line one JSON object.
"""

import argparse
import json
import math
import random
import time
from functools import cache

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, RecordDict

from fedgen import task
from fedgen.config import AppConfig
from fedgen.data.simulated import simulate
from fedgen.data.windows import PreparedPatient, prepare
from fedgen.privacy.accounting import Release, calibrate, rdp_of
from fedgen.privacy.client_level import CentralNoiseCodec, clipped
from fedgen.privacy.codecs import FloatCodec
from fedgen.privacy.frame import Call, Sum
from fedgen.privacy.vectors import TAIL, Vector, difference, moved

ROUNDS, DURATION_S, TESTED = 5, 60.0, 21
BUDGETS = (1.0, 8.0, 50.0)
TENTH = 0.1


def multiplier(clients: int, epsilon: float, rate: float, rounds: int) -> float:
    """Return the least noise over the clip that keeps the budget at delta 1 / (10 n)."""
    return calibrate(epsilon, 1 / (10 * clients), lambda noise: rounds * rdp_of([Release(noise, rate, 1)]))


def accounting(clients: int, weights: int) -> dict[str, float]:
    """Return noise multipliers and norms of the noise in the mean, in clips."""
    row: dict[str, float] = {"clients": clients}
    for epsilon in BUDGETS:
        noise = multiplier(clients, epsilon, 1.0, ROUNDS)
        row[f"noise at {epsilon:g}"] = noise
        row[f"norm at {epsilon:g}"] = noise * math.sqrt(weights) / clients
        drawn = multiplier(clients, epsilon, TENTH, 5 * ROUNDS)
        row[f"norm at {epsilon:g}, a tenth drawn"] = drawn * math.sqrt(weights) / (TENTH * clients)
    return row


@cache
def patient(name: str) -> PreparedPatient:
    """Return a simulated patient's beats."""
    return prepare(simulate(1, name, DURATION_S))


def trained(clients: int, *, is_private: bool) -> dict[str, float]:
    """Train over all clients and return the quality on other patients, and the largest update and noise in clips."""
    config = AppConfig(num_server_rounds=ROUNDS, privacy_kind="dp-client" if is_private else "none")
    model = task.new_model(config)
    arrays = ArrayRecord(dict(model.state_dict()))
    codec: CentralNoiseCodec | FloatCodec = CentralNoiseCodec(config) if is_private else FloatCodec()
    context = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    lengths = []
    for server_round in range(1, ROUNDS + 1):
        codec.begin(clients)
        total: Vector = np.zeros(sum(array.numpy().size for array in arrays.values()) + TAIL)
        for number in range(clients):
            state = arrays.to_torch_state_dict()
            result = task.train_client(
                task.OrderedDict(state),
                [patient(f"train-{number:04d}")],
                config,
                partition=number,
                server_round=server_round,
            )
            update = np.append(difference(ArrayRecord(result.state), arrays), np.zeros(TAIL))
            lengths.append(float(np.linalg.norm(update)))
            call = Call(context, config, server_round, 0)
            total += codec.encode(call, clipped(update, math.inf), codec.brief())
        arrays = moved(arrays, codec.decode(Sum(total, tuple(range(clients))))[:-TAIL])
    model.load_state_dict(arrays.to_torch_state_dict())
    tested = [patient(f"test-{number:04d}") for number in range(TESTED)]
    measured, _ = task.evaluate(model, tested, config.privacy_public_threshold)
    kept = {name: measured.get(name, math.nan) for name in ("loss", "svf.auroc", "svf.accuracy", "svf.f1")}
    return {"clients": clients, "update": float(np.median(lengths)), **kept}


def main() -> None:
    """Print the tables, their conditions and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[10, 22, 30, 100, 300, 1000])
    parser.add_argument(
        "--trained", type=int, nargs="*", default=None, help="as many clients train (default: all of --clients)"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    weights = sum(parameter.numel() for parameter in task.new_model(AppConfig()).parameters())
    rows = [accounting(clients, weights) for clients in options.clients]
    print(
        f"Noise in the mean of a round over the clip: {weights} weights, {ROUNDS} rounds of all, or {5 * ROUNDS} of a tenth\n"
    )
    heads = [name for name in rows[0] if name != "clients"]
    print("clients  " + "  ".join(f"{head:>24}" for head in heads))
    for row in rows:
        print(f"{row['clients']:7.0f}  " + "  ".join(f"{row[head]:24.3g}" for head in heads))
    print("\nTraining on simulated patients, a minute of ECG each, clip 1, public threshold:\n")
    print("clients  epsilon  median update    loss  AUROC  accuracy     F1      s")
    results = []
    for clients in options.clients if options.trained is None else options.trained:
        for is_private in (False, True):
            random.seed(1)
            begin_s = time.monotonic()
            found = trained(clients, is_private=is_private)
            results.append({**found, "epsilon": 8.0 if is_private else None})
            quality = (
                f"{found['loss']:6.3g}  {found['svf.auroc']:5.3f}  {found['svf.accuracy']:8.3f}  {found['svf.f1']:5.3f}"
            )
            budget, took_s = "8" if is_private else "none", time.monotonic() - begin_s
            print(f"{clients:7}  {budget:>7}  {found['update']:13.3f}  {quality}  {took_s:5.0f}", flush=True)
    print(json.dumps({"benchmark": "p1_clients", "rounds": ROUNDS, "accounting": rows, "trained": results}))


if __name__ == "__main__":
    main()
