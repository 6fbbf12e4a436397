# SPDX-License-Identifier: Apache-2.0
"""A secret for one receiver, sealed so that whoever carries it cannot read or change it.

X25519 between a key pair made for this one message and the receiver's public key, HKDF-SHA256 over the shared secret and
both public keys, AES-256-GCM with the purpose as associated data. About 128 bits of strength. The receiver's public key
must be the right one: who carries public keys could put his own in their place unless they are signed.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PUBLIC_BYTES = 32
TAG_BYTES = 16
_NONCE = bytes(12)
"""One key encrypts one message only, so the nonce need not differ."""


def new_private_key() -> bytes:
    """Return a private key of 32 bytes from the operating system."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_key(private: bytes) -> bytes:
    """Return the public key of a private key, 32 bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def wrap(secret: bytes, receiver: bytes, purpose: bytes) -> bytes:
    """Return a secret that only the holder of the receiver's private key can read.

    Args:
        secret: Any bytes.
        receiver: The receiver's public key.
        purpose: What it is for; the receiver must name the same.

    Returns:
        48 bytes more than the secret has.

    Raises:
        ValueError: The receiver's key is no public key, or one of the few that share no secret.
    """
    ours = X25519PrivateKey.generate()
    sender = ours.public_key().public_bytes_raw()
    shared = ours.exchange(X25519PublicKey.from_public_bytes(receiver))
    return sender + AESGCM(_key(shared, sender, receiver)).encrypt(_NONCE, secret, purpose)


def unwrap(wrapped: bytes, private: bytes, purpose: bytes) -> bytes:
    """Return the secret.

    Raises:
        ValueError: It is not for this key or purpose, or was changed on its way.
    """
    sender, sealed = wrapped[:PUBLIC_BYTES], wrapped[PUBLIC_BYTES:]
    if len(sealed) < TAG_BYTES:
        raise ValueError("the wrapped secret is too short")
    shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(sender))
    try:
        return AESGCM(_key(shared, sender, public_key(private))).decrypt(_NONCE, sealed, purpose)
    except InvalidTag:
        raise ValueError("the wrapped secret is not for this receiver and purpose, or was changed") from None


def _key(shared: bytes, sender: bytes, receiver: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"fedgen key wrap" + sender + receiver).derive(shared)
