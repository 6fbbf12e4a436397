# SPDX-License-Identifier: Apache-2.0
"""The server's half of a protected run, put together from the settings."""

from functools import partial
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context

from fedgen.config import AppConfig
from fedgen.privacy.frame import SPENT, Guarantee
from fedgen.privacy.kinds import Kind
from fedgen.privacy.registry import GUARDS, carrier_of, make_codec
from fedgen.privacy.score_tail import threshold_rule
from fedgen.privacy.selective import SelectiveCarrier, hidden_places, words
from fedgen.privacy.spent import ExampleSpent
from fedgen.privacy.statements import statements
from fedgen.privacy.vectors import layout_of
from fedgen.strategies.private_fedavg import PrivateFedAvg
from fedgen.work import WorkReport, add_notice, add_to_context


def private_strategy(
    kind: Kind, config: AppConfig, context: Context, initial: ArrayRecord, rules: dict[str, Any]
) -> PrivateFedAvg:
    """Return the strategy with all mechanisms of a run.

    Args:
        kind: The mechanisms.
        config: The settings.
        context: Where work reports and what has been released are left.
        initial: The model before training.
        rules: See `TolerantFedAvg`.
    """
    layout = layout_of(initial)
    codec = make_codec(kind, config, layout)
    carrier = carrier_of(kind, config).server(config, codec.largest)
    if config.privacy_he_layers:
        carrier = SelectiveCarrier(carrier, hidden_places(layout, config.privacy_he_layers), codec.largest)
        add_notice(context, words(layout, config.privacy_he_layers))

    def report_work(work: WorkReport) -> None:
        add_to_context(context, work)

    def report_spent(guarantees: list[Guarantee]) -> None:
        if guarantees:
            context.state[SPENT] = ConfigRecord({each.words: each.epsilon for each in guarantees})

    for text in statements(kind, config):
        add_notice(context, text)
    return PrivateFedAvg(
        carrier_name=kind.carrier,
        carrier=carrier,
        codec=codec,
        guards=[guard.server(config, context) for name, guard in GUARDS.items() if name in kind],
        report_work=report_work,
        report_spent=report_spent,
        example_spent=ExampleSpent(config.privacy_example_delta) if "dp-example" in kind else None,
        sampling=config.privacy_client_sampling,
        threshold_rule=threshold_rule(kind, config, partial(add_notice, context)),
        answer_wait_s=config.privacy_answer_wait_s,
        **rules,
    )
