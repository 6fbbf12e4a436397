"""What hostile clients do to their replies: pure functions of the real reply, the model it answers, and a seed.

Numbers are changed relative to the model received: with the reply w, the model g and strength s

    sign_flip   g - s (w - g)
    scaling     g + s (w - g)
    noise       w + normal noise of standard deviation s times the root mean square of w - g
    nan         every number is NaN
    replay      the first reply this client gave while hostile, again and again
    stale       the model received s rounds ago, untrained (the oldest known where there are fewer)
    malformed   an array of half the length, one of another type, one that is no array at all; by turns
    oversized   another array, s times as long as all others together

Every attack acts on the arrays of a reply that have a counterpart of the same name and shape in the message; ``malformed``,
``oversized`` and ``replay`` act on any. A number under encryption or a mask cannot be moved in a chosen direction from outside:
such a reply is left to attacks inside the ClientApp, and a scenario that asks for it fails with a message.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict

from emulator.errors import RunFailed
from emulator.flower import adapter
from emulator.flower.worker import Outcome
from emulator.hostility import Hostility

INSIDE_APP: Final = frozenset({"label_flip", "backdoor"})
"""Attacks that the ClientApp itself carries out, told by its node config."""

Numbers = np.ndarray[Any, np.dtype[Any]]


def is_active(hostility: Hostility, round_number: int) -> bool:
    """Return whether a client is hostile in a round."""
    return hostility.from_round <= round_number <= (math.inf if hostility.to_round is None else hostility.to_round)


def node_config(hostility: Hostility) -> dict[str, str | float | int]:
    """Return what is told to a ClientApp that has to carry out the attack itself."""
    told: dict[str, str | float | int] = {"hostile": hostility.attack, "hostile-strength": hostility.strength}
    told["hostile-from-round"] = hostility.from_round
    if hostility.to_round is not None:
        told["hostile-to-round"] = hostility.to_round
    return told


def tampered(
    outcome: Outcome, hostility: Hostility, *, messages: Sequence[bytes], first_reply: bytes, turn: int, seed: int
) -> Outcome:
    """Return the outcome with the reply that a hostile client sends instead.

    Args:
        outcome: What the ClientApp gave.
        hostility: The attack.
        messages: Training messages to this client so far, serialised; the last is the one answered.
        first_reply: The first true reply while hostile, serialised.
        turn: Counts up; ``malformed`` goes by it.
        seed: Of all randomness.

    Raises:
        RunFailed: The reply holds no numbers that the attack can move.
    """
    reply = adapter.message_from_bytes(outcome.reply)
    if not reply.has_content() or hostility.attack in INSIDE_APP:
        return outcome
    rng = np.random.default_rng(seed)
    if hostility.attack == "replay":
        content = adapter.message_from_bytes(first_reply).content
    else:
        content = reply.content
        received = [_arrays(adapter.message_from_bytes(data)) for data in messages[-1 - int(hostility.strength) :]]
        for name, record in content.array_records.items():
            content[name] = _record(record, received, hostility, rng, turn=turn)
    sent = adapter.build_message(reply.metadata, content=content)
    return replace(outcome, reply=adapter.message_to_bytes(sent), sizes=adapter.object_sizes(sent))


def _arrays(message: Message) -> dict[str, Numbers]:
    """Return the arrays of a training message by name."""
    content: RecordDict = message.content
    return {name: array.numpy() for record in content.array_records.values() for name, array in record.items()}


def _record(
    record: ArrayRecord,
    received: list[dict[str, Numbers]],
    hostility: Hostility,
    rng: np.random.Generator,
    *,
    turn: int,
) -> ArrayRecord:
    if hostility.attack == "malformed":
        return _malformed(record, turn)
    if hostility.attack == "oversized":
        length = int(hostility.strength * sum(math.prod(array.shape) for array in record.values()))
        return ArrayRecord({**record, "padding": Array(rng.random(length, dtype=np.float32))})
    model, stale = received[-1], received[0]
    changed = {}
    for name, array in record.items():
        own = array.numpy()
        if name not in model or model[name].shape != own.shape or not np.issubdtype(own.dtype, np.floating):
            raise RunFailed(
                f"the hostile client {hostility.node} cannot do {hostility.attack!r}: its reply holds {name!r} "
                f"({own.dtype}, {own.shape}), no numbers of the model it received; under encryption or masks take label_flip or "
                "backdoor, which the app carries out itself, or replay, malformed, oversized"
            )
        changed[name] = Array(
            _MOVES[hostility.attack](own, model[name], stale[name], hostility.strength, rng).astype(own.dtype)
        )
    return ArrayRecord(changed)


Move = Callable[[Numbers, Numbers, Numbers, float, np.random.Generator], Numbers]


def _noise(own: Numbers, model: Numbers, stale: Numbers, strength: float, rng: np.random.Generator) -> Numbers:
    scale = strength * float(np.sqrt(np.mean((own - model) ** 2)))
    return np.asarray(own + rng.normal(0.0, scale, own.shape))


_MOVES: Final[dict[str, Move]] = {
    "sign_flip": lambda own, model, stale, strength, rng: np.asarray(model - strength * (own - model)),
    "scaling": lambda own, model, stale, strength, rng: np.asarray(model + strength * (own - model)),
    "noise": _noise,
    "nan": lambda own, model, stale, strength, rng: np.full_like(own, np.nan),
    "stale": lambda own, model, stale, strength, rng: stale,
}


def _malformed(record: ArrayRecord, turn: int) -> ArrayRecord:
    """Return the record with its first array spoilt in one of three ways, by turns."""
    name, first = next(iter(record.items()))
    whole = first.numpy()
    spoilt = (
        Array(whole.ravel()[: whole.size // 2]),
        Array(whole.astype(np.complex128)),
        Array(dtype=first.dtype, shape=tuple(first.shape), stype=first.stype, data=b"no array at all"),
    )[turn % 3]
    return ArrayRecord({**record, name: spoilt})
