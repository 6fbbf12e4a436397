# SPDX-License-Identifier: Apache-2.0
"""Key agreement and sealing: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-GCM. About 128 bits of strength."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedgen.errors import ProtocolError

KEY_BYTES = 32
NONCE_BYTES = 12
SEAL_BYTES = NONCE_BYTES + 16
"""What sealing adds: the nonce and GCM's tag."""


def new_private() -> bytes:
    """Return a fresh X25519 private key from the operating system's generator."""
    return os.urandom(KEY_BYTES)


def public_of(private: bytes) -> bytes:
    """Return the public key that belongs to a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes, purpose: bytes) -> bytes:
    """Return the 32-byte key that two parties share, for one purpose.

    Args:
        private: One party's private key.
        public: The other party's public key.
        purpose: Keys for different purposes are independent of each other.

    Raises:
        ProtocolError: The public key is none (wrong length, or a point of small order).
    """
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise ProtocolError(f"a public key of {len(public)} bytes cannot be used: {error}") from error
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(shared)


def seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    """Return the nonce and the encrypted text; it opens only with the same key and the same `bound_to`."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def unseal(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """Return the text that was sealed.

    Raises:
        ProtocolError: It was sealed with another key, for another purpose, or changed on the way.
    """
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError) as error:
        raise ProtocolError("a sealed message does not open: it was changed on the way or is not for us") from error
