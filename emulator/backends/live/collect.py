"""From the journals of a live run's processes to the event log: the rows of virtual time, measured instead of modelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from emulator.backends.live.lane import merge_spans
from emulator.events import EventLog
from emulator.plan import DOWN, UP, Link, Plan

Row = Mapping[str, Any]
RANK: Final = {"load": -1}
"""Of rows of one instant, loads come first: they close an interval."""


@dataclass
class _Open:
    """A transfer under way."""

    key: str
    round: int
    sender: str
    receiver: str
    started_s: float
    size_bytes: int
    note: str


class Collector:
    """Writes a run's rows into ``log``; give it all rows at once, for sizes of uploads are known at their end.

    Args:
        plan: The run's plan.
        log: Where events go; ``run_started`` is there already.
        zero_s: The run's time 0 on the monotonic clock.
    """

    def __init__(self, plan: Plan, log: EventLog, zero_s: float) -> None:
        self._plan, self._log, self._zero_s = plan, log, zero_s
        self._server = plan.server.name
        self._now_s = 0.0
        self._sizes: dict[str, int] = {}
        self._uploads: dict[str, int] = {}
        self._transfers: dict[str, _Open] = {}
        self._in_hand: dict[str, tuple[str, int]] = {}
        self._computing: dict[str, tuple[str, int, str, float]] = {}
        self._down: set[str] = set()
        self._round: int | None = None
        self._serving: tuple[str, float] | None = None

    def collect(self, rows: Sequence[Row], end_s: float) -> None:
        """Write all rows up to ``end_s`` (on the monotonic clock), then close what is open."""
        given = [row for row in rows if self._zero_s <= row["at_s"] <= end_s or row["what"] == "action"]
        given += [
            _cut_short(row, end_s) for row in rows if row["what"] == "load" and row["since_s"] < end_s < row["at_s"]
        ]
        self._uploads = {
            row["key"]: row["size_bytes"] for row in given if row["what"].startswith("upload_") and "size_bytes" in row
        }
        changes = link_rows(self._plan, self._zero_s, end_s)
        for row in sorted([*given, *changes], key=lambda row: (row["at_s"], RANK.get(row["what"], 0))):
            if row["at_s"] > end_s or (row.get("node") in self._down and row["what"] not in _FROM_ELSEWHERE):
                continue
            self._now_s = max(self._now_s, row["at_s"] - self._zero_s)
            getattr(self, f"_{row['what']}", self._ignore)(row)
        for node in list(self._in_hand):
            self._lose(node, "run ended")
        if self._serving is not None:
            took_s = self._now_s - self._serving[1]
            self._append("compute_lost", round=self._round, node=self._server, value=took_s, unit="s", note="run ended")
        if self._round is not None:
            self._round_closed({"round": self._round, "value": 0})

    # -- the ServerApp ------------------------------------------------------------------------------------------

    def _round_opened(self, row: Row) -> None:
        self._round = row["round"]
        self._append("round_opened", round=row["round"], value=row["value"])

    def _round_closed(self, row: Row) -> None:
        self._round = None
        self._append("round_closed", round=row["round"], value=row["value"])

    def _pushed(self, row: Row) -> None:
        self._sizes[row["key"]] = row["size_bytes"]
        self._message("message_pushed", row, size_bytes=row["size_bytes"], note=row["note"])

    def _pulled(self, row: Row) -> None:
        self._message("reply_received", row, size_bytes=row["size_bytes"], note=row["note"])

    def _metric(self, row: Row) -> None:
        self._append("metric", round=row["round"], value=row["value"], note=row["note"])

    def _server_began(self, row: Row) -> None:
        self._serving = (row["note"], self._now_s)
        self._append("compute_started", round=row["round"], node=self._server, note=row["note"])

    def _server_ended(self, row: Row) -> None:
        if self._serving is not None:
            note, began_s = self._serving
            self._serving, took_s = None, self._now_s - began_s
            self._append("compute_finished", round=row["round"], node=self._server, value=took_s, unit="s", note=note)

    def _app_says(self, row: Row) -> None:
        if row["kind"] == "notice":
            self._append("notice", note=str(row["value"]))
        elif row["kind"] == "privacy_spent":
            self._append("privacy_spent", round=row["round"], node=self._server, value=row["value"], note=row["key"])
        else:
            words, size_bytes = row["key"].split(" ", 1)[-1], int(row["value"])
            self._append("ledger_appended", round=row["round"], node=self._server, size_bytes=size_bytes, note=words)

    # -- the SuperNodes -----------------------------------------------------------------------------------------

    def _download_started(self, row: Row) -> None:
        self._in_hand[row["node"]] = (row["key"], row["round"])
        self._start(row, self._server, row["node"], self._sizes.get(row["key"], 0), "download")

    def _upload_started(self, row: Row) -> None:
        self._start(row, row["node"], self._server, self._uploads.get(row["key"], 0), "upload")

    def _start(self, row: Row, sender: str, receiver: str, size_bytes: int, note: str) -> None:
        if row["node"] in self._transfers:
            self._lose_transfer(row["node"], "given up")
        self._transfers[row["node"]] = _Open(row["key"], row["round"], sender, receiver, self._now_s, size_bytes, note)
        self._transfer("transfer_started", self._transfers[row["node"]], size_bytes=size_bytes, note=note)

    def _finish(self, row: Row) -> None:
        ended = self._transfers.pop(row["node"], None)
        if ended is not None:
            took_s = self._now_s - ended.started_s
            self._transfer(
                "transfer_finished", ended, size_bytes=ended.size_bytes, value=took_s, unit="s", note=ended.note
            )

    _download_finished = _finish

    def _upload_finished(self, row: Row) -> None:
        self._finish(row)
        self._in_hand.pop(row["node"], None)

    def _upload_lost(self, row: Row) -> None:
        self._lose_transfer(row["node"], row["why"])
        self._in_hand.pop(row["node"], None)
        self._message("message_dropped", row, note=row["why"])

    # -- the ClientApps -----------------------------------------------------------------------------------------

    def _compute_started(self, row: Row) -> None:
        self._computing[row["node"]] = (row["key"], row["round"], row["note"], self._now_s)
        self._message("compute_started", row, note=row["note"])

    def _compute_finished(self, row: Row) -> None:
        begun = self._computing.pop(row["node"], None)
        if begun is None:
            return
        self._message("compute_finished", row, value=self._now_s - begun[3], unit="s", note=row["note"])
        for name, value in sorted(row["metrics"].items()):
            self._message("metric", row, value=value, note=name)

    def _compute_lost(self, row: Row) -> None:
        begun = self._computing.pop(row["node"], None)
        if begun is not None:
            self._message("compute_lost", row, value=self._now_s - begun[3], unit="s", note=row["why"])

    # -- faults and links ---------------------------------------------------------------------------------------

    def _action(self, row: Row) -> None:
        node = row["node"]
        if row["action"] == "down" and node not in self._down:
            self._append("node_down", node=node, note=row["cause"])
            self._down.add(node)
            self._lose(node, row["cause"])
        elif row["action"] == "up" and node in self._down:
            self._down.discard(node)
            self._append("node_up", node=node)

    def _link_changed(self, row: Row) -> None:
        self._append(
            "link_changed", link=row["link"], peer=row["peer"], value=row["value"], unit="bit/s", note=row["note"]
        )

    def _load(self, row: Row) -> None:
        covered_s = row["at_s"] - max(self._zero_s, row["since_s"])
        self._append(
            "link_load", link=row["link"], peer=row["peer"], size_bytes=row["size_bytes"], value=covered_s, unit="s",
            note="traffic",
        )  # fmt: skip

    # -- inside -------------------------------------------------------------------------------------------------

    def _lose(self, node: str, why: str) -> None:
        """What a node has in hand is lost."""
        begun, dropped = self._computing.pop(node, None), self._in_hand.pop(node, None)
        self._lose_transfer(node, why)
        if begun is not None:
            took_s = self._now_s - begun[3]
            self._append("compute_lost", round=begun[1], node=node, msg=begun[0], value=took_s, unit="s", note=why)
        if dropped is not None:
            self._append("message_dropped", round=dropped[1], node=node, msg=dropped[0], note=why)

    def _lose_transfer(self, node: str, why: str) -> None:
        lost = self._transfers.pop(node, None)
        if lost is not None:
            self._transfer("transfer_lost", lost, size_bytes=0, note=why)

    def _transfer(self, kind: str, transfer: _Open, **fields: Any) -> None:
        self._append(
            kind, round=transfer.round, node=transfer.sender, peer=transfer.receiver, msg=transfer.key, **fields
        )

    def _message(self, kind: str, row: Row, **fields: Any) -> None:
        self._append(kind, round=row["round"], node=row["node"], msg=row["key"], **fields)

    def _append(self, kind: str, **fields: Any) -> None:
        self._log.append(self._now_s, kind, **fields)

    def _ignore(self, _row: Row) -> None:
        """Rows for the verdict and for people."""


_FROM_ELSEWHERE: Final = frozenset({"action", "pushed", "pulled", "metric"})
"""Rows about a node that others write; a node without power writes none that count."""


def _cut_short(load: Row, end_s: float) -> Row:
    """Return a load row as it would be at ``end_s``, taking its bytes as spread evenly: the run ends between two reports."""
    share = (end_s - load["since_s"]) / (load["at_s"] - load["since_s"])
    return {**load, "at_s": end_s, "size_bytes": round(share * load["size_bytes"])}


def link_rows(plan: Plan, zero_s: float, end_s: float) -> list[dict[str, Any]]:
    """Return the rows of links that go down and come back as planned (the shaper replays them by the same clock)."""
    rows: list[dict[str, Any]] = []
    for link in plan.links:
        own = [outage for outage in plan.outages if outage.target == link.name]
        for start_s, stop_s in merge_spans((outage.start_s, outage.end_s) for outage in own):
            cause = next(outage.cause for outage in own if outage.start_s == start_s)
            for at_s, note in ((start_s, cause), (stop_s, "up again")):
                if zero_s + at_s <= end_s:
                    rows += [_link_row(link, way, zero_s + at_s, at_s, note) for way in (UP, DOWN)]
    return rows


def _link_row(link: Link, direction: str, at_s: float, planned_s: float, note: str) -> dict[str, Any]:
    states = link.up if direction == UP else link.down
    state = next((s for s in reversed(states) if s.from_s <= planned_s), states[0])
    value = state.rate_bps if note == "up again" else 0.0
    return {"at_s": at_s, "what": "link_changed", "link": link.name, "peer": direction, "value": value, "note": note}
