# SPDX-License-Identifier: Apache-2.0
"""How close is the accounting to dp-accounting, and how much slower is private training?

Epsilon of typical plans by this app's Renyi accounting and PLD, beside dp-accounting's RDP and Opacus' GDP, which is shown to
be an underestimate and never used. Then one epoch of the app's model, plain and with DP-SGD, on one core.

    python benchmarks/privacy_dp.py
"""

import argparse
import json
import logging
import time

import torch
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.rdp import RdpAccountant
from opacus.accountants.analysis.gdp import compute_eps_poisson

from fedgen import task
from fedgen.config import AppConfig
from fedgen.models import BeatBatch
from fedgen.privacy.accounting import Release, calibrate, epsilon_of, pld_epsilon, rdp_of
from fedgen.privacy.dp_sgd import DpSgdPlan, train_privately

PLANS = (
    ("n 4000, batch 64, 20 epochs", 1.0, 64, 4000, 1260, 1e-5),
    ("n 1000, batch 32, 100 epochs", 1.0, 32, 1000, 3200, 1e-5),
    ("n 300, batch 32, 20 epochs", 1.2, 32, 300, 200, 1e-4),
    ("100 clients, tenth drawn, 50 rounds", 1.0, 10, 100, 50, 1e-3),
    ("100 clients, all, 20 rounds", 4.0, 100, 100, 20, 1e-3),
)


def accounting() -> list[dict[str, float | str]]:
    """Compare epsilons."""
    rows: list[dict[str, float | str]] = []
    for name, noise, batch, units, steps, delta in PLANS:
        release = Release(noise, batch / units, steps)
        witness = RdpAccountant()
        event = GaussianDpEvent(noise)
        witness.compose(PoissonSampledDpEvent(release.rate, event) if release.rate < 1 else event, steps)
        begin_s = time.perf_counter()
        ours = epsilon_of(rdp_of([release]), delta)
        rdp_s = time.perf_counter() - begin_s
        begin_s = time.perf_counter()
        reported = pld_epsilon([release], delta)
        rows.append(
            {
                "plan": name,
                "renyi": ours,
                "renyi_dp_accounting": float(witness.get_epsilon(delta)),
                "pld": reported,
                "gdp_never_used": float(
                    compute_eps_poisson(steps=steps, noise_multiplier=noise, sample_rate=release.rate, delta=delta)
                ),
                "renyi_s": rdp_s,
                "pld_s": time.perf_counter() - begin_s,
                "noise_for_epsilon_8": calibrate(
                    8.0, delta, lambda sigma, r=release: rdp_of([Release(sigma, r.rate, r.count)])
                ),
            }
        )
    return rows


def speed(beats: int, batch_size: int) -> dict[str, float]:
    """Time one epoch, plain and private; best of three."""
    generator = torch.Generator().manual_seed(0)
    batch = BeatBatch(*(torch.randn(beats, width, generator=generator) for width in (128, 128, 3)))
    config = AppConfig(training_batch_size=batch_size)
    plan = DpSgdPlan(1.0, 1.0, batch_size / beats, beats // batch_size, config.training_learning_rate)
    plain, private = [], []
    for _ in range(3):
        begin_s = time.perf_counter()
        task.fit(task.new_model(config), batch, config, generator)
        plain.append(time.perf_counter() - begin_s)
        begin_s = time.perf_counter()
        train_privately(task.new_model(config), batch, plan, seed=1)
        private.append(time.perf_counter() - begin_s)
    return {"beats": beats, "batch": batch_size, "plain_s": min(plain), "private_s": min(private)}


def main() -> None:
    """Print the tables, the conditions and the figures."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    rows = accounting()
    print(f"{'plan':<38}{'Renyi':>8}{'dp-acc.':>9}{'PLD':>8}{'GDP':>8}{'noise at 8':>12}{'Renyi ms':>10}{'PLD ms':>8}")
    for row in rows:
        print(
            f"{row['plan']:<38}{row['renyi']:>8.3f}{row['renyi_dp_accounting']:>9.3f}{row['pld']:>8.3f}"
            f"{row['gdp_never_used']:>8.3f}{row['noise_for_epsilon_8']:>12.3f}"
            f"{1e3 * float(row['renyi_s']):>10.1f}{1e3 * float(row['pld_s']):>8.0f}"
        )
    speeds = [speed(2048, size) for size in (64, 128)]
    print("One epoch of the convolutional auto-encoder, one core:")
    for each in speeds:
        ratio = each["private_s"] / each["plain_s"]
        print(
            f"  {each['beats']} beats, batch {each['batch']}: {each['plain_s']:.2f} s, with DP-SGD "
            f"{each['private_s']:.2f} s, {ratio:.1f} times"
        )
    print(json.dumps({"accounting": rows, "speed": speeds}))


if __name__ == "__main__":
    main()
