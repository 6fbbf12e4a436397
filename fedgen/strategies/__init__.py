# SPDX-License-Identifier: Apache-2.0
"""How the server combines what the clients send."""

from fedgen.strategies.private_fedavg import PrivateFedAvg
from fedgen.strategies.tolerant_fedavg import TolerantFedAvg

__all__ = ["PrivateFedAvg", "TolerantFedAvg"]
