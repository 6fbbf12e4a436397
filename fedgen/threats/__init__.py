# SPDX-License-Identifier: Apache-2.0
"""What a hostile clinic does with its own data, and how a server checks what it is sent."""
