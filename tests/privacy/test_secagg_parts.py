"""The parts of secure aggregation against witnesses of their own: other programs, closed forms, counting."""

from __future__ import annotations

import hmac
import itertools
import math
import random

import numpy as np
import pytest
from Crypto.Cipher import AES
from Crypto.Util.number import isPrime
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from fedgen.errors import ProtocolError
from fedgen.privacy.secagg import graph, shamir, words
from fedgen.privacy.secagg.keys import agree, new_private, public_of, seal, unseal
from fedgen.privacy.secagg.masks import Masker
from fedgen.privacy.secagg.packing import levels_of, numbers_of, pack, packed_bytes, sum_bits, unpack

SECRET = bytes(range(32))


def test_stream_is_that_of_another_aes() -> None:
    expected = AES.new(SECRET, AES.MODE_CTR, nonce=b"", initial_value=0).encrypt(bytes(4 * 1001))
    assert Masker(1001).stream(SECRET).tobytes() == expected


def test_agreement_is_that_of_rfc_7748_and_5869() -> None:
    """The key pairs and the shared secret of RFC 7748, section 6.1; HKDF written out with hmac."""
    alice_public = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    shared = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    assert public_of(bob).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    extracted = hmac.digest(bytes(32), shared, "sha256")
    assert agree(bob, alice_public, b"purpose") == hmac.digest(extracted, b"purpose\x01", "sha256")
    carol = new_private()
    assert (
        agree(carol, public_of(bob), b"x") == agree(bob, public_of(carol), b"x") != agree(bob, public_of(carol), b"y")
    )
    with pytest.raises(ProtocolError, match="cannot be used"):
        agree(bob, bytes(32), b"x")  # a point of small order


def test_a_sealed_message_opens_only_whole_and_in_its_place() -> None:
    sealed = seal(SECRET, b"text", b"here")
    assert unseal(SECRET, sealed, b"here") == b"text"
    for spoilt, place in (
        (sealed, b"there"),
        (sealed[:-1], b"here"),
        (b"", b"here"),
        (sealed[:9] + b"?" + sealed[10:], b"here"),
    ):
        with pytest.raises(ProtocolError, match="does not open"):
            unseal(SECRET, spoilt, place)


def test_prime_is_the_least_above_all_secrets() -> None:
    assert isPrime(shamir.PRIME)
    assert not any(isPrime(2**256 + offset) for offset in range(297))


@given(st.integers(1, 12), st.integers(0, 8), st.binary(min_size=32, max_size=32), st.randoms())
@settings(max_examples=40, deadline=None)
def test_any_threshold_of_shares_gives_the_secret_back(
    threshold: int, more: int, secret: bytes, chance: random.Random
) -> None:
    points = chance.sample(range(1, 1000), threshold + more)
    shares = dict(zip(points, shamir.share(secret, threshold, points), strict=True))
    chosen = chance.sample(points, threshold)
    assert shamir.combine({point: shares[point] for point in chosen}, threshold) == secret
    with pytest.raises(ProtocolError, match="are needed"):
        shamir.combine({point: shares[point] for point in chosen[1:]}, threshold)


def test_fewer_shares_fit_every_secret() -> None:
    """Two shares of three: for any secret whatever there is a third share that gives it."""
    points = [3, 7, 9]
    first, second, _ = shamir.share(SECRET, 3, points)
    weights = shamir.weights_at_zero(points)
    for other in (bytes(32), b"\xff" * 32):
        rest = int.from_bytes(other, "big") - sum(
            weight * int.from_bytes(share, "big") for weight, share in zip(weights, (first, second), strict=False)
        )
        third = rest * pow(weights[2], -1, shamir.PRIME) % shamir.PRIME
        shares = {3: first, 7: second, 9: third.to_bytes(33, "big")}
        assert shamir.combine(shares, 3) == other


def test_secrets_and_points_that_cannot_be_shared() -> None:
    for secret, threshold, points in (
        (b"short", 2, [1, 2]),
        (SECRET, 3, [1, 2]),
        (SECRET, 2, [0, 1]),
        (SECRET, 2, [1, 1]),
    ):
        with pytest.raises(ProtocolError):
            shamir.share(secret, threshold, points)


@pytest.mark.parametrize("clients", range(3, 51))
def test_up_to_fifty_everybody_masks_with_everybody(clients: int) -> None:
    rule = graph.rules(clients)
    dropped, colluding = int(0.3 * clients), max(1, math.ceil(0.1 * clients))
    assert rule.neighbours == clients - 1
    assert clients - dropped >= rule.quorum, "30 % may drop out"
    assert clients - dropped - 1 >= rule.threshold > colluding or clients == 3
    assert 2 * rule.quorum > clients + colluding, "two lists cannot both be agreed upon"


