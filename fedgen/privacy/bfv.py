# SPDX-License-Identifier: Apache-2.0
"""Sums of whole numbers under encryption: BFV with one prime, packed, seeded, through the SEAL inside TenSEAL.

A polynomial's coefficients hold packed fields; adding ciphertexts adds coefficients, and guard bits keep fields apart, so
sums are exact. Only additions are needed: no relinearisation or Galois keys exist. A fresh ciphertext is symmetric and
travels as its first polynomial and the seed of the second; words are cut to the bits of the prime, so that every
ciphertext of a parameter set has the same length, which SEAL's own compression does not give.

Noise: SEAL draws errors from a centred binomial of at most 21 in size and rounds the scaled message by at most 1/2, so
the sum of n ciphertexts decrypts rightly for certain if 2 t (22 n + 1) < q. Parameters are the cheapest that satisfy it.

Source: Fan, Vercauteren, "Somewhat practical fully homomorphic encryption", 2012; security levels of
homomorphicencryption.org's standard, as SEAL checks them.
"""

import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import tenseal.sealapi as seal

from fedgen.privacy.packing import Words, bytes_to_words, field_bits, words_to_bytes

RINGS: tuple[tuple[int, int], ...] = ((2048, 54), (4096, 60))
"""Degree and bits of the prime; the most that 128-bit security (and SEAL's primes) allow."""
LARGEST_ERROR = 22
SEED_BYTES = 64
KEY_SEED_BYTES = 64
_HEADER = struct.Struct("<HBBBBHQ")
_MAGIC, _HEADER_BYTES, _VERSION = 0xA15E, 16, (4, 3)
_BLAKE2XB = 1


