# SPDX-License-Identifier: Apache-2.0
"""What the run's settings say about who may join and who is revoked when."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Access:
    """The coordinator's orders; the ledger's rules and the institutions' votes make them binding.

    Attributes:
        admitted: Institutions that may join, by number; None for all.
        revoked: Round in which an institution is revoked, by number; effective from the next round.
    """

    admitted: frozenset[int] | None
    revoked: dict[int, int]

    def may_join(self, institution: int) -> bool:
        """Return whether an institution may join."""
        return self.admitted is None or institution in self.admitted


def parse_access(admit: str, revoke: str) -> Access:
    """Return the orders behind `privacy.ledger.admit` ("0, 1, 4") and `privacy.ledger.revoke` ("3@2, 5@4").

    Raises:
        ValueError: A text of another form; says which, and what is allowed.
    """
    return Access(parse_admit(admit), parse_revoke(revoke))


def parse_admit(text: str) -> frozenset[int] | None:
    """Return the institutions that may join; None for all.

    Raises:
        ValueError: See `parse_access`.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    for part in parts:
        if not part.isdecimal():
            raise ValueError(
                f"{part!r} is no number of an institution; allowed: numbers with commas, as in '0, 1, 4', or nothing"
            )
    return frozenset(int(part) for part in parts) if parts else None


def parse_revoke(text: str) -> dict[int, int]:
    """Return the round of revocation by institution.

    Raises:
        ValueError: See `parse_access`.
    """
    revoked = {}
    for part in [part.strip() for part in text.split(",")] if text.strip() else []:
        institution, at, server_round = part.partition("@")
        if not (institution.isdecimal() and at and server_round.isdecimal() and int(server_round) >= 1):
            raise ValueError(
                f"{part!r} is no revocation; allowed: INSTITUTION@ROUND with commas, as in '3@2, 5@4', or nothing"
            )
        revoked[int(institution)] = int(server_round)
    return revoked
