"""Who may write what, what a ledger node refuses, and what is lost on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ledger_builder import FORM, Federation, digest

from fedgen.ledger.entries import Entry, LedgerError
from fedgen.ledger.node import Node, node_from
from fedgen.ledger.replica import replica_from
from fedgen.privacy.identity import Identity, new_identity


def sent(federation: Federation, number: int, server_round: int = 1) -> None:
    key = federation.members[number].public.hex()
    federation.ledger.write("model", server_round, member=key, digest=digest("model", server_round - 1), about=FORM)


def test_an_update_needs_a_model_and_counts_once() -> None:
    federation = Federation()
    with pytest.raises(LedgerError, match="to whom no model was sent"):
        federation.ledger.take(federation.update(0, 1).to_bytes())
    sent(federation, 0)
    federation.ledger.take(federation.update(0, 1).to_bytes())
    with pytest.raises(LedgerError, match="a second update of institution 0"):
        federation.ledger.take(federation.update(0, 1).to_bytes())


def test_an_update_from_another_model_is_refused() -> None:
    federation = Federation()
    sent(federation, 0)
    stale = replace(federation.update(0, 1), about=digest("model", 7)).signed(
        federation.members[0], federation.ledger.replica.name
    )
    with pytest.raises(LedgerError, match="from another model than was sent"):
        federation.ledger.take(stale.to_bytes())


def test_privacy_spent_never_falls() -> None:
    federation = Federation()
    federation.round(1)
    sent(federation, 0, 2)
    with pytest.raises(LedgerError, match="privacy spent by institution 0 falls"):
        federation.ledger.take(federation.update(0, 2, epsilon=0.4).to_bytes())


def test_a_stranger_is_refused_until_admitted_and_then_waits_for_the_next_round() -> None:
    federation = Federation()
    stranger = new_identity()
    with pytest.raises(LedgerError, match="never admitted"):
        federation.ledger.write("model", 1, member=stranger.public.hex(), digest=digest("model", 0), about=FORM)
    federation.ledger.write("admit", 1, member=stranger.public.hex(), name="late")
    assert stranger.public.hex() not in federation.ledger.replica.rules.active(1)
    assert stranger.public.hex() in federation.ledger.replica.rules.active(2)
    with pytest.raises(LedgerError, match="late is not a member in round 1"):
        federation.ledger.write("model", 1, member=stranger.public.hex(), digest=digest("model", 0), about=FORM)


def test_a_revocation_takes_effect_in_the_next_round_and_is_for_good() -> None:
    federation = Federation(4)
    gone = federation.members[2].public.hex()
    federation.ledger.write("revoke", 1, member=gone)
    federation.round(1)
    assert gone not in federation.ledger.replica.rules.active(2)
    with pytest.raises(LedgerError, match="institution 2 is not a member in round 2"):
        sent(federation, 2, 2)
    with pytest.raises(LedgerError, match="an identity is admitted once"):
        federation.ledger.write("admit", 2, member=gone, name="again")
    federation.round(2)
    assert len(federation.ledger._votes[2]) == 3, "who is gone has no vote"


def test_only_approved_models_are_sent() -> None:
    federation = Federation()
    key = federation.members[0].public.hex()
    with pytest.raises(LedgerError, match="not approved"):
        federation.ledger.write("model", 1, member=key, digest=digest("model", 0), about=digest("another form"))


@pytest.mark.parametrize("kind", ["admit", "approve", "revoke", "model", "result"])
def test_members_cannot_act_as_the_coordinator(kind: str) -> None:
    federation = Federation()
    member = federation.members[0]
    entry = Entry(
        kind=kind, round=1, signer=member.public.hex(), member=member.public.hex(), digest=digest(1), about=FORM
    )
    with pytest.raises(LedgerError, match="not the coordinator"):
        federation.ledger.take(entry.signed(member, federation.ledger.replica.name).to_bytes())


def test_rounds_never_go_back_and_a_refused_entry_leaves_no_trace() -> None:
    federation = Federation()
    federation.round(2)
    before = federation.ledger.replica.to_plain()
    with pytest.raises(LedgerError, match="round 1 after round 2"):
        federation.ledger.write("result", 1, digest=digest(1))
    assert federation.ledger.replica.to_plain() == before


def test_a_node_goes_on_from_its_state_and_repeats_lost_votes() -> None:
    federation = Federation()
    key, first = federation.members[0].public.hex(), federation.nodes[0]
    federation.ledger.write("result", 1, digest=digest(1))
    federation.ledger.close_block()
    question = federation.ledger.question_for(key)
    lost = first.review(question)
    again = node_from(federation.members[0], first.to_plain())
    federation.ledger.write("result", 2, digest=digest(2))
    federation.ledger.close_block()
    votes = again.review(federation.ledger.question_for(key))
    assert votes[:1] == lost
    assert federation.ledger.take_votes(key, votes) == 2
    assert replica_from(again.replica.to_plain()).to_plain() == federation.ledger.replica.to_plain()


def test_a_node_votes_for_one_block_of_a_number() -> None:
    federation = Federation()
    node = Node(federation.members[0])
    other = Federation()
    node.review(federation.ledger.question_for("nobody"))
    with pytest.raises(LedgerError, match="tells different things to different institutions"):
        node.review(other.ledger.question_for("nobody"))


def test_a_node_refuses_what_breaks_the_rules_and_votes_for_nothing() -> None:
    federation = Federation()
    coordinator = federation.ledger
    sent(federation, 0)
    question = coordinator.question_for("nobody").replace(b'"kind":"approve"', b'"kind":"revoke"')
    node = Node(federation.members[1])
    with pytest.raises(LedgerError, match="signature"):
        node.review(question)
    assert node.to_plain()["votes"] == []


def test_votes_of_strangers_and_wrong_votes_do_not_count() -> None:
    federation = Federation()
    stranger = Identity(bytes(31) + b"\x55")
    votes = Node(stranger).review(federation.ledger.question_for("nobody"))
    federation.ledger.take_votes(stranger.public.hex(), votes)
    federation.ledger.take_votes(federation.members[0].public.hex(), [bytes(64)])
    assert all(set(own) <= {m.public.hex() for m in federation.members} for own in federation.ledger._votes)
    assert federation.ledger.confirmed == 1
