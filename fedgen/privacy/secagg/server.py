# SPDX-License-Identifier: Apache-2.0
"""The server's side of one round of secure aggregation, without Flower: relays, adds up, takes the masks off the sum.

Each step takes what the clients answered, by node, and leaves out whoever answered nothing or nonsense. When too few are left
for the next step, `TooFew` ends the round: nothing has been revealed, and nothing can be.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedgen.errors import ProtocolError
from fedgen.privacy.identity import SIGNATURE_BYTES, is_signed
from fedgen.privacy.secagg import shamir, words
from fedgen.privacy.secagg.client import PAIR_MASK
from fedgen.privacy.secagg.graph import neighbours_of, rules
from fedgen.privacy.secagg.keys import agree, public_of
from fedgen.privacy.secagg.masks import Levels, Masker


class TooFew(ProtocolError):
    """Fewer clients than the threshold are left; the round ends with nothing revealed."""


@dataclass(frozen=True)
class Asked:
    """A question to one client: the arguments of one of its steps (`client.SecAggClient`)."""

    first: bytes
    second: bytes = b""


class SecAggServer:
    """One round. Call the steps in the order in which they stand.

    Args:
        server_round: The round.
        adverts: What clients advertised, by node.
        dropout: Share of the clients that may drop out.
        collusion: Share that may collude with the server.

    Attributes:
        refused: Why a client's answer was left out, by node.
        masks_removed: Key streams that were taken off the sum, for whoever counts work.
        agreements: Keys that were agreed upon for that.

    Raises:
        TooFew: Less than three clients have advertised keys that are signed.
    """

    def __init__(
        self, server_round: int, adverts: Mapping[int, bytes], *, dropout: float = 0.3, collusion: float = 0.1
    ) -> None:
        self.refused: dict[int, str] = {}
        self.masks_removed = 0
        self.agreements = 0
        self._adverts = self._signed(server_round, adverts)
        if len(self._adverts) < 3:
            raise TooFew(
                f"round {server_round}: {len(self._adverts)} clients have advertised keys; at least 3 are needed"
            )
        nodes = tuple(sorted(self._adverts))
        self._cohort = words.Cohort(server_round, nodes, tuple(self._adverts[node].identity for node in nodes))
        self._rule = rules(len(nodes), dropout, collusion)
        self._sealed: dict[int, dict[int, bytes]] = {}
        self._commitments: dict[int, dict[int, list[bytes]]] = {}
        self._uploads: dict[int, Levels] = {}
        self._signatures: dict[int, bytes] = {}
        self._shown: dict[int, dict[int, bytes]] = {}

    @property
    def threshold(self) -> int:
        """Clients that must be left at every step."""
        return self._rule.quorum

    @property
    def neighbours(self) -> int:
        """Neighbours of each client."""
        return self._rule.neighbours

    # -- step 1: shares -----------------------------------------------------------------------------------------

    def ask_shares(self) -> dict[int, Asked]:
        """Return what `SecAggClient.share` takes, by node."""
        everybody = self._cohort.to_bytes()
        return {node: Asked(everybody, self._adverts_for(place)) for place, node in enumerate(self._cohort.nodes)}

    def take_shares(self, answers: Mapping[int, tuple[bytes, bytes]]) -> None:
        """Keep the sealed shares and their commitments."""
        for node, (sealed, commitments) in sorted(answers.items()):
            place = self._cohort.place(node)
            neighbours = self._neighbours(place)
            try:
                messages = words.pieces(sealed, words.SEALED_BYTES)
                known = words.pieces(commitments, 2 * words.COMMITMENT_BYTES)
            except ProtocolError as error:
                self.refused[node] = str(error)
                continue
            if len(messages) != len(neighbours) or len(known) != len(neighbours):
                self.refused[node] = (
                    f"sent {len(messages)} shares and {len(known)} commitments for {len(neighbours)} neighbours"
                )
                continue
            self._sealed[place] = dict(zip(neighbours, messages, strict=True))
            self._commitments[place] = {
                other: words.pieces(pair, words.COMMITMENT_BYTES) for other, pair in zip(neighbours, known, strict=True)
            }
        self._need(len(self._sealed), "have sent shares")

    # -- step 2: masked values ----------------------------------------------------------------------------------

    def ask_masked(self) -> dict[int, Asked]:
        """Return what `SecAggClient.mask` takes, by node of those who sent shares."""
        sharers = self._bits(self._sealed)
        return {
            self._cohort.nodes[place]: Asked(
                sharers,
                b"".join(self._sealed[other][place] for other in self._neighbours(place) if other in self._sealed),
            )
            for place in self._sealed
        }

    def take_masked(self, uploads: Mapping[int, Levels]) -> None:
        """Keep the masked levels of those who sent shares."""
        for node, levels in sorted(uploads.items()):
            place = self._cohort.place(node)
            if place in self._sealed:
                self._uploads[place] = levels
        self._need(len(self._uploads), "have sent values")

    # -- step 3: agreement --------------------------------------------------------------------------------------

    def ask_agreement(self) -> dict[int, Asked]:
        """Return what `SecAggClient.agree` takes, by node of the survivors."""
        survivors = self._bits(self._uploads)
        return {self._cohort.nodes[place]: Asked(survivors) for place in self._uploads}

    def take_agreement(self, signatures: Mapping[int, bytes]) -> None:
        """Keep the signatures under the list of survivors."""
        text = words.survivors_text(self._cohort, self._bits(self._sealed), self._bits(self._uploads))
        for node, signature in sorted(signatures.items()):
            place = self._cohort.place(node)
            if len(signature) == SIGNATURE_BYTES and is_signed(self._cohort.identities[place], signature, text):
                self._signatures[place] = signature
            else:
                self.refused[node] = "has not signed the list of survivors"
        self._need(len(self._signatures), "have agreed on the survivors")

    # -- step 4: taking the masks off ---------------------------------------------------------------------------

    def ask_reveal(self) -> dict[int, Asked]:
        """Return what `SecAggClient.reveal` takes, by node of those who agreed: a quorum's signatures."""
        signers = sorted(self._signatures)[: self._rule.quorum]
        asked = Asked(self._bits(signers), b"".join(self._signatures[place] for place in signers))
        return {self._cohort.nodes[place]: asked for place in self._signatures}

    def take_revealed(self, answers: Mapping[int, bytes]) -> None:
        """Keep the shares that were shown, as far as they are the ones committed to."""
        for node, shown in sorted(answers.items()):
            place = self._cohort.place(node)
            owners = [other for other in self._neighbours(place) if other in self._sealed]
            if len(shown) != len(owners) * shamir.SHARE_BYTES:
                self.refused[node] = f"has shown {len(shown)} bytes of shares of {len(owners)} neighbours"
                continue
            for owner, share in zip(owners, words.pieces(shown, shamir.SHARE_BYTES), strict=True):
                of_self, of_mask = self._commitments[owner][place]
                if words.commitment(share) == (of_self if owner in self._uploads else of_mask):
                    self._shown.setdefault(owner, {})[place + 1] = share
                else:
                    self.refused[node] = (
                        f"has shown another share of node {self._cohort.nodes[owner]} than was given to it"
                    )

    def total(self) -> Levels:
        """Return the sum of the survivors' levels modulo 2^32.

        Raises:
            TooFew: Too few shares of somebody's secret were shown.
            ProtocolError: Somebody has shared another secret than the one it used; it is named.
        """
        uploads = list(self._uploads.values())
        masker = Masker(len(uploads[0]))
        total = np.zeros(len(uploads[0]), dtype=np.uint32)
        for levels in uploads:
            total += levels
        for place in sorted(self._sealed):
            if place in self._uploads:
                total -= masker.stream(self._secret(place))
                self.masks_removed += 1
            else:
                self._remove_pairs(place, total, masker)
        return total

    @property
    def survivors(self) -> tuple[int, ...]:
        """Nodes whose values are in the sum."""
        return tuple(self._cohort.nodes[place] for place in sorted(self._uploads))

    # -- inside -------------------------------------------------------------------------------------------------

    def _signed(self, server_round: int, adverts: Mapping[int, bytes]) -> dict[int, words.Advert]:
        """Return the adverts that are signed, of different identities."""
        good: dict[int, words.Advert] = {}
        for node, data in sorted(adverts.items()):
            try:
                advert = words.advert_from(data)
            except ProtocolError as error:
                self.refused[node] = str(error)
                continue
            text = words.advert_text(node, server_round, advert.mask_public, advert.seal_public)
            if not is_signed(advert.identity, advert.signature, text):
                self.refused[node] = "its advert is not signed"
            elif advert.identity in {other.identity for other in good.values()}:
                self.refused[node] = "another node has the same identity"
            else:
                good[node] = advert
        return good

    def _need(self, left: int, what: str) -> None:
        if left < self._rule.quorum:
            raise TooFew(
                f"round {self._cohort.server_round}: {left} of {self._rule.clients} clients {what}; {self._rule.quorum} are "
                "needed. The round ends, nothing was revealed"
            )

    def _neighbours(self, place: int) -> tuple[int, ...]:
        return neighbours_of(place, self._rule, self._cohort.digest)

    def _adverts_for(self, place: int) -> bytes:
        return b"".join(self._adverts[self._cohort.nodes[other]].to_bytes() for other in self._neighbours(place))

    def _bits(self, places: Mapping[int, object] | list[int]) -> bytes:
        return words.bitmap(list(places), len(self._cohort.nodes))

    def _secret(self, place: int) -> bytes:
        """Return a client's secret from the shares shown of it."""
        node, shown = self._cohort.nodes[place], self._shown.get(place, {})
        if len(shown) < self._rule.threshold:
            raise TooFew(
                f"round {self._cohort.server_round}: {len(shown)} shares of a secret of node {node} were shown; "
                f"{self._rule.threshold} are needed. The round ends, no sum is known"
            )
        try:
            return shamir.combine(shown, self._rule.threshold)
        except ProtocolError as error:
            raise ProtocolError(f"node {node}: {error}") from error

    def _remove_pairs(self, dropped: int, total: Levels, masker: Masker) -> None:
        """Take off the masks that survivors share with a client that has dropped out."""
        private = self._secret(dropped)
        node = self._cohort.nodes[dropped]
        if public_of(private) != self._adverts[node].mask_public:
            raise ProtocolError(f"node {node} has shared another key than the one it advertised; the sum is lost")
        keys = {
            other: agree(private, self._adverts[self._cohort.nodes[other]].mask_public, PAIR_MASK)
            for other in self._neighbours(dropped)
            if other in self._uploads
        }
        masker.add_pairs(total, dropped, keys)  # the very masks it would have added, with its own sign
        self.masks_removed += len(keys)
        self.agreements += len(keys)
