"""Who took part in which round, and what kept the others from it."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from emulator.metrics.history import OPEN, History, Message
from emulator.metrics.spans import covers, overlap_s
from emulator.plan import Plan

FATES: Final = {
    "replied": "its reply was used",
    "late": "its reply came after the ServerApp stopped waiting",
    "failed": "an error came back instead of a reply",
    "lost": "no reply came: its message, its work or a transfer was lost",
    "down": "no reply came, and the device was off for part of the time",
    "open": "the log ends before it was decided",
    "away": "not addressed, and off when the round opened",
    "idle": "not addressed in this round",
}
"""What each fate of a client in a round means."""

_WORST_FIRST: Final = ("failed", "down", "lost", "late", OPEN, "replied")


def main_messages(messages: list[Message]) -> list[Message]:
    """Return the messages that decide a round: those of type ``train`` (or ``train.*``), else all of them."""
    training = [message for message in messages if message.type.split(".")[0] == "train"]
    return training or messages


def round_fates(number: int, history: History, plan: Plan, messages: list[Message]) -> dict[str, tuple[str, str]]:
    """Return each client's fate and reason in round ``number``: the worst over its deciding messages."""
    ended_s = history.rounds[number].ended_s if number in history.rounds else history.end_s
    by_node: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for message in main_messages(messages):
        by_node[message.node].append((_fate(message, history, ended_s), message.reason))
    fates = {node: min(found, key=lambda pair: _WORST_FIRST.index(pair[0])) for node, found in by_node.items()}
    opened_s = history.rounds[number].opened_s if number in history.rounds else 0.0
    return {
        client.name: fates.get(client.name) or (_absence(client.name, opened_s, history), "") for client in plan.clients
    }


def _absence(node: str, opened_s: float, history: History) -> str:
    return "away" if covers(history.down_spans(node), opened_s) else "idle"


def _fate(message: Message, history: History, ended_s: float) -> str:
    if message.fate != "lost":
        return message.fate
    if overlap_s(history.down_spans(message.node), (message.pushed_s, max(ended_s, message.pushed_s))) > 0:
        return "down"
    return "lost"
