# SPDX-License-Identifier: Apache-2.0
"""What the parties of one round say to each other, as bytes of fixed lengths.

Lengths depend on the number of clients and neighbours only, never on keys or values, so that traffic tells nothing about them.
"""

import hashlib
import struct
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from fedgen.errors import ProtocolError
from fedgen.privacy.identity import PUBLIC_BYTES, SIGNATURE_BYTES
from fedgen.privacy.secagg.keys import KEY_BYTES, SEAL_BYTES
from fedgen.privacy.secagg.shamir import SHARE_BYTES

_MEMBER = struct.Struct(f">Q{PUBLIC_BYTES}s")
_ADVERT = struct.Struct(f">{PUBLIC_BYTES}s{KEY_BYTES}s{KEY_BYTES}s{SIGNATURE_BYTES}s")
COMMITMENT_BYTES = 16
SEALED_BYTES = 2 * SHARE_BYTES + SEAL_BYTES


@dataclass(frozen=True)
class Advert:
    """A client's public keys for one round, signed by its identity.

    Attributes:
        identity: Ed25519 public key.
        mask_public: X25519 key from which pairwise masks follow.
        seal_public: X25519 key for messages between clients.
        signature: Over node, round and both keys.
    """

    identity: bytes
    mask_public: bytes
    seal_public: bytes
    signature: bytes

    def to_bytes(self) -> bytes:
        """Return the advert as bytes."""
        return _ADVERT.pack(self.identity, self.mask_public, self.seal_public, self.signature)


def advert_from(data: bytes) -> Advert:
    """Read an advert.

    Raises:
        ProtocolError: Wrong length.
    """
    if len(data) != _ADVERT.size:
        raise ProtocolError(f"an advert has {_ADVERT.size} bytes; got {len(data)}")
    return Advert(*_ADVERT.unpack(data))


def adverts_from(data: bytes) -> list[Advert]:
    """Read adverts written one after the other."""
    return [advert_from(part) for part in pieces(data, _ADVERT.size)]


def advert_text(node: int, server_round: int, mask_public: bytes, seal_public: bytes) -> bytes:
    """Return what an advert's signature covers."""
    return b"fedgen secagg advert" + struct.pack(">QI", node, server_round) + mask_public + seal_public


@dataclass(frozen=True)
class Cohort:
    """The clients of one round, in order of their node numbers; a client's place in it is its number in the protocol.

    Attributes:
        server_round: The round.
        nodes: Node numbers, rising.
        identities: Ed25519 public keys, in the same order.
    """

    server_round: int
    nodes: tuple[int, ...]
    identities: tuple[bytes, ...]

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 that names the round and everybody in it."""
        return hashlib.sha256(b"fedgen secagg cohort" + struct.pack(">I", self.server_round) + self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        """Return nodes and identities as bytes."""
        return b"".join(_MEMBER.pack(*member) for member in zip(self.nodes, self.identities, strict=True))

    def place(self, node: int) -> int:
        """Return the place of a node.

        Raises:
            ProtocolError: It is not in the cohort.
        """
        if node not in self.nodes:
            raise ProtocolError(f"node {node} is not among the {len(self.nodes)} clients of round {self.server_round}")
        return self.nodes.index(node)


def cohort_from(data: bytes, server_round: int) -> Cohort:
    """Read a cohort.

    Raises:
        ProtocolError: The nodes are not in rising order, or somebody stands in it twice.
    """
    members = [_MEMBER.unpack(part) for part in pieces(data, _MEMBER.size)]
    nodes, identities = tuple(node for node, _ in members), tuple(identity for _, identity in members)
    if list(nodes) != sorted(set(nodes)) or len(set(identities)) < len(identities):
        raise ProtocolError("the clients of a round must stand in rising order, each once")
    return Cohort(server_round, nodes, identities)


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut data into pieces of one size.

    Raises:
        ProtocolError: Something is left over.
    """
    if len(data) % size:
        raise ProtocolError(f"got {len(data)} bytes, which is no multiple of {size}")
    return [data[start : start + size] for start in range(0, len(data), size)]


def bitmap(places: Collection[int], clients: int) -> bytes:
    """Return a set of places as bits."""
    bits = sum(1 << place for place in places)
    return bits.to_bytes((clients + 7) // 8, "big")


def places_in(data: bytes, clients: int) -> tuple[int, ...]:
    """Return the places a bitmap holds, rising.

    Raises:
        ProtocolError: The bitmap is of another length or names places that do not exist.
    """
    bits = int.from_bytes(data, "big")
    if len(data) != (clients + 7) // 8 or bits >> clients:
        raise ProtocolError(f"a list of survivors does not fit {clients} clients")
    return tuple(place for place in range(clients) if bits >> place & 1)


def survivors_text(cohort: Cohort, sharers: bytes, survivors: bytes) -> bytes:
    """Return what a client signs when it agrees on who has survived."""
    return b"fedgen secagg survivors" + cohort.digest + sharers + survivors


def commitment(share: bytes) -> bytes:
    """Return the digest by which a share is known before it is shown; shares are random, so it tells nothing of them."""
    return hashlib.sha256(b"fedgen secagg share" + share).digest()[:COMMITMENT_BYTES]


def sealed_context(cohort: Cohort, sender: int, receiver: int) -> bytes:
    """Return what a sealed message between two clients is bound to."""
    return b"fedgen secagg shares" + cohort.digest + struct.pack(">II", sender, receiver)
