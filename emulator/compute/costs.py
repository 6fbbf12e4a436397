"""From a device profile to seconds per unit of work.

Three ways, the first that applies counts:

1. A row of ``costs.csv`` for the device or its class: a measurement on real hardware goes there.
2. Multiply-accumulates, from the device's training rate R on small networks (FLOP/s):
   ``train_macs = 3 * 2 / R`` (forward, gradient of inputs, gradient of weights; 2 FLOP per multiply-accumulate) and
   ``infer_macs = 2 / R``. R is the profile's own figure; without one, the Pi 4's measured 1.05 GFLOP/s times the
   ratio of sustained FP64 rates: ``R = R_pi4 * sustained_fraction * fp64 / fp64_pi4``.
3. Anything else, from the row of ``reference_core`` times the single-thread factor
   ``cpu_time_factor = he_time_factor_vs_m1pro / 1.3``, the reference core being one vCPU of ``cloud_x86_8vcpu``.

Leaves out thermal throttling (a Pi 4 without a fan takes up to 2.08 times as long), GPUs and NPUs, larger batches, and
the overhead per batch, which R holds only on average: a network of a few thousand multiply-accumulates takes longer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from emulator.models.devices import Hardware, device_table, resolve_hardware
from emulator.models.facts import Fact, Table, first_fact, read_facts
from emulator.models.profiles import Own
from emulator.plan import Assumption, Device
from emulator.registry import nearest

WORK_UNITS: Final[dict[str, str]] = {
    "process_starts": "one ClientApp process started, with its imports",
    "train_macs": "one forward multiply-accumulate of one training sample-pass (the backward pass is in the cost)",
    "infer_macs": "one multiply-accumulate of one sample inferred",
    "signal_samples": "one raw ADC sample filtered and windowed",
    "array_elements": "one float32 element aggregated or serialised",
    "samples": "one sample-pass handled in Python, without the network's arithmetic",
    "masked_elements": "one number masked once: a key stream word made and added",
    "key_agreements": "one Diffie-Hellman agreement with one peer, and the key derived from it",
    "signatures": "one signature made or checked",
}
ANCHOR: Final = "rpi_4b_4gb"
REFERENCE: Final = "cloud_x86_8vcpu"
TRAIN_FLOP_PER_MAC: Final = 6.0
INFER_FLOP_PER_MAC: Final = 2.0
_FP64: Final = ("fp64_sustained", "fp64_usable", "hpl_fp64", "fp64", "cpu_fp64")


@dataclass(frozen=True)
class Cost:
    """Seconds for one unit of work, and the estimates behind the figure."""

    seconds: float
    assumptions: tuple[Assumption, ...] = ()


def cost_table() -> Table:
    """Return ``costs.csv``."""
    return read_facts("emulator.compute", "costs.csv")


def resolve_device(name: str, own: Own) -> tuple[Device, list[Assumption]]:
    """Return the device called ``name`` with its cost table, and every estimate behind it.

    Raises:
        ParameterError: See ``emulator.models.devices.resolve_hardware``.
    """
    hardware = resolve_hardware(name, own, reserve_bytes=reserve_bytes())
    return add_costs(hardware)


def reserve_bytes() -> float:
    """Return the memory an operating system keeps for itself."""
    return cost_table()["any_linux"]["os_reserve"].number


def add_costs(hardware: Hardware) -> tuple[Device, list[Assumption]]:
    """Return the hardware's device with its cost fields filled, and every estimate behind it.

    Devices that run no Python (no single-thread factor in the table) keep an empty cost table.
    """
    costs = unit_costs(hardware)
    assumptions = {*hardware.assumptions, *(assumption for cost in costs.values() for assumption in cost.assumptions)}
    if not costs:
        return hardware.device, sorted(assumptions)
    shared = cost_table()["any_linux"]
    assumptions.update(fact.assumption() for fact in shared.values() if fact.is_assumed)
    device = replace(
        hardware.device,
        cpu_time_factor=_time_factor(hardware),
        base_memory_bytes=shared["base_memory"].number,
        seconds_per_unit={unit: cost.seconds for unit, cost in sorted(costs.items())},
    )
    return device, sorted(assumptions)


def unit_costs(hardware: Hardware) -> dict[str, Cost]:
    """Return the cost of every work unit on ``hardware`` (see the module docstring); empty where it runs no Python."""
    factor = _time_factor(hardware)
    if factor is None:
        return {}
    factor_fact = hardware.facts["he_time_factor_vs_m1pro"]
    costs: dict[str, Cost] = {}
    for unit in WORK_UNITS:
        own_row = _own_row(hardware, unit)
        if own_row is not None:
            costs[unit] = Cost(own_row.number / hardware.speed, _assumed(own_row))
        elif unit in ("train_macs", "infer_macs"):
            costs[unit] = _mac_cost(hardware, unit)
        else:
            row = cost_table()["reference_core"][unit]
            costs[unit] = Cost(row.number * factor, _assumed(row, factor_fact))
    return costs


def _own_row(hardware: Hardware, unit: str) -> Fact | None:
    rows = (cost_table().get(profile, {}) for profile in (hardware.base, hardware.device.klass))
    return next((row[unit] for row in rows if unit in row), None)


def _time_factor(hardware: Hardware) -> float | None:
    fact = hardware.facts.get("he_time_factor_vs_m1pro")
    if fact is None:
        return None
    return fact.number / device_table()[REFERENCE]["he_time_factor_vs_m1pro"].number / hardware.speed


def _mac_cost(hardware: Hardware, unit: str) -> Cost:
    rate, assumptions = training_rate(hardware)
    flop = TRAIN_FLOP_PER_MAC if unit == "train_macs" else INFER_FLOP_PER_MAC
    return Cost(flop / (rate * hardware.speed), assumptions)


def training_rate(hardware: Hardware) -> tuple[float, tuple[Assumption, ...]]:
    """Return the sustained training rate on small networks in FLOP/s, and the estimates behind it.

    Raises:
        ValueError: The profile has neither a training rate nor an FP64 rate.
    """
    own = hardware.facts.get("train_gflops_effective_small_cnn")
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
    rate = anchor["train_gflops_effective_small_cnn"].number * sustained / anchor["hpl_fp64"].number
    rate *= fraction.number if fraction else 1.0
    scaling = Assumption(
        hardware.base,
        "training_rate",
        f"{rate / 1e9:.3g} GFLOP/s",
        f"estimate: the {ANCHOR}'s measured 1.05 GFLOP/s on small CNNs times the ratio of sustained FP64 rates",
    )
    return rate, (scaling, *_assumed(*(fact for fact in (fp64, fraction) if fact)))


def _assumed(*facts: Fact) -> tuple[Assumption, ...]:
    return tuple(fact.assumption() for fact in facts if fact.is_assumed)


def seconds(device: Device, work: Mapping[str, float]) -> float:
    """Return the seconds ``device`` takes for ``work`` (amount by work unit): the sum of amount times cost.

    Raises:
        ValueError: A unit that is not in the device's cost table, or a negative amount.
    """
    total = 0.0
    for unit, amount in work.items():
        if unit not in device.seconds_per_unit:
            raise ValueError(_unknown_unit(device, unit))
        if not (amount >= 0 and math.isfinite(amount)):
            raise ValueError(f"work unit {unit!r}: got {amount}; an amount of work is finite and not negative")
        total += amount * device.seconds_per_unit[unit]
    return total


def _unknown_unit(device: Device, unit: str) -> str:
    known = sorted(device.seconds_per_unit)
    if not known:
        return f"device {device.profile!r} has no cost table: it runs no Python; let a gateway do the work"
    return (
        f"unknown work unit {unit!r} on device {device.profile!r}; known: {', '.join(known)}{nearest(unit, known)}. "
        "Report work in a known unit, or add a row for it to emulator/compute/costs.csv"
    )


def fits_memory(device: Device, peak_memory_bytes: float) -> bool | None:
    """Return whether a ClientApp with ``peak_memory_bytes`` of its own data fits, or None where memory is unknown.

    ``base_memory_bytes + peak_memory_bytes <= memory_bytes``. One process at a time; swap is left out.
    """
    if device.memory_bytes is None or device.base_memory_bytes is None:
        return None
    return device.base_memory_bytes + peak_memory_bytes <= device.memory_bytes
