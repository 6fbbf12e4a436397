"""From a link profile to states over time, by the profile's link model; and the contract that a model is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import numpy as np

from emulator.models.links.profile import LinkModel, LinkProfile
from emulator.plan import Direction, LinkState
from emulator.registry import find_plugin
from emulator.rng import Streams
from emulator.topology.params import ParameterError, bind

Model = Callable[..., list[LinkState]]

GIVEN: Final = ("direction", "horizon_s", "rng")
"""What the planner hands to a link model; a scenario sets the other parameters."""
CONSTANT: Final = LinkModel("constant", {}, "")


def draw_states(
    name: str, profile: LinkProfile, models: Mapping[str, Model], *, horizon_s: float, streams: Streams
) -> tuple[tuple[LinkState, ...], tuple[LinkState, ...]]:
    """Return the states of the link called ``name``, up and down.

    Both directions get the same stream, named after the link, so that what happens to a link (it drives into a valley)
    happens to both; ``own_stream`` is for what does not.

    Raises:
        ParameterError: No such model, or its parameters are wrong; keys are below the model's block.
        ValueError: The model broke its contract.
    """
    chosen = profile.model or CONSTANT
    try:
        model = find_plugin(chosen.kind, models, group="emulator.links")
    except ValueError as error:
        raise ParameterError([("kind", str(error))]) from None
    params = bind(model, chosen.params, given=GIVEN)
    up, down = (
        tuple(model(profile, direction=direction, horizon_s=horizon_s, rng=streams(name), **params))
        for direction in ("up", "down")
    )
    for states in (up, down):
        check_states(chosen.kind, states)
    return up, down


def own_stream(rng: np.random.Generator, direction: Direction) -> np.random.Generator:
    """Return a stream of one direction alone: the link's own for ``up``, one far ahead in it for ``down``."""
    if direction == "up":
        return rng
    bits = rng.bit_generator
    assert isinstance(bits, np.random.PCG64)  # what ``emulator.rng`` hands out
    return np.random.Generator(bits.jumped())


def check_states(kind: str, states: tuple[LinkState, ...]) -> None:
    """Hold a link model to its contract; a plug-in from outside is not trusted to keep it.

    Raises:
        ValueError: No state at 0 s, states out of order, a rate or a time below 0, or a loss that is no probability.
    """
    times = [state.from_s for state in states]
    if not times or times[0] != 0.0 or any(one >= other for one, other in pairwise(times)):
        raise ValueError(f"link model {kind!r} must give states from 0 s on, in order of time; got {times[:5]}")
    for state in states:
        if state.rate_bps < 0 or state.delay_s < 0 or state.jitter_s < 0 or not 0 <= state.loss <= 1:
            raise ValueError(f"link model {kind!r} gave a state out of range: {state}")
