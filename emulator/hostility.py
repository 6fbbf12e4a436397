"""A client that works against the training, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hostility:
    """A client that works against the training from one round to another.

    Attributes:
        node: The client.
        attack: What it does; see ``emulator.flower.tamper``.
        strength: How strongly, in the attack's own measure.
        from_round: First round, from 1.
        to_round: Last round; None for the end of the run.
    """

    node: str
    attack: str
    strength: float
    from_round: int = 1
    to_round: int | None = None
