"""Hostile clients of a run: what each has received and sent, and what it makes of its next reply."""

from __future__ import annotations

from emulator.backends.des.state import Delivery
from emulator.flower.tamper import INSIDE_APP, is_active, node_config, tampered
from emulator.flower.worker import Outcome
from emulator.plan import Plan
from emulator.rng import derive_seed


class Hostilities:
    """The hostile clients of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._seed = plan.seed
        self._hostile = {item.node: item for item in plan.hostile}
        self._received: dict[str, list[bytes]] = {}
        self._first_reply: dict[str, bytes] = {}

    def told(self, name: str) -> dict[str, str | int | float]:
        """Return what is added to a client's node config: the attack, where the ClientApp has to carry it out."""
        hostility = self._hostile.get(name)
        return {} if hostility is None or hostility.attack not in INSIDE_APP else node_config(hostility)

    def sent(self, name: str, delivery: Delivery, outcome: Outcome) -> Outcome:
        """Return what a client sends: the outcome of its call, or what it makes of that."""
        hostility = self._hostile.get(name)
        is_training = delivery.metadata.message_type.split(".")[0] == "train"
        if hostility is None or outcome.error or not is_training:
            return outcome
        messages = self._received.setdefault(name, [])
        messages.append(delivery.message)
        del messages[: -1 - int(hostility.strength)]
        if not is_active(hostility, delivery.round):
            return outcome
        return tampered(
            outcome,
            hostility,
            messages=messages,
            first_reply=self._first_reply.setdefault(name, outcome.reply),
            turn=delivery.round,
            seed=derive_seed(self._seed, "hostile", delivery.key),
        )
