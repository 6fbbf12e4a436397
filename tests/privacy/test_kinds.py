# SPDX-License-Identifier: Apache-2.0
"""Which mechanisms go together, and what is said of those that do not."""

import pytest

from fedgen.config import check_together, parse_config
from fedgen.errors import ConfigError
from fedgen.privacy.kinds import PRESETS, parse_kind


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_what_they_stand_for(preset: str) -> None:
    kind = parse_kind(preset)
    assert kind.mechanisms == set(PRESETS[preset])
    assert kind.is_private == (preset != "none")
    if PRESETS[preset]:
        assert parse_kind(" + ".join(PRESETS[preset])) == kind


def test_carriers_and_noise() -> None:
    assert parse_kind("secure").carrier == "he"
    assert parse_kind("dp-client+secagg").carrier == "secagg"
    assert parse_kind("dp-client+ledger").carrier == "plain"
    assert parse_kind("dp").has_noise
    assert not parse_kind("he+ledger").has_noise


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("he+secagg", "he with secagg: both hide single updates"),
        ("he+quantised", "he with quantised: he sends whole numbers of privacy.bits itself"),
        ("dp-client+quantised", "leave one of them out"),
        ("dp-exampel", "'dp-exampel' is no mechanism, did you mean 'dp-example'"),
        ("dp+he", "'dp' stands for several mechanisms and alone"),
        ("he+he", "names a mechanism twice"),
        ("", "'' is no mechanism"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_kind(text)
    with pytest.raises(ConfigError, match=r"run configuration: privacy\.kind: "):
        parse_config({"privacy.kind": text})


def test_a_sum_of_one_is_refused() -> None:
    faults = check_together({"privacy.kind": "secagg", "min-replies": 1})
    assert any(key == "min-replies" and "the sum of one update is that update" in text for key, text in faults)


def test_sampling_that_nobody_accounts_for_is_refused() -> None:
    assert [key for key, _ in check_together({"privacy.client.sampling": "poisson"})] == ["privacy.client.sampling"]


def test_noise_in_shares_needs_exact_sums_of_16_bits() -> None:
    keys = [key for key, _ in check_together({"privacy.kind": "dp-client+he", "min-replies": 2, "privacy.bits": 8})]
    assert keys == ["privacy.bits"]
    changes = {"privacy.kind": "dp-client+he", "min-replies": 2, "privacy.bits": 16, "privacy.he.scheme": "ckks"}
    assert [key for key, _ in check_together(changes)] == ["privacy.he.scheme"]
    changes = {
        "privacy.kind": "dp-client+he",
        "min-replies": 2,
        "privacy.bits": 16,
        "privacy.client.sampling": "poisson",
    }
    assert [key for key, _ in check_together(changes)] == ["privacy.client.sampling"]
