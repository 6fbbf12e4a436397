# SPDX-License-Identifier: Apache-2.0
"""What a run has released so far, on the server: the worst of the clinics' accounts, and the clients' guarantee.

Clinics hold different patients, so the federation's epsilon for one example is the largest of theirs, not the sum. The two
levels are never added either: a client's guarantee covers each of its examples too, so for an example the smaller epsilon
counts.
"""

from collections.abc import Iterable
from logging import WARNING
from typing import cast

from flwr.app import ConfigRecord
from flwr.common.logger import log

from fedgen.privacy.accounting import pld_epsilon
from fedgen.privacy.budget import account_from
from fedgen.privacy.frame import Guarantee


class ExampleSpent:
    """The largest epsilon for one example that any clinic has reported, by the privacy loss distribution."""

    def __init__(self, delta: float) -> None:
        """Start with nothing released; delta as set, 0 for 1 / (10 n)."""
        self.delta = delta
        self.epsilon = 0.0
        self.renyi = 0.0

    def see(self, records: Iterable[ConfigRecord]) -> Guarantee:
        """Take in the accounts of a round's replies; return the guarantee so far.

        Only the account with the largest Renyi epsilon is worked out anew: the privacy loss distribution takes a second.
        An account that cannot be read is left out.
        """
        accounts = []
        for record in records:
            try:
                account, delta = account_from(record), float(cast(float, record["delta"]))
                accounts.append((account.epsilon(delta), account, delta))
            except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
                log(WARNING, "a clinic's privacy account cannot be read: %s", error)
        if accounts:
            renyi, account, delta = max(accounts, key=lambda entry: entry[0])
            self.renyi = max(self.renyi, renyi)
            self.epsilon = max(self.epsilon, pld_epsilon(account.releases, delta))
        return Guarantee("example", self.epsilon, self.delta, self.renyi)
