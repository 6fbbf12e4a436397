"""Link profiles: rates, delay, loss, price and reliability, from ``links.csv`` and a scenario's own figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from emulator.models.facts import Fact, Table, first_fact, read_facts
from emulator.models.profiles import Own, like_chain, read_fields
from emulator.plan import Assumption, ControlName
from emulator.topology.params import ParameterError

FIELDS: Final[dict[str, str]] = {
    "rate": "rate", "up": "rate", "down": "rate", "delay": "time", "rtt": "time", "jitter": "time", "loss": "fraction",
    "queue": "size", "half_duplex": "bool", "tariff": "tariff", "model": "plugin", "congestion_control": "control",
}  # fmt: skip

_RATES: Final = ("goodput", "goodput_android", "goodput_practical", "goodput_at_duty")
# Attribute to the table quantities that give it, the first found counts.
QUANTITIES: Final[dict[str, tuple[str, ...]]] = {
    "up_bps": ("up", "up_typical", *_RATES),
    "down_bps": ("down", "down_typical", *_RATES),
    "delay_s": ("rtt", "rtt_median"),
    "jitter_s": ("jitter",),
    "loss": ("loss",),
    "tariff_usd_per_gb": ("cost_per_gb",),
    "tx_j_per_byte": ("tx_energy",),
    "mtbf_s": ("mtbf_h",),
    "mttr_s": ("mttr_h",),
    "bytes_per_day": ("bytes_per_day",),
}
# The table's round-trip figures, per direction: half the delay each; independent jitter adds in squares.
PER_DIRECTION: Final[dict[str, float]] = {"delay_s": 0.5, "jitter_s": math.sqrt(0.5)}


@dataclass(frozen=True)
class LinkModel:
    """The link model of a profile by name, its parameters as written, and the key of its block, for messages."""

    kind: str
    params: Mapping[str, Any]
    key: str


@dataclass(frozen=True)
class LinkProfile:
    """Both directions of a link, in base units; ``facts`` are the rows used, by attribute.

    ``delay_s`` and ``jitter_s`` are one way. ``loss`` is applied to each direction as given, which is pessimistic where
    the source counted lost round trips. ``mtbf_s`` is the mean time a link is up between outages, ``mttr_s`` the mean
    length of an outage. ``can_carry_models`` is False where regulation lets too few bytes through in a day. ``model``
    says how the figures change over time; None where they do not. ``congestion_control`` is None for the run's.
    """

    name: str
    up_bps: float
    down_bps: float
    delay_s: float
    jitter_s: float = 0.0
    loss: float = 0.0
    queue_bytes: float | None = None
    is_shared_medium: bool = False
    tariff_usd_per_gb: float | None = None
    tx_j_per_byte: float | None = None
    mtbf_s: float | None = None
    mttr_s: float | None = None
    can_carry_models: bool = True
    bytes_per_day: float | None = None
    model: LinkModel | None = None
    congestion_control: ControlName | None = None
    facts: tuple[tuple[str, Fact], ...] = ()

    def assumptions(self, *, is_reliability_used: bool = False, without: Collection[str] = ()) -> list[Assumption]:
        """Return the estimates among the figures a run uses, ``without`` those that a link model stands in for."""
        unused = {"bytes_per_day", *without} | (set() if is_reliability_used else {"mtbf_s", "mttr_s"})
        return [fact.assumption() for name, fact in self.facts if fact.is_assumed and name not in unused]


def link_table() -> Table:
    """Return the shipped link profiles."""
    return read_facts("emulator.models.links", "links.csv")


def resolve_link(name: str, own: Own) -> tuple[LinkProfile, list[Assumption]]:
    """Return the link profile called ``name`` and the estimates in it.

    An own profile without ``like`` starts from nothing: it must give its rate (or up and down) and its delay (or rtt);
    jitter and loss are then 0, and price, energy and reliability unknown.

    Raises:
        ParameterError: See ``like_chain`` and ``read_fields``; also missing fields.
    """
    base, chain = like_chain(name, own, link_table(), block="links")
    profile = None if base is None else _from_table(base)
    for step in chain:
        profile = apply_fields(profile, own[step], name=step, key=f"links.{step}")
    assert profile is not None  # a chain that ends nowhere has at least one own profile
    return profile, profile.assumptions()


def apply_fields(profile: LinkProfile | None, fields: Mapping[str, Any], *, name: str, key: str) -> LinkProfile:
    """Return ``profile``, now called ``name``, with the fields of a scenario's link block or a topology's edge over it.

    Args:
        profile: What to start from; None for a link given by its fields alone.
        fields: ``rate`` sets both directions, ``rtt`` twice the one-way ``delay``; ``jitter`` is one way; ``model`` is
            the link model with its parameters, in place of the one that ``profile`` has.
        name: Name of the result.
        key: Dotted path of the block, for messages.

    Raises:
        ParameterError: Fields that cannot be read, contradict each other, or are missing.
    """
    values = read_fields(fields, FIELDS, key=key)
    if "delay" in values and "rtt" in values:
        raise ParameterError([(f"{key}.rtt", "give delay (one way) or rtt (both ways), not both")])
    changes = _changes(values)
    if "model" in values:
        changes["model"] = _model(values["model"], f"{key}.model")
    faults = [
        (f"{key}.{field}", "got 0; a rate must be above 0")
        for field in ("rate", "up", "down")
        if values.get(field) == 0
    ]
    if changes.get("loss", 0.0) >= 1:
        faults.append(
            (f"{key}.loss", f"got {fields['loss']!r}; want a fraction below 1; use an outage for a dead link")
        )
    missing = [] if profile else [field for field in ("up_bps", "down_bps", "delay_s") if field not in changes]
    if missing:
        faults.append((key, "needs 'like: PROFILE', or a rate (or up and down) and a delay (or rtt)"))
    if faults:
        raise ParameterError(faults)
    if profile is None:
        return LinkProfile(name=name, **changes)
    kept = tuple((attribute, fact) for attribute, fact in profile.facts if attribute not in changes)
    return replace(profile, name=name, facts=kept, **changes)


def _model(block: Mapping[str, Any], key: str) -> LinkModel:
    return LinkModel(block["kind"], {name: value for name, value in block.items() if name != "kind"}, key)


def _changes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Scenario fields to attributes of ``LinkProfile``; the narrower field wins over the wider."""
    changes: dict[str, Any] = {}
    if "rate" in values:
        changes["up_bps"] = changes["down_bps"] = values["rate"]
    for field, attribute in (("up", "up_bps"), ("down", "down_bps"), ("delay", "delay_s"), ("jitter", "jitter_s"),
                             ("loss", "loss"), ("queue", "queue_bytes"), ("half_duplex", "is_shared_medium"),
                             ("tariff", "tariff_usd_per_gb"), ("congestion_control", "congestion_control")):  # fmt: skip
        if field in values:
            changes[attribute] = values[field]
    if "rtt" in values:
        changes["delay_s"] = values["rtt"] / 2
    return changes


def _from_table(base: str) -> LinkProfile:
    rows = link_table()[base]
    figures: dict[str, Any] = {}
    used: list[tuple[str, Fact]] = []
    for attribute, quantities in QUANTITIES.items():
        fact = first_fact(rows, *quantities)
        if fact is not None:
            figures[attribute] = fact.number * PER_DIRECTION.get(attribute, 1.0)
            used.append((attribute, fact))
    capable = rows.get("fl_capable")
    return LinkProfile(
        name=base,
        is_shared_medium="half_duplex" in rows and rows["half_duplex"].is_true,
        can_carry_models=capable is None or capable.is_true,
        facts=tuple(used),
        **figures,
    )
