# SPDX-License-Identifier: Apache-2.0
"""Who somebody is: an Ed25519 key pair (RFC 8032, about 128 bits) whose private half never leaves its owner."""

import os
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from flwr.app import ConfigRecord, Context

IDENTITY_RECORD = "identity"
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


class Identity:
    """A key pair that signs."""

    def __init__(self, private: bytes) -> None:
        """Take a private key of 32 bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, text: bytes) -> bytes:
        """Return a signature of 64 bytes; the same for the same text."""
        return self._key.sign(text)


def new_identity() -> Identity:
    """Return a fresh identity from the operating system's generator."""
    return Identity(os.urandom(32))


def own_identity(context: Context) -> Identity:
    """Return the identity that a node keeps in its `Context.state`; makes it on first use."""
    record = context.state.config_records.get(IDENTITY_RECORD)
    private = os.urandom(32) if record is None else record["private"]
    if not isinstance(private, bytes):
        raise TypeError(f"the private key in the node's state is of type {type(private).__name__}, not bytes")
    if record is None:
        context.state[IDENTITY_RECORD] = ConfigRecord({"private": private})
    return Identity(private)


def is_signed(public: bytes, signature: bytes, text: bytes) -> bool:
    """Return whether the owner of a public key has signed a text."""
    try:
        _public_key(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=1024)
def _public_key(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)
