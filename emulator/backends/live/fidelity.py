"""Whether a live run measured the emulated network or the machine it ran on: VALID, SUSPECT or INVALID, with reasons. Pure.

VALID: a periodic timer is late by at most 1 ms in 99 % of cases; 99 % of packets leave the relay within max(1 ms, a
tenth of a packet's time on its link); the packets lost are within the 99 % interval of the losses injected; the
hypervisor took less than 1 % of the CPU and processes outside the run less than 10 %; no ClientApp was later than its
device. SUSPECT: the timer within 5 ms, others below 40 %, or some ClientApps late. Else INVALID.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Verdict = Literal["VALID", "SUSPECT", "INVALID"]
ORDER: Final[tuple[Verdict, ...]] = ("VALID", "SUSPECT", "INVALID")
TIMER_VALID_S: Final = 1e-3
TIMER_SUSPECT_S: Final = 5e-3
LATE_SHARE: Final = 0.01
STEAL_SHARE: Final = 0.01
FOREIGN_VALID: Final = 0.10
FOREIGN_SUSPECT: Final = 0.40
Z_99: Final = 2.576
HELD_LATE_S: Final = 0.25
"""A reply may be so late on its device's time before it counts: Flower looks for it every half second."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, what was found, and what it says about the run."""

    what: str
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Fidelity:
    """The verdict of a run: the worst of its findings."""

    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def reasons(self) -> list[str]:
        """What keeps the run from being VALID."""
        return [finding.text for finding in self.findings if finding.verdict != "VALID"]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def judge(rows: Iterable[Mapping[str, Any]]) -> Fidelity:
    """Return the verdict on a run from its journals' rows."""
    by_what: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_what.setdefault(row["what"], []).append(row)
    findings = [*_timer(by_what), *_relay(by_what), *_losses(by_what), *_machine(by_what), *_devices(by_what)]
    worst = max((ORDER.index(finding.verdict) for finding in findings), default=0)
    return Fidelity(ORDER[worst], tuple(findings))


def _timer(rows: Mapping[str, list[Mapping[str, Any]]]) -> Iterable[Finding]:
    if not rows.get("timer"):
        yield Finding(
            "timer", "INVALID", "the periodic timer left no figures; the run ended too early or its process died"
        )
    for row in rows.get("timer", []):
        late_s = row["p99_s"]
        verdict: Verdict = "VALID" if late_s <= TIMER_VALID_S else "SUSPECT" if late_s <= TIMER_SUSPECT_S else "INVALID"
        yield Finding(
            "timer",
            verdict,
            f"a periodic timer was late by {1e3 * late_s:.2f} ms (99th percentile; VALID: 1, SUSPECT: 5)",
        )


def _relay(rows: Mapping[str, list[Mapping[str, Any]]]) -> Iterable[Finding]:
    for row in rows.get("relay", []):
        late = [d for d in row["directions"] if d["late"] > LATE_SHARE * max(100, d["delivered"])]
        p99_s = row["lateness"]["p99_s"]
        text = f"the relay was late by {1e3 * p99_s:.2f} ms (99th percentile of {row['lateness']['count']} packets)"
        if late:
            text += ", too late on " + ", ".join(sorted({f"{d['link']} {d['direction']}" for d in late})[:3])
        yield Finding("relay", "INVALID" if late else "VALID", text)
        refused = sum(d["refused"] for d in row["directions"])
        if refused:
            yield Finding("relay", "INVALID", f"{refused} packets were refused by the device at the far end of a link")
    for row in rows.get("ended", []):
        drops = sum(counts["send_drops"] for counts in row.get("interfaces", {}).values())
        if drops:
            yield Finding("relay", "INVALID", f"{drops} packets were dropped before the shaper saw them")


def _losses(rows: Mapping[str, list[Mapping[str, Any]]]) -> Iterable[Finding]:
    directions = [d for row in rows.get("relay", []) for d in row["directions"]]
    expected, variance = (sum(d[name] for d in directions) for name in ("expected_losses", "loss_variance"))
    if expected == 0:
        return
    lost = sum(d["lost_packets"] for d in directions)
    reach = Z_99 * math.sqrt(variance) + 0.5  # continuity: counts are whole
    verdict: Verdict = "VALID" if abs(lost - expected) <= reach else "INVALID"
    yield Finding("loss", verdict, f"{lost} packets were lost at random, {expected:.1f} +- {reach:.1f} were to be")


def _machine(rows: Mapping[str, list[Mapping[str, Any]]]) -> Iterable[Finding]:
    for row in rows.get("machine", []):
        steal = row["steal_s"] / max(1e-9, row["total_s"])
        yield Finding(
            "steal",
            "VALID" if steal < STEAL_SHARE else "INVALID",
            f"the hypervisor took {100 * steal:.1f} % of the CPU (VALID: 1)",
        )
        foreign = max(0.0, row["busy_s"] - row["own_cpu_s"]) / max(1e-9, row["total_s"])
        verdict: Verdict = (
            "VALID" if foreign <= FOREIGN_VALID else "SUSPECT" if foreign <= FOREIGN_SUSPECT else "INVALID"
        )
        yield Finding(
            "others",
            verdict,
            f"processes outside the run took {100 * foreign:.1f} % of the CPU (VALID: 10, SUSPECT: 40)",
        )
        throttled = row.get("throttled", 0)
        if throttled:
            yield Finding("throttling", "INVALID", f"the run's processes were throttled {throttled} times")


def _devices(rows: Mapping[str, list[Mapping[str, Any]]]) -> Iterable[Finding]:
    held = rows.get("held", [])
    late = [row for row in held if row["late_s"] > HELD_LATE_S]
    if held:
        worst_s = max(row["late_s"] for row in held)
        yield Finding(
            "devices", "SUSPECT" if late else "VALID",
            f"{len(late)} of {len(held)} ClientApp calls took longer here than on their device (worst {worst_s:.1f} s)",
        )  # fmt: skip
