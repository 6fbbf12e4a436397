"""Losses that come in bursts: the two-state process of Gilbert and Elliott, in time instead of packets."""

from __future__ import annotations

import numpy as np

from emulator.models.links.profile import LinkProfile
from emulator.models.links.steps import MAX_STATES, above_zero, alternate, episodes, probability
from emulator.models.links.timeline import own_stream
from emulator.plan import Direction, LinkState
from emulator.topology.params import ParameterError


def gilbert_elliott(
    profile: LinkProfile,
    *,
    direction: Direction,
    horizon_s: float,
    rng: np.random.Generator,
    good: str = "60 s",
    bad: str = "2 s",
    bad_loss: str | float = "30 %",
    good_loss: str | float | None = None,
    max_states: int = MAX_STATES,
) -> list[LinkState]:
    """Return the profile with a loss that changes between two values; each direction has a chain of its own.

    The chain stays ``Exp(good)`` in the good and ``Exp(bad)`` in the bad state, good first. In the long run the loss is
    ``(good * good_loss + bad * bad_loss) / (good + bad)``, a burst lasts ``bad`` in the mean. (Gilbert, Bell Syst.
    Tech. J. 39, 1960; Elliott, ibid. 42, 1963: there the chain takes a step with every packet, so that an idle link
    stays in its state; here time moves it, as fading does.)

    Args:
        profile: Rate, delay and jitter, and the loss in the good state.
        direction: Which way.
        horizon_s: States begin before this time.
        rng: The link's stream.
        good: Mean time in the good state.
        bad: Mean time in the bad state.
        bad_loss: Share of packets lost in the bad state.
        good_loss: Share lost in the good state, in place of the profile's.
        max_states: Most states of a direction.

    Raises:
        ParameterError: Values out of range, a bad state no worse than the good one, or more states than allowed.

    Leaves out what happens within a round trip: a backend takes each state's loss as independent from packet to packet.
    """
    good_s, bad_s, worse = above_zero("good", good), above_zero("bad", bad), probability("bad_loss", bad_loss)
    better = profile.loss if good_loss is None else probability("good_loss", good_loss)
    if worse <= better:
        raise ParameterError([("bad_loss", f"got {bad_loss!r}; want more than the good state's loss of {better:g}")])
    rate_bps = profile.up_bps if direction == "up" else profile.down_bps
    states = [LinkState(0.0, rate_bps, profile.delay_s, profile.jitter_s, loss) for loss in (better, worse)]
    turns = episodes(own_stream(rng, direction), good_s, bad_s, horizon_s)
    return alternate(states[0], states[1], turns, horizon_s=horizon_s, max_states=max_states)
