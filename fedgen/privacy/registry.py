# SPDX-License-Identifier: Apache-2.0
"""The mechanisms by name: a new one is a file and a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import Context

from fedgen.config import AppConfig
from fedgen.ledger import stamps
from fedgen.ledger.access import parse_access
from fedgen.ledger.guard import LedgerGuard
from fedgen.privacy import he, he_keys, plain
from fedgen.privacy.client_level import CentralNoiseCodec, SkellamCodec
from fedgen.privacy.codecs import Codec, FloatCodec, QuantisedCodec
from fedgen.privacy.frame import Carrier, Guard, Query, Seal, Stamp
from fedgen.privacy.kinds import Kind
from fedgen.privacy.secagg import answers, carrier
from fedgen.privacy.vectors import Layout


@dataclass(frozen=True)
class CarrierHalves:
    """Both halves of a carrier.

    Attributes:
        server: Makes the server's half: (settings, largest size of a number, or 0 for floats).
        seal: The client's half.
        is_exact: It carries whole numbers.
    """

    server: Callable[[AppConfig, int], Carrier]
    seal: Seal
    is_exact: bool


@dataclass(frozen=True)
class GuardHalves:
    """Both halves of a guard."""

    server: Callable[[AppConfig, Context], Guard]
    stamp: Stamp


def _secagg(config: AppConfig, largest: int) -> Carrier:
    """Return the server's half of secure aggregation."""
    return carrier.SecAggCarrier(
        largest, dropout=config.privacy_secagg_dropout, collusion=config.privacy_secagg_collusion
    )


CARRIERS: dict[str, CarrierHalves] = {
    "he": CarrierHalves(he.BfvCarrier, he.seal, is_exact=True),
    "he-ckks": CarrierHalves(he.CkksCarrier, he.seal_floats, is_exact=False),
    "plain": CarrierHalves(lambda config, largest: plain.PlainCarrier(), plain.seal, is_exact=False),
    "quantised": CarrierHalves(
        lambda config, largest: plain.QuantisedCarrier(largest), plain.seal_whole, is_exact=True
    ),
    "secagg": CarrierHalves(_secagg, answers.seal, is_exact=True),
}
"""Carriers by `Kind.carrier`, and another scheme of one."""


def _ledger(config: AppConfig, context: Context) -> Guard:
    """Return the server's half of the ledger."""
    access = parse_access(config.privacy_ledger_admit, config.privacy_ledger_revoke)
    return LedgerGuard(access, context, config.privacy_ledger_evm)


GUARDS: dict[str, GuardHalves] = {"ledger": GuardHalves(_ledger, stamps.stamp)}
"""Guards by their name in `privacy.kind`."""

QUERIES: dict[str, Query] = {
    "he_join": he_keys.answer_join,
    "he_deal": he_keys.answer_deal,
    "he_key": he_keys.answer_key,
    he.OPEN: he.answer_open,
    **answers.ANSWERS,
    **stamps.QUERIES,
}
"""What a client answers besides training, by action: a message of type `query.<action>`."""


def carrier_of(kind: Kind, config: AppConfig) -> CarrierHalves:
    """Return the carrier that the mechanisms and the settings ask for."""
    is_other = kind.carrier == "he" and config.privacy_he_scheme == "ckks"
    return CARRIERS["he-ckks" if is_other else kind.carrier]


def make_codec(kind: Kind, config: AppConfig, layout: Layout) -> Codec:
    """Return the codec that fits the mechanisms; the same on the server and on every client."""
    is_exact = carrier_of(kind, config).is_exact
    if "dp-client" in kind:
        return SkellamCodec(config, layout) if is_exact else CentralNoiseCodec(config)
    if is_exact:
        return QuantisedCodec(layout, bits=config.privacy_bits, first_range=config.privacy_first_range)
    return FloatCodec()
