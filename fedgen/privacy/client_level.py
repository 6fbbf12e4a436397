# SPDX-License-Identifier: Apache-2.0
"""Differential privacy for a client as a whole: its update is clipped to a norm, and the sum of a round carries noise.

In the open (carrier `plain`) the server adds Gaussian noise to the sum. Under encryption or masks nobody may see a sum without
noise, so every client adds a share: Skellam noise on whole numbers, whose sum is again Skellam, with its own accounting
(rounded Gaussian shares are not covered by Gaussian accounting). Shares are sized so that the fewest contributions a round
may have carry the whole noise; with more there is more noise than needed.

No statistics of scores leave a client: the threshold is public. Everything else that a client sends is in its clipped update.

Source: McMahan et al., "Learning differentially private recurrent language models", 2018; Agarwal, Kairouz, Liu, "The Skellam
mechanism for differentially private federated learning", 2021; conditional rounding: Kairouz, Liu, Steinke, 2021.
"""

import math
from typing import cast

import numpy as np
from flwr.app import ConfigRecord
from numpy.typing import NDArray

from fedgen.config import AppConfig
from fedgen.privacy.accounting import Rdp, Release, calibrate, epsilon_of, pld_epsilon, rdp_of, rdp_of_skellam
from fedgen.privacy.budget import checked_delta
from fedgen.privacy.entropy import fresh_generator
from fedgen.privacy.frame import Call, Guarantee, Sum
from fedgen.privacy.vectors import TAIL, Layout, Vector

POPULATION = "population"
NOISE_TAILS = 9.0
"""A share of noise beyond so many standard deviations is cut: less than 1e-14 likely in a model of 62,000 weights."""


def clipped(vector: Vector, clip: float) -> Vector:
    """Return a contribution whose weights have at most that norm, with nothing about scores."""
    result = np.zeros_like(vector)
    weights = vector[:-TAIL]
    norm = float(np.linalg.norm(weights))
    result[:-TAIL] = weights * min(1.0, clip / norm) if norm > 0 else 0.0
    return result


class ClientLevel:
    """What both forms share: population, budget, rounds begun. The server's instance counts, a client's does not."""

    def __init__(self, config: AppConfig) -> None:
        """Start before the first round; the population is fixed when it begins."""
        self.config = config
        self.population = 0
        self.rounds = 0
        self.is_poisson = config.privacy_client_sampling == "poisson"
        self.rate = config.fraction_train if self.is_poisson else 1.0
        self._noise: float | None = None

    def begin(self, connected: int) -> bool:
        """Charge a round and return yes if it fits the budget; the first one fixes the population and with it delta.

        A round is charged when it begins: one that fails later may have shown something on its way.
        """
        self.population = self.population or connected
        if self.population == 0:
            return False
        spent = epsilon_of((self.rounds + 1) * self.rdp(self.noise), self.delta)
        fits = spent <= self.config.privacy_client_epsilon or not math.isfinite(spent)
        self.rounds += fits
        return fits

    @property
    def delta(self) -> float:
        """Delta of the guarantee."""
        return checked_delta(self.config.privacy_client_delta, self.population, "client")

    @property
    def noise(self) -> float:
        """Standard deviation of a round's noise over the sensitivity."""
        if self._noise is None:
            wanted = self.config.privacy_client_noise
            rounds = self.config.num_server_rounds
            self._noise = (
                wanted
                if wanted >= 0.0
                else calibrate(self.config.privacy_client_epsilon, self.delta, lambda noise: rounds * self.rdp(noise))
            )
        return self._noise

    @property
    def renyi(self) -> float:
        """Epsilon of the rounds begun, by Renyi accounting."""
        return epsilon_of(self.rounds * self.rdp(self.noise), self.delta)

    def rdp(self, noise: float) -> Rdp:
        """Return the Renyi epsilons of one round."""
        raise NotImplementedError

    def brief(self) -> ConfigRecord:
        """Return the population, from which every client derives the noise itself."""
        return ConfigRecord({POPULATION: self.population})

    def learn(self, brief: ConfigRecord) -> None:
        """Take over on a client what the server told."""
        self.population = cast(int, brief[POPULATION])


