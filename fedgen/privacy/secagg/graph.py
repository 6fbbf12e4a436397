# SPDX-License-Identifier: Apache-2.0
"""Who masks with whom, and how many shares give a secret back.

Up to 50 clients everybody masks with everybody. Above, each client has k neighbours (Bell et al. 2020): the next k/2 on
either side on a ring in random order, a Harary graph. k and the threshold are the least for which, with a stated share of clients
dropped and a stated share colluding with the server, the chance that any of these happens is at most 1e-6:

- a client has so few surviving neighbours that its secrets cannot be rebuilt (the sum is lost);
- a client has so many colluding neighbours that they can rebuild its secrets (its values are laid open);
- the honest survivors fall apart into groups whose sums could be told apart.

The first two are tails of hypergeometric distributions, summed over the clients. A Harary graph falls apart only if two runs
of k/2 consecutive clients are all gone, which gives the third.
"""

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from fedgen.errors import ProtocolError

COMPLETE_UP_TO = 50
FAILURE = 1e-6


@dataclass(frozen=True)
class Rules:
    """What holds for a round of `clients` clients.

    Attributes:
        clients: Clients in the round.
        neighbours: Neighbours of each.
        threshold: Shares that give a secret back; fewer tell nothing.
        quorum: Clients that must survive and agree on who survived: more than half of all that are not colluding, so that
            no two different lists of survivors can both be agreed upon.
        failure: Bound on the chance that the round fails or leaks by bad luck; 0 where everybody is everybody's neighbour.
    """

    clients: int
    neighbours: int
    threshold: int
    quorum: int
    failure: float = 0.0


@lru_cache(maxsize=256)
def rules(clients: int, dropout: float = 0.3, collusion: float = 0.1) -> Rules:
    """Return the rules of a round.

    Args:
        clients: Clients in it, at least 2.
        dropout: Share that may drop out.
        collusion: Share that may collude with the server; at least one client is taken to.

    Raises:
        ProtocolError: No rules can meet these shares.
    """
    if clients < 2:
        raise ProtocolError(f"{clients} client cannot be hidden among others; at least 2 are needed")
    dropped, colluding = math.floor(dropout * clients), max(1, math.ceil(collusion * clients))
    quorum = (clients + colluding) // 2 + 1
    if clients - dropped < quorum:
        raise ProtocolError(
            f"with {dropped} of {clients} clients dropped and {colluding} colluding no {quorum} are left to agree; "
            "allow less dropout or less collusion"
        )
    if clients <= COMPLETE_UP_TO:
        return Rules(clients, clients - 1, quorum - 1, quorum)
    for neighbours in range(2, clients - 1, 2):
        threshold, failure = _best_threshold(clients, neighbours, dropped, colluding)
        if failure <= FAILURE:
            return Rules(clients, neighbours, threshold, quorum, failure)
    return Rules(clients, clients - 1, quorum - 1, quorum)


def _best_threshold(clients: int, neighbours: int, dropped: int, colluding: int) -> tuple[int, float]:
    """Return the threshold with the least chance of failure for `neighbours` neighbours, and that chance."""
    alive = hypergeometric(clients - 1, clients - 1 - dropped, neighbours)
    corrupt = hypergeometric(clients - 1, colluding, neighbours)
    lost = np.concatenate([[0.0], np.cumsum(alive)])[:-1]  # P(alive < t)
    laid_open = np.cumsum(corrupt[::-1])[::-1]  # P(corrupt >= t)
    failures = clients * (lost + laid_open) + _falls_apart(clients, neighbours, dropped + colluding)
    threshold = 1 + int(np.argmin(failures[1:]))
    return threshold, float(failures[threshold])


def hypergeometric(population: int, marked: int, drawn: int) -> NDArray[np.float64]:
    """Return the chances of 0 to `drawn` marked ones among `drawn` out of `population`."""
    hits = np.arange(drawn + 1)
    possible = (hits <= marked) & (drawn - hits <= population - marked)
    logs = np.full(drawn + 1, -np.inf)
    got = hits[possible]
    logs[possible] = (
        _log_choose(marked, got)
        + _log_choose(population - marked, drawn - got)
        - _log_choose(population, np.array(drawn))
    )
    return np.asarray(np.exp(logs))


def _log_choose(total: int, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(gammaln(total + 1) - gammaln(chosen + 1) - gammaln(total - chosen + 1))


def _falls_apart(clients: int, neighbours: int, gone: int) -> float:
    """Bound the chance that two runs of k/2 consecutive clients on the ring are all among the `gone`."""
    if gone < neighbours:
        return 0.0
    log_both = float(
        _log_choose(clients - neighbours, np.array(gone - neighbours)) - _log_choose(clients, np.array(gone))
    )
    return math.exp(math.log(clients * (clients - 1) / 2) + log_both)


def neighbours_of(position: int, rule: Rules, seed: bytes) -> tuple[int, ...]:
    """Return the neighbours of a client, in rising order; the relation holds both ways.

    Args:
        position: The client's place, 0 to clients - 1.
        rule: The round's rules.
        seed: Public; the ring's order follows from it.
    """
    if rule.neighbours >= rule.clients - 1:
        return tuple(other for other in range(rule.clients) if other != position)
    ring = _ring(rule.clients, seed)
    place = ring.index(position)
    steps = [*range(-(rule.neighbours // 2), 0), *range(1, rule.neighbours // 2 + 1)]
    return tuple(sorted(ring[(place + step) % rule.clients] for step in steps))


@lru_cache(maxsize=8)
def _ring(clients: int, seed: bytes) -> Sequence[int]:
    """Return the clients in an order that follows from a seed, the same on every machine."""
    order = list(range(clients))
    random.Random(hashlib.sha256(b"ring" + seed).digest()).shuffle(order)
    return tuple(order)
