# SPDX-License-Identifier: Apache-2.0
"""Errors that a user of the app can act on."""


class ConfigError(ValueError):
    """A key of the run configuration is unknown, missing or out of range."""


class DataError(RuntimeError):
    """The wanted patient data is absent, incomplete or not what its publisher released."""


class ProtocolError(RuntimeError):
    """A message of a cryptographic protocol breaks its rules, or too few take part; nothing is given away."""