class CentralNoiseCodec(ClientLevel):
    """Clipped floats; the server adds Gaussian noise. With Poisson sampling an empty draw is a step of noise too."""

    largest = 0

    def __init__(self, config: AppConfig) -> None:
        """Start before the first round."""
        super().__init__(config)
        self.always_steps = self.is_poisson

    def rdp(self, noise: float) -> Rdp:
        """Return the Renyi epsilons of one round: the sampled Gaussian mechanism."""
        return rdp_of([Release(noise, self.rate, 1)])

    def encode(self, call: Call, vector: Vector, brief: ConfigRecord) -> NDArray[np.float64]:
        """Return the clipped contribution."""
        return clipped(vector, self.config.privacy_client_clip)

    def decode(self, total: Sum) -> Vector:
        """Return the noised mean: over those that took part, or under Poisson sampling over the expected number."""
        noise = fresh_generator().normal(0.0, 1.0, len(total.values)) * self.noise * self.config.privacy_client_clip
        noise[-TAIL:] = 0.0
        count = self.rate * self.population if self.is_poisson else len(total.nodes)
        mean: Vector = (total.values + noise) / count
        return mean

    def guarantee(self) -> Guarantee:
        """Return what has been released so far, by the privacy loss distribution."""
        told = pld_epsilon([Release(self.noise, self.rate, self.rounds)], self.delta)
        return Guarantee("client", told, self.delta, self.renyi)


class SkellamCodec(ClientLevel):
    """Clipped whole numbers with a share of Skellam noise from every client, for carriers of exact sums."""

    always_steps = False

    def __init__(self, config: AppConfig, layout: Layout) -> None:
        """Start before the first round."""
        super().__init__(config)
        self.layout = layout
        self.largest = 2 ** (config.privacy_bits - 1) - 1

    def scale(self, noise: float) -> float:
        """Return steps per unit: a clipped value and the tails of its share of noise just fit."""
        share = noise / math.sqrt(self.config.min_replies)
        return float(self.largest) / (self.config.privacy_client_clip * (1.0 + NOISE_TAILS * share) * 1.01)

    def sensitivity(self, noise: float) -> float:
        """Return the largest 2-norm of a rounded contribution; rounding is drawn again until it holds.

        The square is at most min((sC + sqrt d)^2, (sC)^2 + d / 4 + sC + sqrt(d) / 2), the second with chance of a draw
        above 1 - exp(-1/2) (Kairouz, Liu, Steinke, 2021, with beta = exp(-1/2)).
        """
        size = self.scale(noise) * self.config.privacy_client_clip
        places = self.layout.weights
        second = size**2 + places / 4.0 + size + math.sqrt(places) / 2.0
        return math.sqrt(min((size + math.sqrt(places)) ** 2, second))

    def rdp(self, noise: float) -> Rdp:
        """Return the Renyi epsilons of one round of Skellam noise."""
        if noise <= 0.0:
            return rdp_of([Release(0.0, 1.0, 1)])
        l2 = self.sensitivity(noise)
        l1 = min(l2**2, l2 * math.sqrt(self.layout.weights))
        return rdp_of_skellam((noise * l2) ** 2, l1=l1, l2=l2)

    def encode(self, call: Call, vector: Vector, brief: ConfigRecord) -> NDArray[np.float64]:
        """Return whole numbers with this client's share of the noise."""
        self.learn(brief)
        noise, random = self.noise, fresh_generator()
        exact = clipped(vector, self.config.privacy_client_clip) * self.scale(noise)
        limit = self.sensitivity(noise)
        whole = np.floor(exact + random.random(len(exact)))
        while float(np.linalg.norm(whole[:-TAIL])) > limit:
            whole = np.floor(exact + random.random(len(exact)))
        whole[-TAIL:] = 0.0
        half_variance = (noise * limit) ** 2 / self.config.min_replies / 2.0
        places = self.layout.weights
        whole[:-TAIL] += random.poisson(half_variance, places) - random.poisson(half_variance, places).astype(
            np.float64
        )
        numbers: NDArray[np.float64] = np.clip(whole, -self.largest, self.largest)
        return numbers

    def decode(self, total: Sum) -> Vector:
        """Return the mean contribution, noise included."""
        mean: Vector = total.values / (self.scale(self.noise) * len(total.nodes))
        return mean

    def guarantee(self) -> Guarantee:
        """Return what has been released so far, by Renyi accounting of the Skellam noise.

        No privacy loss distribution: which shift of so many places is the worst for whole-number noise is not known.
        """
        return Guarantee("client", self.renyi, self.delta, self.renyi)