@dataclass(frozen=True)
class BfvParameters:
    """One parameter set, and how fields lie in it.

    Attributes:
        degree: Coefficients of a polynomial.
        prime_bits: Bits of the ciphertext prime q.
        field_bits: Bits of one field.
        per_word: Fields in a coefficient; the plain modulus t is 2^(field_bits x per_word).
    """

    degree: int
    prime_bits: int
    field_bits: int
    per_word: int

    @property
    def plain_bits(self) -> int:
        """Bits of a coefficient of the message."""
        return self.field_bits * self.per_word

    @property
    def numbers(self) -> int:
        """Numbers in one ciphertext."""
        return self.degree * self.per_word

    def ciphertexts(self, length: int) -> int:
        """Return the ciphertexts that so many numbers take."""
        return -(-length // self.numbers)

    @property
    def fresh_bytes(self) -> int:
        """Bytes of one fresh ciphertext on the wire."""
        return -(-self.degree * self.prime_bits // 8) + SEED_BYTES

    @property
    def work(self) -> float:
        """N log N of one ciphertext as a share of one with degree 8192 and five primes, of which one is for keys only."""
        return self.degree * math.log2(self.degree) / (8192 * 13 * 4)

    @property
    def sum_bytes(self) -> int:
        """Bytes of one sum of ciphertexts on the wire."""
        return -(-2 * self.degree * self.prime_bits // 8)


def choose_parameters(length: int, *, largest: int, addends: int) -> BfvParameters:
    """Return the parameter set with the fewest bytes for a vector.

    Args:
        length: Numbers in a contribution.
        largest: Bound of their size.
        addends: Most contributions in a sum.

    Raises:
        ValueError: No set can hold such sums.
    """
    bits = field_bits(largest, addends)
    found = []
    for degree, prime_bits in RINGS:
        room_bits = (2 ** (prime_bits - 1) // (2 * (LARGEST_ERROR * addends + 1))).bit_length() - 1
        if room_bits >= bits:
            found.append(BfvParameters(degree, prime_bits, bits, room_bits // bits))
    if not found:
        raise ValueError(f"sums of {addends} numbers of up to {largest} fit into no parameter set")
    return min(found, key=lambda each: each.ciphertexts(length) * each.fresh_bytes)


class BfvScheme:
    """Encrypts, adds and decrypts in one parameter set. Holds no key.

    Raises:
        ValueError: SEAL's own check finds less than 128 bits of security.
    """

    def __init__(self, parameters: BfvParameters) -> None:
        """Set the parameters up and have SEAL check them."""
        self.parameters = parameters
        self.context = _context(parameters)
        if not self.context.parameters_set():
            raise ValueError(f"SEAL refuses {parameters}: {self.context.parameters_error_message()}")

    @cached_property
    def _body_start(self) -> bytes:
        """What stands before the coefficients of any ciphertext of two polynomials."""
        first = struct.pack("<4Q", *self.context.first_parms_id())
        return first + struct.pack("<BQQQdQ", 0, 2, self.parameters.degree, 1, 1.0, 1)

    def encrypt(self, words: Words, key: bytes) -> bytes:
        """Return the ciphertexts of packed words, one after the other, each `fresh_bytes` long.

        Args:
            words: Messages' coefficients, each below t; filled up with zeros to whole ciphertexts.
            key: The key's seed.
        """
        encryptor = seal.Encryptor(self.context, _secret_key(self.context, self.parameters, key))
        return b"".join(self._fresh(encryptor.encrypt_symmetric(plain)) for plain in self._plaintexts(words))

    def add(self, contributions: list[bytes]) -> bytes:
        """Return the sum of contributions, each `sum_bytes` long per ciphertext. Needs no key.

        Raises:
            ValueError: A contribution has another length than the first.
        """
        evaluator = seal.Evaluator(self.context)
        size = self.parameters.fresh_bytes
        count = len(contributions[0]) // size
        if any(len(data) != count * size for data in contributions):
            raise ValueError("contributions differ in length")
        result = []
        for start in range(0, count * size, size):
            total = self._load(contributions[0][start : start + size])
            for data in contributions[1:]:
                evaluator.add_inplace(total, self._load(data[start : start + size]))
            result.append(words_to_bytes(self._coefficients(total), self.parameters.prime_bits))
        return b"".join(result)

    def decrypt(self, data: bytes, key: bytes) -> Words:
        """Return the coefficients of a sum's message.

        Raises:
            ValueError: The data is no sum of this parameter set.
        """
        size = self.parameters.sum_bytes
        if not data or len(data) % size:
            raise ValueError(f"a sum has a multiple of {size} bytes, got {len(data)}")
        decryptor = seal.Decryptor(self.context, _secret_key(self.context, self.parameters, key))
        words = []
        for start in range(0, len(data), size):
            coefficients = bytes_to_words(
                data[start : start + size], self.parameters.prime_bits, 2 * self.parameters.degree
            )
            cipher, plain = seal.Ciphertext(), seal.Plaintext()
            with _file(_wrapped(self._body_start + _array(coefficients))) as path:
                cipher.load(self.context, path)
            decryptor.decrypt(cipher, plain)
            words.append(_plain_words(plain, self.parameters.degree))
        return np.concatenate(words)

    def _plaintexts(self, words: Words) -> Iterator[Any]:
        degree = self.parameters.degree
        for start in range(0, len(words), degree):
            coefficients = np.zeros(degree, dtype=np.uint64)
            part = words[start : start + degree]
            coefficients[: len(part)] = part
            plain = seal.Plaintext()
            body = bytes(32) + struct.pack("<Qd", degree, 1.0) + _array(coefficients)
            with _file(_wrapped(body)) as path:
                plain.load(self.context, path)
            yield plain

    def _fresh(self, encrypted: Any) -> bytes:
        """Cut SEAL's seeded ciphertext down to its first polynomial and the seed."""
        body = _saved(encrypted)
        start = len(self._body_start) + _HEADER_BYTES + 8
        count = self.parameters.degree
        words = np.frombuffer(body, "<u8", count, start)
        seed = body[-SEED_BYTES:]
        return words_to_bytes(words, self.parameters.prime_bits) + seed

    def _load(self, fresh: bytes) -> Any:
        words = bytes_to_words(fresh[:-SEED_BYTES], self.parameters.prime_bits, self.parameters.degree)
        generator = _wrapped(bytes([_BLAKE2XB]) + fresh[-SEED_BYTES:])
        cipher = seal.Ciphertext()
        with _file(_wrapped(self._body_start + _array(words) + generator)) as path:
            cipher.load(self.context, path)
        return cipher

    def _coefficients(self, cipher: Any) -> Words:
        body = _saved(cipher)
        count = 2 * self.parameters.degree
        return np.frombuffer(body, "<u8", count, len(body) - 8 * count)


def new_key() -> bytes:
    """Return the seed of a new secret key, from the operating system."""
    return os.urandom(KEY_SEED_BYTES)


def _context(parameters: BfvParameters, generator: Any = None) -> Any:
    """Return SEAL's context, which checks for 128 bits of security."""
    chosen = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
    chosen.set_poly_modulus_degree(parameters.degree)
    chosen.set_coeff_modulus(seal.CoeffModulus.Create(parameters.degree, [parameters.prime_bits]))
    chosen.set_plain_modulus(1 << parameters.plain_bits)
    if generator is not None:
        chosen.set_random_generator(generator)
    return seal.SEALContext(chosen, True, seal.SEC_LEVEL_TYPE.TC128)


def _secret_key(context: Any, parameters: BfvParameters, seed: bytes) -> Any:
    """Return the ternary secret key that follows from a seed (SEAL's BLAKE2xb); encryption draws from elsewhere."""
    generator = seal.Blake2xbPRNGFactory(list(struct.unpack("<8Q", seed)))
    drawn = seal.KeyGenerator(_context(parameters, generator)).secret_key()
    key = seal.SecretKey()
    with _file(b"") as path:
        drawn.save(path)
        key.load(context, path)
    return key


def _array(words: Words) -> bytes:
    """Return words as SEAL stores an array inside another object."""
    return _wrapped(struct.pack("<Q", len(words)) + words.astype("<u8").tobytes())


def _wrapped(body: bytes) -> bytes:
    """Return a body behind SEAL's header, uncompressed."""
    return _HEADER.pack(_MAGIC, _HEADER_BYTES, *_VERSION, 0, 0, _HEADER_BYTES + len(body)) + body


def _saved(item: Any) -> bytes:
    """Return the body of what SEAL saves, which it compresses."""
    with _file(b"") as path:
        item.save(path)
        with open(path, "rb") as file:
            data = file.read()
    return bytes(pa.input_stream(pa.py_buffer(data[_HEADER_BYTES:]), compression="zstd").read())


def _plain_words(plain: Any, degree: int) -> Words:
    """Return all coefficients of a message; SEAL leaves out leading zeros."""
    words = np.zeros(degree, dtype=np.uint64)
    count = plain.coeff_count()
    words[:count] = [plain.data(index) for index in range(count)]
    return words


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """Give a path to a file in memory: SEAL's bindings read and write files only, and keys must not reach a disk."""
    descriptor = os.memfd_create("seal")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
