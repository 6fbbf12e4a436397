# SPDX-License-Identifier: Apache-2.0
"""The keys of the run configuration that begin with `privacy.`."""

from dataclasses import dataclass

from fedgen.keys import key


@dataclass(frozen=True, kw_only=True)
class PrivacySettings:
    """Which mechanisms protect the clinics' updates, and how strongly."""

    privacy_kind: str = key(
        "privacy.kind",
        "none",
        "Preset none, dp, he, secagg, secure (dp + he + ledger), secure-secagg (dp + secagg + ledger), or mechanisms joined "
        "with +: dp-example, dp-client, he, secagg, ledger, quantised.",
    )
    privacy_bits: int = key(
        "privacy.bits", 8, "Bits of a value of an update under he, secagg and quantised.", minimum=4, maximum=16
    )
    privacy_first_range: float = key(
        "privacy.first-range",
        0.05,
        "Largest value of an update that the first round can carry in whole numbers; later rounds follow the model's moves.",
        exclusiveMinimum=0,
    )
    privacy_he_scheme: str = key(
        "privacy.he.scheme",
        "bfv",
        "Encryption of he: bfv (whole numbers, exact sums, few bytes) or ckks (floats, nearly right sums, 4.6 times the bytes).",
        enum=["bfv", "ckks"],
    )
    privacy_he_layers: str = key(
        "privacy.he.layers",
        "",
        "Arrays of the model that he encrypts, by name with commas, as in 'encoder.*, latent.*'; the server reads the others. "
        "Empty: all are encrypted.",
    )
    privacy_he_authority: int = key(
        "privacy.he.authority",
        -1,
        "Number of the client that deals the keys of he and decrypts sums; -1: the first by node id. A SuperNode with "
        'role="key-authority" in its node config goes before.',
        minimum=-1,
    )
    privacy_he_leave_after: int = key(
        "privacy.he.leave-after",
        3,
        "Rounds without connection after which a holder of the key of he has left and a new key is dealt.",
        minimum=1,
    )
    privacy_public_threshold: float = key(
        "privacy.public-threshold",
        2.0,
        "Score above which a beat is called abnormal under dp-client, where no statistics of scores leave a clinic, and under "
        "dp-example while their noise is too strong to say.",
    )
    privacy_example_epsilon: float = key(
        "privacy.example.epsilon", 8.0, "Budget of dp-example for each clinic.", exclusiveMinimum=0
    )
    privacy_example_noise: float = key(
        "privacy.example.noise",
        -1.0,
        "Noise of dp-example as a multiple of the clip; -1: the least that keeps the budget over all rounds; 0: none, and no "
        "guarantee.",
        minimum=-1,
    )
    privacy_example_delta: float = key(
        "privacy.example.delta", 0.0, "Delta of dp-example; 0: 1 / (10 n) with n the clinic's examples.", minimum=0
    )
    privacy_example_clip: float = key(
        "privacy.example.clip", 1.0, "Largest norm of one example's gradient under dp-example.", exclusiveMinimum=0
    )
    privacy_client_epsilon: float = key(
        "privacy.client.epsilon", 8.0, "Budget of dp-client for each client.", exclusiveMinimum=0
    )
    privacy_client_noise: float = key(
        "privacy.client.noise",
        -1.0,
        "Noise of dp-client as a multiple of the clip; -1: the least that keeps the budget over all rounds; 0: none, and no "
        "guarantee.",
        minimum=-1,
    )
    privacy_client_delta: float = key(
        "privacy.client.delta", 0.0, "Delta of dp-client; 0: 1 / (10 n) with n clients.", minimum=0
    )
    privacy_client_clip: float = key(
        "privacy.client.clip", 1.0, "Largest norm of one client's update under dp-client.", exclusiveMinimum=0
    )
    privacy_client_sampling: str = key(
        "privacy.client.sampling",
        "all",
        "Under dp-client: all (fraction-train of the clients), or poisson (each client with that chance; amplifies privacy).",
        enum=["all", "poisson"],
    )
    privacy_answer_wait_s: float = key(
        "privacy.answer-wait-s",
        120.0,
        "Longest wait for the answers to a mechanism's question (keys, shares, votes); training has round-deadline-s.",
        exclusiveMinimum=0,
    )
    privacy_secagg_dropout: float = key(
        "privacy.secagg.dropout",
        0.3,
        "Share of a round's clients that may drop out under secagg.",
        minimum=0,
        maximum=0.5,
    )
    privacy_secagg_collusion: float = key(
        "privacy.secagg.collusion",
        0.1,
        "Share of a round's clients that may collude with the server under secagg; at least one is taken to.",
        minimum=0,
        maximum=0.5,
    )
    privacy_ledger_admit: str = key(
        "privacy.ledger.admit",
        "",
        "Institutions that may join the ledger, by partition number, as in '0, 1, 4'; empty: all.",
    )
    privacy_ledger_revoke: str = key(
        "privacy.ledger.revoke",
        "",
        "Institutions to revoke, as INSTITUTION@ROUND with commas, as in '3@2'; effective from the next round on.",
    )
    privacy_ledger_evm: str = key(
        "privacy.ledger.evm",
        "",
        "Chain that gets the Merkle root of every block of the ledger: tester (in the ServerApp's process) or the address of a "
        "node's JSON-RPC; needs the extra evm. Empty: none.",
    )
