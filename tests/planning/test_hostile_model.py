"""Hostile clients as data: who, how, when."""

from __future__ import annotations

from typing import Any

import pytest
from planning_builder import star_view

from emulator.hostility import Hostility
from emulator.models.failures import FAILURES
from emulator.models.failures.hostile import STRENGTHS
from emulator.rng import Streams
from emulator.topology.params import ParameterError

HOSTILE = FAILURES["hostile"]


def draw(seed: int = 1, **params: Any) -> list[Any]:
    return list(HOSTILE(star_view(10), Streams(seed), **params))


def test_clients_by_pattern_with_the_attacks_own_strength() -> None:
    assert draw(nodes=["site-0[12]/gateway", "server"], attack="scaling", from_round=2, to_round=5) == [
        Hostility("site-01/gateway", "scaling", STRENGTHS["scaling"], 2, 5),
        Hostility("site-02/gateway", "scaling", STRENGTHS["scaling"], 2, 5),
    ]


def test_a_share_is_drawn_by_the_seed() -> None:
    first = draw(share=0.3, attack="nan", strength=2.0)
    assert len(first) == 3
    assert first == draw(share=0.3, attack="nan", strength=2.0)
    assert any(first != draw(seed, share=0.3, attack="nan", strength=2.0) for seed in range(2, 6))
    assert len(draw(share=0.01, attack="nan")) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "needs either nodes"),
        ({"nodes": "*", "share": 0.5}, "needs either nodes"),
        ({"nodes": "server"}, "is no client"),
        ({"nodes": "nowhere"}, "no node matches 'nowhere'"),
        ({"share": 1.5}, "above 0 and at most 1"),
        ({"share": 0.5, "strength": 0.0}, "a number above 0"),
        ({"share": 0.5, "from_round": 0}, "rounds count from 1"),
        ({"share": 0.5, "from_round": 3, "to_round": 2}, "the last is not before the first"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        draw(attack="sign_flip", **params)
