# SPDX-License-Identifier: Apache-2.0
"""Anomaly scores, the threshold between normal and abnormal, and how good both are."""
