"""From a device profile to seconds for work.

A unit's cost comes from the first of these that applies:

1. The profile's own row of that name, in ``devices.csv`` or in a file that ``emulate calibrate`` wrote: measured on the device.
2. Multiply-accumulates and steps of training and inference: see ``emulator.compute.rates``. Training with per-sample gradients
   (differential privacy) costs ``dp_factor`` times as much a multiply-accumulate.
3. The row of ``m1_pro`` (homomorphic encryption) times ``he_time_factor_vs_m1pro``, a device's single-thread factor.
4. The row of ``reference_core`` times ``cpu_time_factor = he_time_factor_vs_m1pro / 1.3``, the reference core being one vCPU of
   ``cloud_x86_8vcpu``.

Other jobs on the device stretch every cost (see ``emulator.compute.sharing``): arithmetic of networks takes all cores, the rest
takes one.

Leaves out GPUs and NPUs, memory bandwidth, and networks whose layers are unusually slow for their arithmetic (depthwise
convolutions take up to 1.7 times as long on a Pi 4). Throttling is in ``emulator.models.thermal``: it depends on what ran before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from emulator.compute.rates import ANCHOR, INFER_FLOP_PER_MAC, TRAIN_FLOP_PER_MAC, rate_at, rate_curve, training_rate
from emulator.compute.sharing import slowdown
from emulator.models.devices import Hardware, device_table, resolve_hardware
from emulator.models.facts import Fact, Table, read_facts
from emulator.models.profiles import Own
from emulator.plan import Assumption, Device, RateCurve
from emulator.registry import nearest

WORK_UNITS: Final[dict[str, str]] = {
    "process_starts": "one ClientApp process started, with its imports",
    "train_macs": "one forward multiply-accumulate of one training sample-pass (the backward pass is in the cost)",
    "train_steps": "one optimiser step; with it, `train_macs` are charged at the rate that fits the size of a step",
    "dp_train_macs": "as `train_macs`, with per-sample gradients, clipping and noise",
    "infer_macs": "one multiply-accumulate of one sample inferred",
    "infer_steps": "one batch inferred; with it, `infer_macs` are charged at the rate that fits the size of a batch",
    "signal_samples": "one raw ADC sample filtered and windowed",
    "stream_bits": "one bit of a sensor stream received and cleaned",
    "array_elements": "one float32 element aggregated or serialised",
    "samples": "one sample-pass handled in Python, without the network's arithmetic",
    "encrypted_ciphertexts": "one ciphertext encoded and encrypted, N = 8192 and five primes; a smaller one is a part of one",
    "decrypted_ciphertexts": "one such ciphertext decrypted and decoded",
    "added_ciphertexts": "one such ciphertext added to another",
    "masked_elements": "one number masked once: a key stream word made and added",
    "key_agreements": "one Diffie-Hellman agreement with one peer, and the key derived from it",
    "signatures": "one signature made or checked",
}
PROTECTION_UNITS: Final = frozenset(
    {
        "encrypted_ciphertexts",
        "decrypted_ciphertexts",
        "added_ciphertexts",
        "masked_elements",
        "key_agreements",
        "signatures",
    }
)
"""Units of work that protect updates rather than make them."""
MECHANISM_UNITS: Final = ("dp_train_macs", *sorted(PROTECTION_UNITS))
"""Units that only privacy mechanisms report; the log tells their seconds apart."""
REFERENCE: Final = "cloud_x86_8vcpu"
_TIME_FACTOR: Final = "he_time_factor_vs_m1pro"
_STEP: Final = "train_step"
_ON_ALL_CORES: Final = frozenset({"train_macs", "train_steps", "dp_train_macs", "infer_macs", "infer_steps"})
# Units charged by the rate of a step where steps are reported: the unit of steps, and FLOP for one of them.
_IN_STEPS: Final = {"train_macs": "train_steps", "dp_train_macs": "train_steps", "infer_macs": "infer_steps"}


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


def add_costs(hardware: Hardware, *, stream_bps: float = 0.0) -> tuple[Device, list[Assumption]]:
    """Return the hardware's device with its cost fields filled, and every estimate behind it.

    Args:
        hardware: Devices that run no Python (no single-thread factor in the table) keep an empty cost table.
        stream_bps: Sensor streams the device receives: cleaning them is a job beside all others.
    """
    costs = unit_costs(hardware)
    assumptions = {*hardware.assumptions, *(assumption for cost in costs.values() for assumption in cost.assumptions)}
    if not costs:
        return hardware.device, sorted(assumptions)
    shared = cost_table()["any_linux"]
    base = hardware.facts.get("base_memory", shared["base_memory"])
    assumptions.update(fact.assumption() for fact in (base, shared["os_reserve"]) if fact.is_assumed)
    cores = hardware.device.cores or 1
    others = hardware.device.background_cores + stream_bps * costs["stream_bits"].seconds
    parallel = slowdown(cores=cores, threads=cores, other_cores=others)
    serial = slowdown(cores=cores, threads=1, other_cores=others)
    factor = _time_factor(hardware)
    assert factor is not None  # else there were no costs
    device = replace(
        hardware.device,
        cpu_time_factor=factor * serial,
        base_memory_bytes=base.number,
        seconds_per_unit={
            unit: cost.seconds * (parallel if unit in _ON_ALL_CORES else serial) for unit, cost in sorted(costs.items())
        },
        rate_curve=_slower(rate_curve(hardware), parallel),
        background_cores=others,
    )
    return device, sorted(assumptions)


def _slower(curve: RateCurve, factor: float) -> RateCurve:
    return replace(curve, small_flops=curve.small_flops / factor, large_flops=curve.large_flops / factor)


def unit_costs(hardware: Hardware) -> dict[str, Cost]:
    """Return the cost of every work unit on ``hardware`` by itself; empty where it runs no Python."""
    factor = _time_factor(hardware)
    if factor is None:
        return {}
    table = cost_table()
    factor_fact = hardware.facts[_TIME_FACTOR]
    m1_factor = factor_fact.number / hardware.speed
    costs: dict[str, Cost] = {}
    for unit in WORK_UNITS:
        own = hardware.facts.get(unit)
        if own is not None:
            costs[unit] = Cost(own.number / hardware.speed, _assumed(own))
        elif unit in _ON_ALL_CORES:
            costs[unit] = _network_cost(hardware, unit)
        elif unit in table["m1_pro"]:
            costs[unit] = Cost(table["m1_pro"][unit].number * m1_factor, _assumed(factor_fact))
        else:
            row = table["reference_core"][unit]
            costs[unit] = Cost(row.number * factor, _assumed(row, factor_fact))
    return costs


def _time_factor(hardware: Hardware) -> float | None:
    fact = hardware.facts.get(_TIME_FACTOR)
    if fact is None:
        return None
    return fact.number / device_table()[REFERENCE][_TIME_FACTOR].number / hardware.speed


def _network_cost(hardware: Hardware, unit: str) -> Cost:
    """Return the cost of a step, or of a multiply-accumulate at the average rate."""
    rate, assumptions = training_rate(hardware)
    if unit in ("train_steps", "infer_steps"):
        share = 1.0 if unit == "train_steps" else INFER_FLOP_PER_MAC / TRAIN_FLOP_PER_MAC
        return Cost(share * _step_s(hardware), _assumed(hardware.facts[_TIME_FACTOR]))
    if unit == "dp_train_macs":
        assumptions = (*assumptions, *_assumed(cost_table()["any_device"]["dp_factor"]))
    return Cost(_flop(unit) / (rate * hardware.speed), assumptions)


def _step_s(hardware: Hardware) -> float:
    own = hardware.facts.get(_STEP)
    if own is not None:
        return own.number / hardware.speed
    anchor = device_table()[ANCHOR]
    return anchor[_STEP].number * hardware.facts[_TIME_FACTOR].number / anchor[_TIME_FACTOR].number / hardware.speed


def _flop(unit: str) -> float:
    """Return FLOP for one multiply-accumulate of ``unit``."""
    if unit == "infer_macs":
        return INFER_FLOP_PER_MAC
    factor = cost_table()["any_device"]["dp_factor"].number if unit == "dp_train_macs" else 1.0
    return TRAIN_FLOP_PER_MAC * factor


def _assumed(*facts: Fact) -> tuple[Assumption, ...]:
    return tuple(fact.assumption() for fact in facts if fact.is_assumed)


def seconds(device: Device, work: Mapping[str, float]) -> float:
    """Return the seconds a cool ``device`` takes for ``work`` (amount by work unit): the sum of amount times cost.

    Raises:
        ValueError: A unit that is not in the device's cost table, or a negative amount.
    """
    total = 0.0
    for unit, amount in work.items():
        if unit not in device.seconds_per_unit:
            raise ValueError(_unknown_unit(device, unit))
        if not (amount >= 0 and math.isfinite(amount)):
            raise ValueError(f"work unit {unit!r}: got {amount}; an amount of work is finite and not negative")
        total += amount * _price_s(device, unit, work)
    return total


def mechanism_seconds(device: Device, work: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of each unit of ``MECHANISM_UNITS`` in ``work``, as ``seconds`` charges them."""
    return {unit: work[unit] * _price_s(device, unit, work) for unit in MECHANISM_UNITS if work.get(unit, 0.0) > 0}


def _price_s(device: Device, unit: str, work: Mapping[str, float]) -> float:
    """Return seconds for one of ``unit``; multiply-accumulates are cheaper in large steps."""
    steps = work.get(_IN_STEPS.get(unit, ""), 0.0)
    if steps <= 0 or device.rate_curve is None:
        return device.seconds_per_unit[unit]
    return _flop(unit) / rate_at(device.rate_curve, work[unit] / steps)


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
