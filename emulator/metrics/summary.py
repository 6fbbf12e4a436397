"""The run in one JSON object: what a planner asks first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from emulator.metrics.history import History, Log, read_history
from emulator.metrics.names import ACCEPTED, is_bookkeeping, is_lower_better
from emulator.metrics.panel import summary_panel
from emulator.metrics.path import INSIDE, PARTS
from emulator.metrics.round_rows import PATIENT_PREFIX
from emulator.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["summarise", "summary_panel"]


def summarise(
    tables: Mapping[str, pd.DataFrame], plan: Plan, events: Log, *, history: History | None = None
) -> dict[str, Any]:
    """Return the run's summary (JSON-ready: no NaN, no numpy types; None where a figure is unknown).

    Seconds and shares over rounds count closed rounds only; bytes, energy and cost count the whole run.
    """
    history = history or read_history(events, plan)
    return {
        "scenario": plan.scenario,
        "seed": plan.seed,
        "status": history.status,
        "starts_at_s": plan.starts_at_s,
        "virtual_duration_s": history.end_s,
        "clients": len(plan.clients),
        "rounds": _rounds(tables["rounds"], plan),
        "bytes": _bytes(tables),
        "energy": _energy(tables["devices"]),
        "data_cost": _cost(tables["links"], plan),
        "quality": _quality(tables["metrics"], plan),
        "privacy": _privacy(history),
        "ledger": {"entries": len(history.ledger), "bytes": sum(event.size_bytes or 0 for event in history.ledger)},
        "faults": _faults(history),
        "messages": _messages(history),
        "transfer_model": _model(history),
        "notices": list(history.notices),
        "assumptions": [asdict(assumption) for assumption in plan.assumptions],
    }


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _sum(values: pd.Series[float]) -> float | None:
    """Return the sum of what is known; None where nothing is."""
    known = values.dropna()
    return float(known.sum()) if len(known) else None


def _rounds(rounds: pd.DataFrame, plan: Plan) -> dict[str, Any]:
    closed = rounds[rounds["is_closed"]]
    means = {part: _number(closed[part].mean()) for part in (*PARTS, *INSIDE)}
    total = float(closed["latency_s"].sum())
    return {
        "planned": plan.app.rounds,
        "opened": len(rounds),
        "closed": len(closed),
        "accepted": _accepted(closed),
        "latency_median_s": _number(closed["latency_s"].median()),
        "latency_p95_s": _number(closed["latency_s"].quantile(0.95, interpolation="higher")) if len(closed) else None,
        "latency_max_s": _number(closed["latency_s"].max()),
        "breakdown_mean_s": means,
        "breakdown_share": {part: float(closed[part].sum()) / total if total > 0 else None for part in PARTS},
        "participation_mean": _number(closed["participation"].mean()),
        "participation_min": _number(closed["participation"].min()),
    }


def _accepted(closed: pd.DataFrame) -> int:
    """Return how many rounds gave a new model: by the app's word (``round.accepted``), else those with any reply."""
    told = [name for name in closed.columns if f".{name}".endswith(f".{ACCEPTED}")]
    if told:
        return int((closed[told[0]].fillna(0) > 0).sum())
    return int((closed["replies"] > 0).sum())


