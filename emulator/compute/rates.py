"""Arithmetic rates of training: measured on a Raspberry Pi 4, scaled to other devices by their sustained FP64 rates.

How much of a processor's peak a network reaches depends on how much arithmetic there is between two visits to Python and memory:
3 % of its peak was measured on a Pi 4 for a tiny network at batch 16, 18 % for a ResNet18 at batch 32. A step (one batch forward,
backward, optimiser) takes a fixed time and its multiply-accumulates at a rate that grows with them:

    seconds = steps * (step + 6 * macs / R(macs)),   R(macs) = R_small * (macs / macs_small) ** p   between the two anchors

with ``macs`` per step and ``p`` such that R meets both anchors; outside them R is that of the nearer one. A report without steps
is taken at the average rate of the small anchor at batch 16.
"""

from __future__ import annotations

import math
from typing import Final

from emulator.models.devices import Hardware, device_table
from emulator.models.facts import Fact, first_fact
from emulator.plan import Assumption, RateCurve

ANCHOR: Final = "rpi_4b_4gb"
TRAIN_FLOP_PER_MAC: Final = 6.0
"""Forward, gradient of inputs, gradient of weights; 2 FLOP per multiply-accumulate."""
INFER_FLOP_PER_MAC: Final = 2.0
SMALL_MACS: Final = 16 * 1.12e6
"""TinyCNN at batch 16."""
LARGE_MACS: Final = 32 * 0.557e9
"""ResNet18 at batch 32."""
AVERAGE: Final = "train_gflops_effective_small_cnn"
_SMALL: Final = "train_gflops_marginal_small"
_LARGE: Final = "train_gflops_effective_large_conv"
_FP64: Final = ("fp64_sustained", "fp64_usable", "hpl_fp64", "fp64", "cpu_fp64")


def rate_at(curve: RateCurve, macs_per_step: float) -> float:
    """Return the FLOP/s at which a step of so many multiply-accumulates is computed."""
    share = math.log(curve.large_flops / curve.small_flops) / math.log(curve.large_macs / curve.small_macs)
    macs = min(max(macs_per_step, curve.small_macs), curve.large_macs)
    return curve.small_flops * math.exp(share * math.log(macs / curve.small_macs))


def rate_curve(hardware: Hardware) -> RateCurve:
    """Return the curve of ``hardware``: its own figures, else the Pi 4's in proportion to the average rates."""
    if all(name in hardware.facts for name in (_SMALL, _LARGE)):
        facts, scale = hardware.facts, hardware.speed
    else:
        facts = device_table()[ANCHOR]
        scale = training_rate(hardware)[0] / facts[AVERAGE].number * hardware.speed
    small, large = facts.get("train_macs_small"), facts.get("train_macs_large")  # a calibration's own
    return RateCurve(
        small_macs=SMALL_MACS if small is None else small.number,
        small_flops=scale * facts[_SMALL].number,
        large_macs=LARGE_MACS if large is None else large.number,
        large_flops=scale * facts[_LARGE].number,
    )


def training_rate(hardware: Hardware) -> tuple[float, tuple[Assumption, ...]]:
    """Return the sustained training rate on small networks in FLOP/s, and the estimates behind it.

    Raises:
        ValueError: The profile has neither a training rate nor an FP64 rate.
    """
    own = hardware.facts.get(AVERAGE)
    if own is not None:
        return own.number, _assumed(own)
    anchor = device_table()[ANCHOR]
    fp64 = first_fact(hardware.facts, *_FP64)
    gemm32 = hardware.facts.get("cpu_gemm_fp32")
    if fp64 is None and gemm32 is None:
        raise ValueError(f"{hardware.base}: no rate to derive training costs from; add a row to devices.csv")
    # A float32 matrix product runs at twice the float64 rate on every SIMD unit in the table.
    sustained = fp64.number if fp64 else gemm32.number / 2  # type: ignore[union-attr]
    fraction = hardware.facts.get("sustained_fraction")
    rate = anchor[AVERAGE].number * sustained / anchor["hpl_fp64"].number
    rate *= fraction.number if fraction else 1.0
    measured = f"the {ANCHOR}'s measured {anchor[AVERAGE].value} GFLOP/s on small CNNs"
    source = f"estimate: {measured} times the ratio of sustained FP64 rates"
    scaling = Assumption(hardware.base, "training_rate", f"{rate / 1e9:.3g} GFLOP/s", source)
    return rate, (scaling, *_assumed(*(fact for fact in (fp64, fraction) if fact)))


def _assumed(*facts: Fact) -> tuple[Assumption, ...]:
    return tuple(fact.assumption() for fact in facts if fact.is_assumed)