@pytest.mark.parametrize("clients", [51, 64, 100, 333, 1000])
def test_neighbours_and_threshold_meet_the_bound_by_scipys_tails(clients: int) -> None:
    rule = graph.rules(clients)
    dropped, colluding = int(0.3 * clients), math.ceil(0.1 * clients)
    lost = clients * hypergeom.cdf(rule.threshold - 1, clients - 1, clients - 1 - dropped, rule.neighbours)
    laid_open = clients * hypergeom.sf(rule.threshold - 1, clients - 1, colluding, rule.neighbours)
    gone = dropped + colluding
    apart = clients * (clients - 1) / 2 * math.prod((gone - i) / (clients - i) for i in range(rule.neighbours))
    assert lost + laid_open + apart == pytest.approx(rule.failure, rel=1e-6)
    assert rule.failure <= 1e-6
    fewer = graph._best_threshold(clients, rule.neighbours - 2, dropped, colluding)
    assert fewer[1] > 1e-6, "fewer neighbours would not do"


def test_bound_on_falling_apart_holds_by_counting() -> None:
    """All ways in which 5 of 11 clients can be gone, ring with 2 neighbours on either side."""
    rule, gone = graph.Rules(11, 4, 2, 6), 5
    near = {place: set(graph.neighbours_of(place, rule, b"seed")) for place in range(11)}
    apart = sum(not is_connected(near, set(range(11)) - set(out)) for out in itertools.combinations(range(11), gone))
    assert 0 < apart / math.comb(11, gone) <= graph._falls_apart(11, 4, gone)


def is_connected(near: dict[int, set[int]], alive: set[int]) -> bool:
    reached, todo = set(), [min(alive)]
    while todo:
        place = todo.pop()
        if place not in reached:
            reached.add(place)
            todo += near[place] & alive
    return reached == alive


@pytest.mark.parametrize("clients", [3, 50, 51, 200])
def test_neighbours_are_mutual_and_as_many_as_said(clients: int) -> None:
    rule = graph.rules(clients)
    near = [set(graph.neighbours_of(place, rule, b"seed")) for place in range(clients)]
    assert all(len(own) == rule.neighbours and place not in own for place, own in enumerate(near))
    assert all(place in near[other] for place, own in enumerate(near) for other in own)


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(ProtocolError, match="allow less dropout or less collusion"):
        graph.rules(10, 0.5, 0.1)
    with pytest.raises(ProtocolError, match="at least 2"):
        graph.rules(1)


@given(st.integers(1, 2**15 - 1), st.integers(1, 40), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_sums_of_signed_numbers_come_back(largest: int, clients: int, seed: int) -> None:
    each = np.random.default_rng(seed).integers(-largest, largest, (clients, 20), endpoint=True).astype(np.float64)
    each[:, :2] = -largest, largest  # the sum's extremes
    total = np.sum([levels_of(own, largest) for own in each], axis=0, dtype=np.uint32)
    np.testing.assert_array_equal(numbers_of(total, sum_bits(largest, clients)), each.sum(axis=0))


@pytest.mark.parametrize("number", [0.5, 8.0, -8.0, float("nan"), float("inf")])
def test_numbers_that_would_spoil_the_sum_are_refused(number: float) -> None:
    with pytest.raises(ProtocolError, match="at most 7 in size"):
        levels_of(np.array([1.0, number]), 7)


@given(st.integers(1, 32), st.lists(st.integers(0, 2**32 - 1), max_size=50))
@settings(max_examples=60, deadline=None)
def test_packing_keeps_the_low_bits(bits: int, numbers: list[int]) -> None:
    levels = np.array(numbers, dtype=np.uint32)
    data = pack(levels, bits)
    assert len(data) == packed_bytes(len(numbers), bits)
    assert list(unpack(data, len(numbers), bits)) == [number % 2**bits for number in numbers]
    with pytest.raises(ProtocolError, match="levels of"):
        unpack(data + b"\0", len(numbers), bits)


@pytest.mark.parametrize(("clients", "most"), [(10, 0.63), (22, 0.66), (100, 0.73), (512, 0.79)])
def test_sixteen_bits_take_less_than_four_fifths_of_floats(clients: int, most: float) -> None:
    assert packed_bytes(212_128, sum_bits(2**15 - 1, clients)) / (4 * 212_128) <= most < 0.8


def test_more_bits_than_fit_are_refused() -> None:
    with pytest.raises(ProtocolError, match="use fewer bits"):
        sum_bits(2**30, 100)


def test_words_that_do_not_fit_are_refused() -> None:
    cohort = words.Cohort(1, (3, 5), (b"a" * 32, b"b" * 32))
    assert words.cohort_from(cohort.to_bytes(), 1) == cohort
    for data in (cohort.to_bytes()[:-1], cohort.to_bytes() + cohort.to_bytes()[:40]):
        with pytest.raises(ProtocolError):
            words.cohort_from(data, 1)
    with pytest.raises(ProtocolError, match="does not fit 2 clients"):
        words.places_in(b"\x04", 2)
    with pytest.raises(ProtocolError, match="not among"):
        cohort.place(4)
