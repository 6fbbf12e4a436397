# SPDX-License-Identifier: Apache-2.0
"""Entries: signed statements in one canonical form, so that equal statements are equal bytes and no bit is without meaning."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flwr.app import ArrayRecord

from fedgen.privacy.identity import Identity, is_signed

KINDS = ("open", "admit", "approve", "revoke", "model", "update", "result")
"""What an entry may state; `rules` says who may state it."""


class LedgerError(RuntimeError):
    """Something in a ledger is not as it must be."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One statement.

    Attributes:
        kind: One of `KINDS`.
        round: Round of training; 0 before the first.
        signer: Ed25519 public key of who states it, as hex.
        member: Public key of the institution it is about, as hex; empty where about none.
        digest: SHA-256 of what is sent, as hex (`model`, `update`, `result`), or of the model's form (`approve`); else empty.
        about: SHA-256 of the model an update starts from, or of the form of the model sent.
        epsilon: Privacy spent so far by the signer, 0 where none is counted.
        name: Name of an institution in `admit`, of the ledger in `open`.
        signature: Ed25519 over all of the above and the ledger's name, as hex.
    """

    kind: str
    round: int
    signer: str
    member: str = ""
    digest: str = ""
    about: str = ""
    epsilon: float = 0.0
    name: str = ""
    signature: str = ""

    def to_bytes(self) -> bytes:
        """Return the entry in its canonical form."""
        return canonical(self.__dict__)  # all fields are plain: asdict would only copy them

    def text(self, ledger: bytes) -> bytes:
        """Return what the signature covers; `ledger` binds it to one ledger."""
        return _signed_text(canonical({**self.__dict__, "signature": ""}), ledger)

    def signed(self, identity: Identity, ledger: bytes) -> "Entry":
        """Return the entry with its signature."""
        return dataclasses.replace(self, signature=identity.sign(self.text(ledger)).hex())

    def is_signed(self, data: bytes, ledger: bytes) -> bool:
        """Return whether the signer has signed it for this ledger; `data` is its canonical form, at hand already."""
        unsigned = data.replace(f'"signature":"{self.signature}"'.encode(), b'"signature":""', 1)
        return is_signed(bytes.fromhex(self.signer), bytes.fromhex(self.signature), _signed_text(unsigned, ledger))


def _signed_text(unsigned: bytes, ledger: bytes) -> bytes:
    """Return what a signature covers, from the canonical form with an empty signature."""
    return b"fedgen ledger entry" + ledger + unsigned


_FORMS: dict[str, tuple[type, tuple[int, ...]]] = {
    "kind": (str, ()), "round": (int, ()), "signer": (str, (64,)), "member": (str, (0, 64)), "digest": (str, (0, 64)),
    "about": (str, (0, 64)), "epsilon": (float, ()), "name": (str, ()), "signature": (str, (128,)),
}  # fmt: skip
"""Type of each field, and for hex texts their lengths."""


def canonical(value: Any) -> bytes:
    """Return plain data as JSON in the one form that counts: keys sorted, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def read_canonical(data: bytes) -> Any:
    """Return the plain data behind canonical JSON.

    Raises:
        LedgerError: It is not JSON, or not in canonical form.
    """
    try:
        value = json.loads(data)
        is_canonical = canonical(value) == data
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"not readable: {error}") from error
    if not is_canonical:
        raise LedgerError("not in canonical form")
    return value


def entry_from(data: bytes) -> Entry:
    """Read an entry.

    Raises:
        LedgerError: It is not in canonical form, lacks a field or has one of another type.
    """
    value = read_canonical(data)
    if not isinstance(value, dict) or set(value) != set(_FORMS):
        raise LedgerError("an entry with other fields than an entry has")
    for name, (kind, lengths) in _FORMS.items():
        field = value[name]
        if type(field) is not kind or (lengths and not is_hex(field, lengths)):
            raise LedgerError(f"an entry whose {name} is {field!r}")
    if value["kind"] not in KINDS or value["round"] < 0 or not (0.0 <= value["epsilon"] < math.inf):
        raise LedgerError(f"an entry of kind {value['kind']!r}, round {value['round']}, epsilon {value['epsilon']}")
    return Entry(**value)


def is_hex(text: object, lengths: tuple[int, ...]) -> bool:
    """Return whether something is lower-case hex of one of these lengths."""
    return isinstance(text, str) and len(text) in lengths and not set(text) - set("0123456789abcdef")


def arrays_digest(arrays: ArrayRecord) -> str:
    """Return the SHA-256 of arrays, as hex: names, types, shapes and contents, in the order of the names."""
    return named_digest(
        {name: (array.dtype, tuple(array.shape), array.numpy().tobytes()) for name, array in arrays.items()}
    )


def named_digest(arrays: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> str:
    """Return the digest of arrays given as (type, shape, bytes in C order) by name."""
    digest = hashlib.sha256(b"fedgen arrays")
    for name, (dtype, shape, data) in sorted(arrays.items()):
        digest.update(canonical([name, dtype, list(shape), len(data)]))
        digest.update(data)
    return digest.hexdigest()


def form_digest(arrays: ArrayRecord) -> str:
    """Return the SHA-256 of a model's form, as hex: names, types and shapes. It is what gets approved."""
    form = sorted([name, array.dtype, list(array.shape)] for name, array in arrays.items())
    return hashlib.sha256(b"fedgen model form" + canonical(form)).hexdigest()
