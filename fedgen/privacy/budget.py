# SPDX-License-Identifier: Apache-2.0
"""One client's account over all its rounds: what it has released, and whether the next release fits the budget.

Kept in the client's `Context.state`, so that it outlives the process of a single call. A call whose reply is lost counts all
the same: the account is never too small.
"""

import math
from dataclasses import dataclass
from typing import cast

from flwr.app import ConfigRecord, RecordDict

from fedgen.errors import ConfigError
from fedgen.privacy.accounting import Release, epsilon_of, rdp_of

ACCOUNT = "privacy-account"


class BudgetExhausted(Exception):
    """The next release would exceed the budget; the client takes no part any more."""


@dataclass(frozen=True)
class Account:
    """Releases so far, those of the same kind together."""

    releases: tuple[Release, ...] = ()

    def plus(self, more: tuple[Release, ...]) -> "Account":
        """Return the account after further releases."""
        counts: dict[tuple[float, float], int] = {}
        for release in (*self.releases, *more):
            kind = (release.noise, release.rate)
            counts[kind] = counts.get(kind, 0) + release.count
        return Account(tuple(Release(noise, rate, count) for (noise, rate), count in sorted(counts.items())))

    def epsilon(self, delta: float) -> float:
        """Return the epsilon spent at delta, by Renyi accounting."""
        return epsilon_of(rdp_of(self.releases), delta)

    def to_record(self) -> ConfigRecord:
        """Return the account as a Flower record."""
        return ConfigRecord(
            {
                "noise": [release.noise for release in self.releases],
                "rate": [release.rate for release in self.releases],
                "count": [release.count for release in self.releases],
            }
        )


def account_from(record: ConfigRecord | None) -> Account:
    """Read an account back; an empty one where there is none."""
    if record is None:
        return Account()
    columns = [cast(list[float], record[name]) for name in ("noise", "rate", "count")]
    return Account(tuple(Release(float(n), float(r), int(c)) for n, r, c in zip(*columns, strict=True)))


def spend(state: RecordDict, releases: tuple[Release, ...], *, epsilon: float, delta: float) -> Account:
    """Enter releases into the account before they happen.

    Args:
        state: The client's state.
        releases: What is about to be released. Noise 0 stands for no guarantee at all, and no budget holds it.
        epsilon: The budget.
        delta: Its delta.

    Returns:
        The account with them.

    Raises:
        BudgetExhausted: They do not fit; the account stays as it was.
    """
    before = account_from(state.config_records.get(ACCOUNT))
    after = before.plus(releases)
    spent = after.epsilon(delta)
    if spent > epsilon and math.isfinite(spent):
        raise BudgetExhausted(
            f"the next round would raise epsilon from {before.epsilon(delta):.3f} to {spent:.3f}, above the budget of {epsilon:g}"
        )
    state[ACCOUNT] = after.to_record()
    return after


def checked_delta(wanted: float, units: int, level: str) -> float:
    """Return the delta to use: 1 / (10 n) for n units unless a smaller one is wanted.

    Raises:
        ConfigError: The wanted one is larger.
    """
    largest = 1.0 / (10 * units)
    if wanted > largest:
        allowed = f"at most 1 / (10 n) = {largest:.3g} for n = {units}, or 0 for just that"
        raise ConfigError(f"privacy.{level}.delta is {wanted:g}; allowed: {allowed}")
    return wanted or largest
