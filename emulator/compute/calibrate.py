"""A device profile measured on the machine this runs on, in the format of the shipped tables (``emulate calibrate``)."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from emulator.compute import probes
from emulator.compute.costs import cost_table
from emulator.compute.training_probe import TrainingSpeed, measure_training
from emulator.models.facts import Fact


def calibrate(
    name: str,
    klass: str,
    *,
    threads: int,
    statement: str = probes.STARTED,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> list[Fact]:
    """Return the rows of a profile called ``name``: size, unit costs and training rates of this machine; takes about a minute.

    Args:
        name: Name of the profile.
        klass: Class of the device, as in ``devices.csv``: says whether it has a battery.
        threads: Threads that PyTorch trains with.
        statement: What a ClientApp process imports, in Python.
        on_stage: Called with a few words before each group of measurements.

    Leaves out power (no machine measures its own; give ``idle`` and ``busy`` in the scenario), boot time and throttling.
    """
    source = f"emulate calibrate on {_machine()}"

    def fact(quantity: str, value: float | str, unit: str, note: str = "") -> Fact:
        text = value if isinstance(value, str) else f"{value:.6g}"
        return Fact(name, quantity, text, unit, "measured", source, note)

    on_stage("starting ClientApp processes")
    start_s, peak_bytes = probes.process_start(statement)
    on_stage("arrays, samples and signals")
    units: dict[str, float | None] = {
        "process_starts": start_s,
        "array_elements": probes.array_element(),
        "samples": probes.sample(),
        "signal_samples": probes.signal_sample(),
    }
    on_stage("encryption, masks, keys and signatures")
    units |= probes.ciphertexts() | probes.key_work()
    on_stage("training")
    speed = measure_training(threads)
    known = {unit: seconds for unit, seconds in units.items() if seconds is not None}
    return [
        fact("klass", klass, "str"),
        fact("runs_pytorch_training", "true", "bool"),
        fact("cores", str(os.cpu_count() or 1), "count", f"measured with {threads} training threads"),
        fact("ram_mb", _memory_bytes() / 1024**2, "MiB"),
        fact("base_memory", peak_bytes / 1e6, "MB", "a ClientApp process before its own data"),
        fact(
            "he_time_factor_vs_m1pro", _single_thread_factor(known), "x", "single-thread time against an Apple M1 Pro"
        ),
        *(fact(unit, seconds, "s", "per unit") for unit, seconds in known.items()),
        *(fact(*row) for row in _training_rows(speed)),
    ]


def _training_rows(speed: TrainingSpeed) -> Iterator[tuple[str, float, str]]:
    yield "train_step", speed.step_s, "s"
    yield "infer_steps", speed.infer_step_s, "s"
    yield "train_gflops_effective_small_cnn", speed.average_flops / 1e9, "GFLOP/s"
    yield "train_gflops_marginal_small", speed.small_flops / 1e9, "GFLOP/s"
    yield "train_macs_small", speed.small_macs, "count"
    yield "train_gflops_effective_large_conv", speed.large_flops / 1e9, "GFLOP/s"
    yield "train_macs_large", speed.large_macs, "count"


def _single_thread_factor(units: dict[str, float]) -> float:
    """Return the single-thread time relative to an M1 Pro: by encryption, or by the start of a process where there is none."""
    table = cost_table()
    if "encrypted_ciphertexts" in units:
        return units["encrypted_ciphertexts"] / table["m1_pro"]["encrypted_ciphertexts"].number
    return 1.3 * units["process_starts"] / table["reference_core"]["process_starts"].number


def _memory_bytes() -> float:
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _machine() -> str:
    """Return the processor's name, as far as the system tells it."""
    for path, pattern in (
        ("/proc/device-tree/model", r"(.+)"),
        ("/proc/cpuinfo", r"model name\s*:\s*(.+)"),
    ):
        if Path(path).is_file():
            found = re.search(pattern, Path(path).read_text(errors="replace").replace("\0", ""))
            if found:
                return f"{found[1].strip()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
