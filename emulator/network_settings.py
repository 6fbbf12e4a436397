"""How a run's transfers are modelled: the part of the plan that a scenario's ``network`` block gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ControlName = Literal["cubic", "reno", "bbr"]
"""TCP congestion controls."""
ModelName = Literal["auto", "packet", "fluid"]
"""How transfers are modelled: packet by packet, as rates, or whichever a run can afford."""


@dataclass(frozen=True)
class NetworkSettings:
    """How transfers are modelled.

    Attributes:
        model: ``auto`` takes packets where a run can afford them.
        congestion_control: Of transfers over links that name none.
        queue_bytes: Buffer of links that give none.
        packet_budget: Events that ``auto`` may spend on the packet level.
    """

    model: ModelName = "auto"
    congestion_control: ControlName = "cubic"
    queue_bytes: float = 150_000.0
    packet_budget: int = 1_000_000

    def special_controls(self, of_links: Iterable[ControlName | None]) -> str:
        """Return the congestion controls that only packets show, of the run and its links, in words; empty for none."""
        named = {self.congestion_control, *(name for name in of_links if name is not None)}
        return " and ".join(sorted(named - {"cubic"}))

    def unshown(self, of_links: Iterable[ControlName | None]) -> str:
        """Return what is wrong with the model asked for, as a message; empty where it shows all that is asked for."""
        special = self.special_controls(of_links)
        if self.model != "fluid" or not special:
            return ""
        return (
            f"got 'fluid', but {special} is asked for, which only packets show; "
            "want 'packet' or 'auto', or no congestion_control but cubic"
        )
