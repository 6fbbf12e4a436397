# SPDX-License-Identifier: Apache-2.0
"""What a call did, so that whoever runs the app on an emulated device can turn it into seconds.

Every reply of the ClientApp carries a report as a ConfigRecord under the key `work-report`; the ServerApp
keeps its own in `context.state` under the same key, adding up until somebody takes it out. Reports hold
counts only, never measured time, so they are the same on every machine. Without a reader they do nothing.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import cast

from flwr.app import ConfigRecord, Context

WORK_REPORT = "work-report"
NOTICES = "notices"
KEPT_FILES = "kept-files"
"""ConfigRecord in the ServerApp's `context.state`: files that whoever runs the app should keep, as bytes by name."""
APPENDED = "ledger-appended"
"""ConfigRecord in the ServerApp's `context.state`: bytes of each entry appended to the ledger, by its number and kind."""
PLAIN_UNITS = ("train_macs", "infer_macs", "signal_samples", "peak_memory_bytes")
"""Amounts that every report holds, also where they are 0."""


@dataclass(frozen=True)
class WorkReport:
    """Amounts of work.

    Attributes:
        train_macs: Multiply-accumulates of one forward pass per trained beat, times passes over the beats.
            Backward passes are not in it: they cost about twice the forward pass.
        train_steps: Optimiser steps (batches).
        infer_macs: Multiply-accumulates of scoring.
        infer_steps: Batches scored.
        signal_samples: Raw ECG samples cleaned; 0 when this was done in an earlier call.
        peak_memory_bytes: Estimate of data, weights, optimiser and activations; without the process itself.
        dp_train_macs: As `train_macs`, of training with one clipped gradient per example.
        encrypted_ciphertexts: Ciphertexts encrypted, in units of one with degree 8192 and five primes, one of them for keys.
        added_ciphertexts: Ciphertexts added to a sum, in the same unit.
        decrypted_ciphertexts: Ciphertexts decrypted, in the same unit.
        masked_elements: Numbers to which one mask was added.
        key_agreements: Keys made or agreed upon.
        signatures: Signatures made or verified.
    """

    train_macs: float = 0.0
    train_steps: float = 0.0
    infer_macs: float = 0.0
    infer_steps: float = 0.0
    signal_samples: float = 0.0
    peak_memory_bytes: float = 0.0
    dp_train_macs: float = 0.0
    encrypted_ciphertexts: float = 0.0
    added_ciphertexts: float = 0.0
    decrypted_ciphertexts: float = 0.0
    masked_elements: float = 0.0
    key_agreements: float = 0.0
    signatures: float = 0.0

    def to_record(self) -> ConfigRecord:
        """Return the report as a Flower record of floats; amounts of mechanisms that did nothing are left out."""
        amounts = {key: float(value) for key, value in dataclasses.asdict(self).items()}
        return ConfigRecord({key: value for key, value in amounts.items() if value or key in PLAIN_UNITS})

    def plus(self, other: "WorkReport") -> "WorkReport":
        """Return both reports as one: amounts add up, of the memory peaks the larger counts."""
        names = [field.name for field in dataclasses.fields(WorkReport)]
        both = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return WorkReport(**{name: (max if name == "peak_memory_bytes" else sum)(pair) for name, pair in both.items()})


def report_from(record: ConfigRecord) -> WorkReport:
    """Read a report back from a record."""
    values = {field.name: record.get(field.name, 0.0) for field in dataclasses.fields(WorkReport)}
    return WorkReport(**{name: float(cast(float, value)) for name, value in values.items()})


def add_to_context(context: Context, report: WorkReport) -> None:
    """Add work to the report in a context's state; starts a new one if there is none."""
    so_far = context.state.config_records.get(WORK_REPORT)
    total = report if so_far is None else report_from(so_far).plus(report)
    context.state[WORK_REPORT] = total.to_record()


def add_notice(context: Context, text: str) -> None:
    """Add a numbered message for the user to `context.state["notices"]`."""
    notices = context.state.config_records.get(NOTICES, ConfigRecord())
    notices[str(len(notices))] = text
    context.state[NOTICES] = notices


def keep_file(context: Context, name: str, data: bytes) -> None:
    """Leave a file in `context.state["kept-files"]`, in place of an earlier one of that name."""
    kept = context.state.config_records.get(KEPT_FILES, ConfigRecord())
    kept[name] = data
    context.state[KEPT_FILES] = kept


def add_provenance(context: Context, source: str, digest: str) -> None:
    """Keep `provenance.json`: which data the run used, by name and by SHA-256."""
    text = json.dumps({"data": source, "data-sha256": digest}, indent=2) + "\n"
    keep_file(context, "provenance.json", text.encode())
