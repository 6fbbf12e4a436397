# SPDX-License-Identifier: Apache-2.0
"""How the server combines what the clients send."""

from fedgen.strategies.tolerant_fedavg import TolerantFedAvg

__all__ = ["TolerantFedAvg"]