def _bytes(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    rounds, links = tables["rounds"], tables["links"]
    per_round = rounds[rounds["is_closed"]]
    both = per_round["bytes_down"].astype("float64") + per_round["bytes_up"].astype("float64")
    return {
        "per_round": _number(both.mean()),
        "down_per_round": _number(per_round["bytes_down"].astype("float64").mean()),
        "up_per_round": _number(per_round["bytes_up"].astype("float64").mean()),
        "messages_delivered": int(tables["transfers"]["delivered_bytes"].fillna(0).sum()),
        "links_flows": int(links["flow_bytes"].sum()),
        "links_streams": int(links["stream_bytes"].sum()),
    }


def _energy(devices: pd.DataFrame) -> dict[str, Any]:
    modelled = devices[devices["class"] != ""]
    by_class = {}
    for name, group in modelled.groupby("class", sort=True):
        by_class[str(name)] = {
            "devices": len(group),
            "unknown": int(group["energy_j"].isna().sum()),
            "energy_j": _sum(group["energy_j"]),
            "stream_energy_j": _sum(group["stream_energy_j"]),
        }
    return {
        "total_j": _sum(modelled["energy_j"]),
        "sites_j": _sum(modelled[modelled["kind"] != "server"]["energy_j"]),
        "server_j": _sum(modelled[modelled["kind"] == "server"]["energy_j"]),
        "sites_unknown": int(modelled[modelled["kind"] != "server"]["energy_j"].isna().sum()),
        "devices": len(modelled),
        "unknown": int(modelled["energy_j"].isna().sum()),
        "stream_j": _sum(devices["stream_energy_j"]),
        "by_class": by_class,
    }


def _cost(links: pd.DataFrame, plan: Plan) -> dict[str, Any]:
    on_routes = {hop.link for client in plan.clients for hop in plan.routes.get(client.name, ())}
    used = links[(links["bytes"] > 0) & links["link"].isin(on_routes)]
    unknown = used[used["cost_usd"].isna()]["link"].nunique()
    return {"total_usd": _sum(links["cost_usd"]), "links_without_tariff": int(unknown)}


def _quality(metrics: pd.DataFrame, plan: Plan) -> dict[str, Any]:
    is_global = metrics["node"].isin(["", plan.server.name]) & ~metrics["name"].str.startswith(PATIENT_PREFIX)
    found = metrics[is_global & metrics["value"].notna() & ~metrics["name"].str.startswith("privacy.")]
    quality = {}
    found = found[~found["name"].map(is_bookkeeping).astype(bool)]
    for name, group in found.groupby("name", sort=True):
        values = group["value"]
        best = values.idxmin() if is_lower_better(str(name)) else values.idxmax()
        number = group["round"][best]
        quality[str(name)] = {
            "end": float(values.iloc[-1]),
            "best": float(values[best]),
            "best_round": None if number != number or str(number) == "<NA>" else int(number),
            "better": "lower" if is_lower_better(str(name)) else "higher",
        }
    return quality


def _privacy(history: History) -> dict[str, Any] | None:
    """Return each guarantee's largest epsilon, and the smallest of these: guarantees stand side by side, they never add up."""
    if not history.privacy:
        return None
    guarantees: dict[str, float] = {}
    for event in history.privacy:
        guarantees[event.note] = max(guarantees.get(event.note, 0.0), event.value or 0.0)
    best = min(guarantees, key=lambda note: guarantees[note])
    return {"epsilon": guarantees[best], "mechanism": best, "guarantees": guarantees}


def _faults(history: History) -> dict[str, Any]:
    stalls = [stall for transfer in history.transfers for stall in transfer.stalls]
    link_downs = sum(1 for changes in history.rates.values() for _, rate, _ in changes if rate <= 0)
    return {
        "node_down": sum(len(spans) for spans in history.down.values()),
        "node_down_by_cause": _counted(cause for spans in history.down.values() for _, _, cause in spans),
        "link_directions_down": link_downs,
        "transfers_lost": sum(transfer.outcome == "lost" for transfer in history.transfers),
        "transfers_stalled": sum(bool(transfer.stalls) for transfer in history.transfers),
        "stalled_s": sum(end - start for start, end, _ in stalls),
        "jobs_lost": sum(job.outcome == "lost" for job in history.jobs),
        "jobs_lost_by_cause": _counted(job.reason for job in history.jobs if job.outcome == "lost"),
    }


def _model(history: History) -> dict[str, str] | None:
    """Return how transfers were modelled, and why so; None where nothing was sent."""
    name, _, reason = history.transfer_model.partition(": ")
    return {"name": name, "reason": reason} if name else None


def _counted(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(name or "unknown cause" for name in names).items()))


def _messages(history: History) -> dict[str, Any]:
    count = Counter(message.fate for message in history.messages.values())
    return {
        "pushed": sum(count.values()),
        **{fate: count[fate] for fate in ("replied", "failed", "late", "lost", "open")},
        "failed_by_cause": _counted(_cause(m.reason) for m in history.messages.values() if m.fate == "failed"),
    }


def _cause(reason: str) -> str:
    """Return the kind of a failure: of ``<class 'ValueError'>:<'no beats'>`` the name ``ValueError``, else the whole text."""
    found = re.match(r"<class '(?:[\w.]*\.)?(\w+)'>", reason)
    return found.group(1) if found else reason
