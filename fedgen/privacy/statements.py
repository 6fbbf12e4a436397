# SPDX-License-Identifier: Apache-2.0
"""What a run's mechanisms promise and assume, in words for whoever reads the report."""

from collections.abc import Iterator

from fedgen.config import AppConfig
from fedgen.privacy.kinds import Kind


def statements(kind: Kind, config: AppConfig) -> Iterator[str]:
    """Yield one sentence or a few for each thing that a reader must know about the run's privacy."""
    if "dp-example" in kind:
        yield from _example(config)
    if "dp-client" in kind:
        yield from _client(kind, config)
    if "dp-example" in kind and "dp-client" in kind:
        yield "Privacy: both levels run. For one example the smaller epsilon counts; they are not added."
    if kind.carrier == "he":
        yield (
            "Privacy: all clients share one secret key. The server alone reads no single update; the server and any one client "
            "together read all of them. The sum, and the model, are seen by the server."
        )
    if not kind.is_hidden:
        yield "Privacy: the server reads every single update."
    if not kind.has_noise:
        yield "Privacy: no differential privacy. What the model itself remembers of a patient is not hidden."


def _example(config: AppConfig) -> Iterator[str]:
    if config.privacy_example_noise == 0.0:
        yield "Privacy: dp-example runs without noise: there is no guarantee."
        return
    yield (
        "Privacy: the guarantee is for one heart beat of a clinic, not for a patient: someone with k beats in the training is "
        "covered only with k times the epsilon, which for thousands of beats says nothing. The federation's epsilon is the "
        "largest of the clinics'."
    )
    yield (
        "Privacy: charged are the training (DP-SGD) and the counts of scores behind the threshold (a tenth of the budget's "
        "rho). Taken as public are each clinic's number of beats and all settings. Not covered are the first 300 beats of each "
        "patient, which make template and scale and are not trained on."
    )


def _client(kind: Kind, config: AppConfig) -> Iterator[str]:
    if config.privacy_client_noise == 0.0:
        yield "Privacy: dp-client runs without noise: there is no guarantee."
        return
    who = (
        "added by the server, which sees single updates"
        if kind.carrier == "plain"
        else "added by the clients in shares"
    )
    yield (
        "Privacy: the guarantee is for a client with all its patients and beats; where a client is one patient's device it is "
        f"that patient's guarantee. The noise is {who}. The threshold is public, and no statistics of scores leave a client."
    )
    if config.privacy_client_sampling == "poisson":
        yield (
            "Privacy: the epsilon counts on nobody knowing who was drawn in a round. It holds against those who see the models, "
            "not against the server or whoever watches the network."
        )
