# SPDX-License-Identifier: Apache-2.0
"""Which mechanisms a run has: presets, lists, and the combinations that make no sense.

Light on purpose: whoever checks a configuration needs neither torch nor Flower.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from fedgen.ledger.access import parse_admit, parse_revoke
from fedgen.privacy.settings import PrivacySettings

MECHANISMS: dict[str, str] = {
    "dp-example": "noise in the training, for one example of a clinic",
    "dp-client": "clipped and noised updates, for a client as a whole",
    "he": "updates encrypted so that only their sum is decrypted",
    "secagg": "updates masked so that only their sum is readable",
    "ledger": "a signed, append-only log of every exchange",
    "quantised": "updates in whole numbers of privacy.bits, in the open: hides nothing, the yardstick for he and secagg",
}
"""Every mechanism and what it does."""

PRESETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "dp": ("dp-example",),
    "he": ("he",),
    "secagg": ("secagg",),
    "secure": ("dp-example", "he", "ledger"),
    "secure-secagg": ("dp-example", "secagg", "ledger"),
}
"""Mechanisms by the name of a preset."""

EXCLUSIVE: dict[frozenset[str], str] = {
    frozenset(
        {"he", "secagg"}
    ): "both hide single updates from the server: a masked update need not be encrypted; keep one",
    frozenset({"he", "quantised"}): "he sends whole numbers of privacy.bits itself; leave quantised out",
    frozenset({"quantised", "secagg"}): "secagg sends whole numbers of privacy.bits itself; leave quantised out",
    frozenset({"dp-client", "quantised"}): "in the open the server adds its noise to floats; leave one of them out",
}
"""Pairs that make no sense together, and why."""


@dataclass(frozen=True)
class Kind:
    """The mechanisms of a run.

    Attributes:
        mechanisms: Names out of `MECHANISMS`.
    """

    mechanisms: frozenset[str]

    def __contains__(self, mechanism: str) -> bool:
        """Return whether the run has a mechanism."""
        return mechanism in self.mechanisms

    @property
    def is_private(self) -> bool:
        """Whether the run has any mechanism at all."""
        return bool(self.mechanisms)

    @property
    def has_noise(self) -> bool:
        """Whether the run has differential privacy of either level."""
        return bool(self.mechanisms & {"dp-example", "dp-client"})

    @property
    def carrier(self) -> str:
        """What carries updates to the server: `he`, `secagg`, `quantised` or `plain`."""
        return next((name for name in ("he", "secagg", "quantised") if name in self.mechanisms), "plain")

    @property
    def is_hidden(self) -> bool:
        """Whether the server sees sums of updates only."""
        return self.carrier in ("he", "secagg")


def parse_kind(text: str) -> Kind:
    """Return the mechanisms that `privacy.kind` names.

    Raises:
        ValueError: A name is unknown or stands twice, or two mechanisms make no sense together; says which and why.
    """
    if text in PRESETS:
        return Kind(frozenset(PRESETS[text]))
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name not in MECHANISMS:
            near = difflib.get_close_matches(name, [*MECHANISMS, *PRESETS], n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            alone = "stands for several mechanisms and alone" if name in PRESETS else f"is no mechanism{hint}"
            allowed = f"a preset ({', '.join(PRESETS)}), or mechanisms joined with + ({', '.join(MECHANISMS)})"
            raise ValueError(f"{name!r} {alone}; allowed: {allowed}")
    if len(set(names)) < len(names):
        raise ValueError("names a mechanism twice; name each once")
    for pair, why in EXCLUSIVE.items():
        if pair <= set(names):
            raise ValueError(f"{' with '.join(sorted(pair))}: {why}")
    return Kind(frozenset(names))


def faults(settings: PrivacySettings, *, min_replies: int) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong and what to do) for settings that are allowed one by one but make no sense together.

    Args:
        settings: The settings.
        min_replies: Replies without which a round is given up.
    """
    try:
        kind = parse_kind(settings.privacy_kind)
    except ValueError as error:
        yield "privacy.kind", f"{settings.privacy_kind!r}: {error}"
        return
    for name, parse, text in (
        ("privacy.ledger.admit", parse_admit, settings.privacy_ledger_admit),
        ("privacy.ledger.revoke", parse_revoke, settings.privacy_ledger_revoke),
    ):
        try:
            parse(text)
        except ValueError as error:
            yield name, str(error)
    if kind.is_hidden and min_replies < 2:
        yield (
            "min-replies",
            f"{min_replies} with {kind.carrier}: the sum of one update is that update; set it to 2 or more",
        )
    if settings.privacy_he_scheme == "ckks" and "dp-client" in kind and kind.carrier == "he":
        yield (
            "privacy.he.scheme",
            "'ckks' with dp-client: noise in shares needs exact sums of whole numbers; use bfv",
        )
    if settings.privacy_ledger_evm and "ledger" not in kind:
        yield "privacy.ledger.evm", "without ledger: there are no roots; leave it out, or add ledger to privacy.kind"
    if settings.privacy_he_layers and kind.carrier != "he":
        yield "privacy.he.layers", "without he: nothing is encrypted; leave it out, or add he to privacy.kind"
    if settings.privacy_he_layers and "dp-client" in kind:
        yield (
            "privacy.he.layers",
            "with dp-client: an update in the open carries its own share of the noise only; encrypt all of it",
        )
    if "dp-client" in kind and kind.carrier != "plain" and settings.privacy_bits < 16:
        yield (
            "privacy.bits",
            f"{settings.privacy_bits} with dp-client under {kind.carrier}: the noise in whole numbers needs 16; set it to 16",
        )
    if settings.privacy_client_sampling == "poisson" and "dp-client" in kind and kind.carrier != "plain":
        yield (
            "privacy.client.sampling",
            f"'poisson' with {kind.carrier}: its least number of contributions would tell how many were drawn; use 'all'",
        )
    if settings.privacy_client_sampling == "poisson" and "dp-client" not in kind:
        yield (
            "privacy.client.sampling",
            "'poisson' without dp-client: only dp-client accounts for it; leave it out, or add dp-client to privacy.kind",
        )
