# SPDX-License-Identifier: Apache-2.0
"""Encrypted sums: exact, small, 128 bits, one length; and nothing without the key."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgen import task
from fedgen.config import AppConfig
from fedgen.privacy import key_wrap
from fedgen.privacy.bfv import BfvParameters, BfvScheme, choose_parameters, new_key
from fedgen.privacy.packing import bytes_to_words, field_bits, pack_fields, unpack_fields, words_to_bytes
from fedgen.privacy.vectors import TAIL

MODEL_NUMBERS = sum(p.numel() for p in task.new_model(AppConfig()).parameters())
LENGTH = MODEL_NUMBERS + TAIL


def encrypted_sum(vectors: list[np.ndarray], *, largest: int, addends: int, key: bytes) -> np.ndarray:
    """Return the sum of vectors that went through pack, encrypt, add, decrypt, unpack."""
    count = len(vectors[0])
    parameters = choose_parameters(count, largest=largest, addends=addends)
    scheme = BfvScheme(parameters)
    form = {"largest": largest, "bits": parameters.field_bits, "per_word": parameters.per_word}
    added = scheme.add([scheme.encrypt(pack_fields(vector, **form), key) for vector in vectors])
    return unpack_fields(scheme.decrypt(added, key), count=count, addends=len(vectors), **form)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 9000), st.integers(4, 16), st.integers(1, 12), st.integers(0, 99))
def test_sums_are_exact(length: int, bits: int, clients: int, seed: int) -> None:
    random, largest = np.random.default_rng(seed), 2 ** (bits - 1) - 1
    vectors = [random.integers(-largest, largest + 1, length) for _ in range(clients)]
    for vector in vectors:
        vector[: length // 2] = largest * random.choice([-1, 1])  # the ends of the range, together
    got = encrypted_sum(vectors, largest=largest, addends=clients, key=new_key())
    np.testing.assert_array_equal(got, np.sum(vectors, axis=0))


def test_the_largest_sum_of_a_hundred_is_exact() -> None:
    for bits in (8, 16):
        largest = 2 ** (bits - 1) - 1
        got = encrypted_sum([np.full(5000, largest)] * 100, largest=largest, addends=100, key=new_key())
        assert np.all(got == 100 * largest)


@pytest.mark.parametrize(("bits", "limit"), [(8, 0.75), (16, 1.8)])
@pytest.mark.parametrize("clients", [8, 10, 22, 100, 127])
def test_upload_of_the_model_against_floats(bits: int, limit: float, clients: int) -> None:
    parameters = choose_parameters(LENGTH, largest=2 ** (bits - 1) - 1, addends=clients)
    data = BfvScheme(parameters).encrypt(np.zeros(-(-LENGTH // parameters.per_word), np.uint64), new_key())
    assert len(data) == parameters.ciphertexts(LENGTH) * parameters.fresh_bytes
    assert len(data) <= limit * 4 * MODEL_NUMBERS


def test_every_ciphertext_has_the_same_length() -> None:
    scheme = BfvScheme(choose_parameters(100, largest=127, addends=10))
    random, key = np.random.default_rng(0), new_key()
    sizes = {len(scheme.encrypt(random.integers(0, 1000, 25).astype(np.uint64) * (i > 0), key)) for i in range(5)}
    assert sizes == {scheme.parameters.fresh_bytes}
    one, other = (scheme.encrypt(np.zeros(25, np.uint64), key) for _ in range(2))
    assert one != other, "the same message never looks the same"


def test_seal_refuses_less_than_128_bits() -> None:
    with pytest.raises(ValueError, match="SEAL refuses"):
        BfvScheme(BfvParameters(degree=2048, prime_bits=60, field_bits=12, per_word=3))


def test_another_key_gives_noise() -> None:
    parameters = choose_parameters(500, largest=127, addends=4)
    scheme, key = BfvScheme(parameters), new_key()
    words = np.arange(500, dtype=np.uint64)
    added = scheme.add([scheme.encrypt(words, key)])
    np.testing.assert_array_equal(scheme.decrypt(added, key)[:500], words)
    assert np.mean(scheme.decrypt(added, new_key())[:500] == words) < 0.05


def test_what_fits_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="fit into no parameter set"):
        choose_parameters(10, largest=2**40, addends=1000)
    with pytest.raises(ValueError, match="exceeds 127 in size"):
        pack_fields(np.array([0, 128]), largest=127, bits=9, per_word=2)
    scheme = BfvScheme(choose_parameters(10, largest=127, addends=4))
    with pytest.raises(ValueError, match="contributions differ in length"):
        scheme.add([bytes(scheme.parameters.fresh_bytes), bytes(7)])
    with pytest.raises(ValueError, match="a sum has a multiple of"):
        scheme.decrypt(b"short", new_key())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 64), st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40))
def test_words_survive_as_bytes(bits: int, values: list[int]) -> None:
    words = np.array([value % 2**bits for value in values], dtype=np.uint64)
    data = words_to_bytes(words, bits)
    assert len(data) == -(-bits * len(words) // 8)
    np.testing.assert_array_equal(bytes_to_words(data, bits, len(words)), words)


def test_fields_hold_the_largest_sum_and_no_less() -> None:
    for largest, addends in ((127, 8), (127, 9), (32767, 100), (1, 1)):
        assert 2 ** (field_bits(largest, addends) - 1) <= 2 * largest * addends < 2 ** field_bits(largest, addends)


def test_a_wrapped_key_is_for_one_receiver_one_purpose_and_unchanged() -> None:
    private, secret = key_wrap.new_private_key(), new_key()
    wrapped = key_wrap.wrap(secret, key_wrap.public_key(private), b"epoch 1")
    assert len(wrapped) == len(secret) + 48
    assert key_wrap.unwrap(wrapped, private, b"epoch 1") == secret
    changed = [bytes([*wrapped[:i], wrapped[i] ^ 1, *wrapped[i + 1 :]]) for i in range(0, len(wrapped), 7)]
    for bad in (*changed, wrapped[:40], b""):
        with pytest.raises(ValueError, match="wrapped secret"):
            key_wrap.unwrap(bad, private, b"epoch 1")
    with pytest.raises(ValueError, match="not for this receiver"):
        key_wrap.unwrap(wrapped, key_wrap.new_private_key(), b"epoch 1")
    with pytest.raises(ValueError, match="not for this receiver"):
        key_wrap.unwrap(wrapped, private, b"epoch 2")
