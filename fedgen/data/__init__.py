# SPDX-License-Identifier: Apache-2.0
"""Patients: where their recordings come from, how they are cleaned, and who holds them."""
