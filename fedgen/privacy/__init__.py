# SPDX-License-Identifier: Apache-2.0
"""What keeps a clinic's update from telling about its patients: noise, encryption, masks, and a ledger of it all.

One idea per file. `kinds` says which mechanisms a run has and refuses combinations that make no sense; `frame` says what
a mechanism is; `registry` lists them. The rest is the mechanisms. Without one the app does what it did before they were there.
"""
