# SPDX-License-Identifier: Apache-2.0
"""A client's side of one round of secure aggregation, without Flower.

Five steps, each once and in this order: `advertise`, `share`, `mask`, `agree`, `reveal`. A server that asks for a step
twice, in another order, or with lists that contradict each other gets a `ProtocolError` and nothing else.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedgen.errors import ProtocolError
from fedgen.privacy.identity import SIGNATURE_BYTES, Identity, is_signed
from fedgen.privacy.secagg import shamir, words
from fedgen.privacy.secagg.graph import Rules, neighbours_of, rules
from fedgen.privacy.secagg.keys import agree, new_private, public_of, seal, unseal
from fedgen.privacy.secagg.masks import Levels, add_masks

PAIR_MASK = b"fedgen secagg pair mask"
PAIR_SEAL = b"fedgen secagg pair seal"
_STEPS = ("advertised", "shared", "masked", "agreed", "revealed")


@dataclass
class Secrets:
    """What a client keeps from step to step of one round; none of it leaves the client but through the steps.

    Attributes:
        step: The latest step done.
        mask_private: X25519 key of the pairwise masks.
        seal_private: X25519 key of the messages between clients.
        self_key: Key of the client's own mask.
        cohort: The round's clients, as bytes.
        adverts: The neighbours' adverts, one after the other.
        incoming: The neighbours' shares for us, by place; of those who sent some.
        sharers: Bitmap of the clients that sent shares.
        survivors: Bitmap of the clients that we agreed have survived.
    """

    step: str = "advertised"
    mask_private: bytes = field(default_factory=new_private, repr=False)
    seal_private: bytes = field(default_factory=new_private, repr=False)
    self_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    cohort: bytes = b""
    adverts: bytes = field(default=b"", repr=False)
    incoming: bytes = field(default=b"", repr=False)
    sharers: bytes = b""
    survivors: bytes = b""


class SecAggClient:
    """One client in one round.

    Args:
        identity: Signs for this client.
        node: Its node number.
        server_round: The round.
        secrets: What earlier steps of the round have left; None at the first step.
        known: Identities of other nodes, from earlier rounds or a ledger; new ones are added.
        dropout: Share of the clients that may drop out.
        collusion: Share that may collude with the server.

    Attributes:
        secrets: What the steps so far have left.
        neighbours: Neighbours of each client, known once the round's clients are.
        quorum: Clients that must agree, likewise.
    """

    def __init__(
        self,
        identity: Identity,
        node: int,
        server_round: int,
        *,
        secrets: Secrets | None,
        known: dict[int, bytes],
        dropout: float = 0.3,
        collusion: float = 0.1,
    ) -> None:
        self._identity = identity
        self._node = node
        self._round = server_round
        self._known = known
        self._shares = (dropout, collusion)
        self.secrets = secrets
        self.neighbours = 0
        self.quorum = 0

    # -- steps --------------------------------------------------------------------------------------------------

    def advertise(self) -> bytes:
        """Make this round's keys; returns the signed public ones (`words.Advert`)."""
        if self.secrets is not None:
            raise ProtocolError(f"round {self._round}: keys were advertised already")
        self.secrets = Secrets()
        publics = public_of(self.secrets.mask_private), public_of(self.secrets.seal_private)
        signature = self._identity.sign(words.advert_text(self._node, self._round, *publics))
        return words.Advert(self._identity.public, *publics, signature).to_bytes()

    def share(self, cohort_data: bytes, adverts_data: bytes) -> tuple[bytes, bytes]:
        """Share both secrets among the neighbours.

        Args:
            cohort_data: Everybody in the round (`words.Cohort`).
            adverts_data: The neighbours' adverts in order of their places.

        Returns:
            A sealed message for each neighbour, and commitments to the shares in them; both in order of the neighbours' places.

        Raises:
            ProtocolError: An identity has changed, an advert is not signed, or the round is too small.
        """
        secrets = self._take_step("shared")
        cohort = words.cohort_from(cohort_data, self._round)
        own, rule, neighbours = self._situation(cohort)
        self._learn(cohort)
        adverts = words.adverts_from(adverts_data)
        if len(adverts) != len(neighbours):
            raise ProtocolError(f"got adverts of {len(adverts)} neighbours; there are {len(neighbours)}")
        points = [place + 1 for place in neighbours]
        of_self = shamir.share(secrets.self_key, rule.threshold, points)
        of_mask = shamir.share(secrets.mask_private, rule.threshold, points)
        sealed, commitments = [], []
        for place, advert, *both in zip(neighbours, adverts, of_self, of_mask, strict=True):
            self._check_advert(cohort, place, advert)
            key = agree(secrets.seal_private, advert.seal_public, PAIR_SEAL)
            sealed.append(seal(key, b"".join(both), words.sealed_context(cohort, own, place)))
            commitments += [words.commitment(part) for part in both]
        secrets.cohort, secrets.adverts = cohort_data, adverts_data
        return b"".join(sealed), b"".join(commitments)

    def mask(self, levels: Levels, sharers_data: bytes, sealed_data: bytes) -> Levels:
        """Hide the client's levels.

        Args:
            levels: What is to be summed.
            sharers_data: Bitmap of the clients that have sent shares.
            sealed_data: Their sealed messages for us, of our neighbours only, in order of their places.

        Returns:
            The levels under all masks, modulo 2^32.
        """
        secrets = self._take_step("masked")
        cohort = words.cohort_from(secrets.cohort, self._round)
        own, rule, neighbours = self._situation(cohort)
        sharers = words.places_in(sharers_data, len(cohort.nodes))
        if own not in sharers or len(sharers) < rule.quorum:
            raise ProtocolError(
                f"{len(sharers)} clients have sent shares; at least {rule.quorum} with us among them are needed"
            )
        peers = [place for place in neighbours if place in sharers]
        sealed = words.pieces(sealed_data, words.SEALED_BYTES)
        if len(sealed) != len(peers) or len(peers) < rule.threshold:
            raise ProtocolError(
                f"got shares of {len(sealed)} neighbours; {len(peers)} have sent some, {rule.threshold} are needed"
            )
        advert_of = dict(zip(neighbours, words.adverts_from(secrets.adverts), strict=True))
        for place, message in zip(peers, sealed, strict=True):
            key = agree(secrets.seal_private, advert_of[place].seal_public, PAIR_SEAL)
            secrets.incoming += unseal(key, message, words.sealed_context(cohort, place, own))
        secrets.sharers = sharers_data
        pair_keys = {place: agree(secrets.mask_private, advert_of[place].mask_public, PAIR_MASK) for place in peers}
        return add_masks(levels, own=own, self_key=secrets.self_key, pair_keys=pair_keys)

    def agree(self, survivors_data: bytes) -> bytes:
        """Sign the list of survivors; only one list in a round.

        Returns:
            The signature.

        Raises:
            ProtocolError: The list is too short, names somebody who sent no shares, or leaves us out.
        """
        secrets = self._take_step("agreed")
        cohort = words.cohort_from(secrets.cohort, self._round)
        own, rule, _ = self._situation(cohort)
        survivors = words.places_in(survivors_data, len(cohort.nodes))
        sharers = words.places_in(secrets.sharers, len(cohort.nodes))
        if own not in survivors or not set(survivors) <= set(sharers) or len(survivors) < rule.quorum:
            raise ProtocolError(
                f"a list of {len(survivors)} survivors is refused: at least {rule.quorum} are needed, we among them, and all of "
                "them must have sent shares"
            )
        secrets.survivors = survivors_data
        return self._identity.sign(words.survivors_text(cohort, secrets.sharers, survivors_data))

    def reveal(self, signers_data: bytes, signatures_data: bytes) -> bytes:
        """Give away the shares that the sum needs: of a survivor's own mask, of a dropped client's pairwise key; never both.

        Args:
            signers_data: Bitmap of the clients that signed the list we signed.
            signatures_data: Their signatures in order of their places.

        Returns:
            One share for each neighbour that sent us shares, in order of their places.

        Raises:
            ProtocolError: Fewer than a quorum have signed the same list.
        """
        secrets = self._take_step("revealed")
        cohort = words.cohort_from(secrets.cohort, self._round)
        _, rule, neighbours = self._situation(cohort)
        signers = words.places_in(signers_data, len(cohort.nodes))
        signatures = words.pieces(signatures_data, SIGNATURE_BYTES)
        text = words.survivors_text(cohort, secrets.sharers, secrets.survivors)
        agreed = sum(
            is_signed(cohort.identities[place], signature, text)
            for place, signature in zip(signers, signatures, strict=False)
        )
        if agreed < rule.quorum:
            raise ProtocolError(
                f"round {self._round}: {agreed} clients have signed the list of survivors we were shown; {rule.quorum} are "
                "needed. Nothing is revealed"
            )
        survivors = words.places_in(secrets.survivors, len(cohort.nodes))
        sharers = words.places_in(secrets.sharers, len(cohort.nodes))
        shown = []
        for place, both in zip(
            [place for place in neighbours if place in sharers],
            words.pieces(secrets.incoming, 2 * shamir.SHARE_BYTES),
            strict=True,
        ):
            of_self, of_mask = both[: shamir.SHARE_BYTES], both[shamir.SHARE_BYTES :]
            shown.append(of_self if place in survivors else of_mask)
        return b"".join(shown)

    # -- inside -------------------------------------------------------------------------------------------------

    def _take_step(self, step: str) -> Secrets:
        """Go to the next step; a step begun is not repeated, even where it fails."""
        before = _STEPS[_STEPS.index(step) - 1]
        if self.secrets is None or self.secrets.step != before:
            done = "nothing" if self.secrets is None else self.secrets.step
            raise ProtocolError(f"round {self._round}: asked for a step after {before!r}, but done is {done!r}")
        self.secrets.step = step
        return self.secrets

    def _situation(self, cohort: words.Cohort) -> tuple[int, Rules, tuple[int, ...]]:
        """Return our place, the rules and our neighbours; the client works them out itself."""
        own, rule = cohort.place(self._node), rules(len(cohort.nodes), *self._shares)
        self.neighbours, self.quorum = rule.neighbours, rule.quorum
        return own, rule, neighbours_of(own, rule, cohort.digest)

    def _learn(self, cohort: words.Cohort) -> None:
        """Remember identities seen first; refuse one that has changed, and anybody else under our own."""
        pinned = {**self._known, self._node: self._identity.public}
        for node, identity in zip(cohort.nodes, cohort.identities, strict=True):
            if pinned.get(node, identity) != identity:
                raise ProtocolError(f"the identity of node {node} is not the one known from before")
        self._known.update(zip(cohort.nodes, cohort.identities, strict=True))

    def _check_advert(self, cohort: words.Cohort, place: int, advert: words.Advert) -> None:
        text = words.advert_text(cohort.nodes[place], self._round, advert.mask_public, advert.seal_public)
        if advert.identity != cohort.identities[place] or not is_signed(advert.identity, advert.signature, text):
            raise ProtocolError(f"the advert of node {cohort.nodes[place]} is not signed by that node")


def known_to_bytes(known: Mapping[int, bytes]) -> bytes:
    """Return identities by node as bytes."""
    nodes = tuple(sorted(known))
    return words.Cohort(0, nodes, tuple(known[node] for node in nodes)).to_bytes()


def known_from_bytes(data: bytes) -> dict[int, bytes]:
    """Read identities by node."""
    cohort = words.cohort_from(data, 0)
    return dict(zip(cohort.nodes, cohort.identities, strict=True))
