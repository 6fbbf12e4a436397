"""Secure aggregation as a whole: right sums whoever falls silent, and nothing given away when too many do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secagg_round import STEPS, Group, play, play_with

from fedgen.errors import ProtocolError
from fedgen.privacy.secagg.graph import rules
from fedgen.privacy.secagg.masks import Masker
from fedgen.privacy.secagg.server import SecAggServer, TooFew

LENGTH = 33


def values_of(nodes: list[int]) -> dict[int, np.ndarray]:
    random = np.random.default_rng(sum(nodes))
    return {node: random.integers(0, 2**16, LENGTH).astype(np.uint32) for node in nodes}


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_sum_is_right_with_any_third_of_the_clients_silent_from_any_step(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 14))
    nodes = data.draw(st.lists(st.integers(0, 2**63), min_size=count, max_size=count, unique=True))
    silent = data.draw(st.permutations(nodes))[: data.draw(st.integers(0, int(0.3 * count)))]
    # before `share` a client is simply not in the round, so that the threshold counts those who are
    silent_from = {node: data.draw(st.sampled_from(STEPS[1:])) for node in silent}
    values = values_of(nodes)
    server = play(values, silent_from)
    expected = sorted(node for node in nodes if silent_from.get(node, "reveal") not in ("share", "mask"))
    assert list(server.survivors) == expected
    np.testing.assert_array_equal(server.total(), sum(values[node] for node in expected))


@pytest.mark.parametrize("step", STEPS)
def test_sum_is_right_above_fifty_clients_where_masks_go_to_neighbours_only(step: str) -> None:
    nodes = list(range(100, 172))
    silent_from = dict.fromkeys(nodes[::4], step)
    values = values_of(nodes)
    server = play(values, silent_from)
    assert server.neighbours == rules(54 if step == "advertise" else 72).neighbours < len(nodes) - 1
    np.testing.assert_array_equal(server.total(), sum(values[node] for node in server.survivors))


def test_single_uploads_look_random_and_tell_nothing_of_the_values() -> None:
    group = Group(range(5))
    clients = group.clients(1)
    server = SecAggServer(1, {n: c.advertise() for n, c in clients.items()})
    server.take_shares({n: clients[n].share(a.first, a.second) for n, a in server.ask_shares().items()})
    zeros = np.zeros(50_000, dtype=np.uint32)
    uploads = [clients[n].mask(zeros, a.first, a.second) for n, a in server.ask_masked().items()]
    for upload in uploads:
        counts = np.bincount(upload >> 24, minlength=256)
        chi_square = float(((counts - len(upload) / 256) ** 2).sum() / (len(upload) / 256))
        assert 150 < chi_square < 400  # 255 degrees of freedom; outside by chance about once in 10^6
    assert len({upload.tobytes() for upload in uploads}) == 5
    assert np.any(sum(uploads)), "the own masks stay until the last step"


@pytest.mark.parametrize("step", STEPS[1:])
def test_too_few_left_ends_the_round_with_nothing_revealed(step: str) -> None:
    nodes = list(range(10))
    silent_from = dict.fromkeys(range(5), step)
    if step == "reveal":
        server = play(values_of(nodes), silent_from)
        with pytest.raises(TooFew, match="no sum is known"):
            server.total()
        return
    with pytest.raises(TooFew, match=r"5 of 10 clients have .*; 6 are needed\. The round ends, nothing was revealed"):
        play(values_of(nodes), silent_from)


def half_way(count: int) -> tuple[SecAggServer, dict, dict]:
    """Play a round up to the masked uploads."""
    clients = Group(range(count)).clients(1)
    values = values_of(list(range(count)))
    server = SecAggServer(1, {n: c.advertise() for n, c in clients.items()})
    server.take_shares({n: clients[n].share(a.first, a.second) for n, a in server.ask_shares().items()})
    server.take_masked({n: clients[n].mask(values[n], a.first, a.second) for n, a in server.ask_masked().items()})
    return server, clients, values


def test_two_lists_of_survivors_cannot_both_be_agreed_upon() -> None:
    """A lying server tells one half that a client has dropped out, and the other that it has not: it wants both its secrets."""
    _, clients, _ = half_way(10)
    everybody, without_zero = (2**10 - 1).to_bytes(2, "big"), (2**10 - 2).to_bytes(2, "big")
    told = {node: everybody if node < 5 else without_zero for node in range(10)}
    signatures = {node: clients[node].agree(told[node]) for node in range(10)}
    for node in (0, 9):
        same = [other for other in range(10) if told[other] == told[node]]
        bits = sum(1 << other for other in same).to_bytes(2, "big")
        with pytest.raises(
            ProtocolError, match="5 clients have signed the list of survivors we were shown; 6 are needed"
        ):
            clients[node].reveal(bits, b"".join(signatures[other] for other in same))


def test_signatures_under_another_list_do_not_count() -> None:
    _, clients, _ = half_way(10)
    everybody, without_zero = (2**10 - 1).to_bytes(2, "big"), (2**10 - 2).to_bytes(2, "big")
    signatures = [clients[node].agree(everybody if node == 0 else without_zero) for node in range(10)]
    with pytest.raises(ProtocolError, match="1 clients have signed"):
        clients[0].reveal(everybody, b"".join(signatures))


def test_a_client_takes_no_step_twice_and_none_out_of_order() -> None:
    server, clients, values = half_way(5)
    asked = server.ask_masked()[0]
    with pytest.raises(ProtocolError, match="done is 'masked'"):
        clients[0].mask(
            values[0] + 1, asked.first, asked.second
        )  # two uploads under one mask would tell their difference
    fresh, other, _ = half_way(5)
    with pytest.raises(ProtocolError, match="done is 'masked'"):
        other[0].reveal(b"\x1f", b"")
    first = other[0].agree(fresh.ask_agreement()[0].first)
    assert len(first) == 64
    with pytest.raises(ProtocolError, match="done is 'agreed'"):
        other[0].agree(fresh.ask_agreement()[0].first)


def test_a_list_with_too_few_survivors_is_not_signed() -> None:
    _, clients, _ = half_way(10)
    with pytest.raises(ProtocolError, match="a list of 5 survivors is refused"):
        clients[0].agree((2**5 - 1).to_bytes(2, "big"))


def test_an_identity_that_changes_is_refused() -> None:
    group = Group(range(4))
    values = values_of(list(range(4)))
    play_with(group.clients(1), values, {}, 1)
    group.identities[3] = Group([3]).identities[3]
    clients = group.clients(2)
    server = SecAggServer(2, {n: c.advertise() for n, c in clients.items()})
    asked = server.ask_shares()[0]
    with pytest.raises(ProtocolError, match="the identity of node 3 is not the one known from before"):
        clients[0].share(asked.first, asked.second)


def test_an_advert_exchanged_by_the_server_is_refused() -> None:
    clients = Group(range(4)).clients(1)
    adverts = {n: c.advertise() for n, c in clients.items()}
    server = SecAggServer(1, adverts)
    asked = server.ask_shares()[0]
    forged = bytearray(asked.second)
    forged[40] ^= 1  # a bit of the first neighbour's mask key
    with pytest.raises(ProtocolError, match="the advert of node 1 is not signed by that node"):
        clients[0].share(asked.first, bytes(forged))


def test_nonsense_harms_only_its_sender() -> None:
    nodes = list(range(10))
    clients = Group(nodes).clients(1)
    values = values_of(nodes)
    adverts = {n: c.advertise() for n, c in clients.items()}
    adverts[9] = b"nonsense"
    server = SecAggServer(1, adverts)
    shares = {n: clients[n].share(a.first, a.second) for n, a in server.ask_shares().items()}
    shares[8] = (shares[8][0][:-1], shares[8][1])
    server.take_shares(shares)
    uploads = {n: clients[n].mask(values[n], a.first, a.second) for n, a in server.ask_masked().items()}
    server.take_masked(uploads)
    signatures = {n: clients[n].agree(a.first) for n, a in server.ask_agreement().items()}
    signatures[7] = bytes(64)
    server.take_agreement(signatures)
    shown = {n: clients[n].reveal(a.first, a.second) for n, a in server.ask_reveal().items()}
    shown[6] = bytes(len(shown[6]))  # shares of its own making
    server.take_revealed(shown)
    assert server.survivors == tuple(range(8))
    np.testing.assert_array_equal(server.total(), sum(values[node] for node in range(8)))
    assert {9, 8, 7, 6} == set(server.refused)


def test_a_client_that_shares_another_key_than_it_uses_is_named() -> None:
    clients = Group(range(10)).clients(1)
    values = values_of(list(range(10)))
    server = SecAggServer(1, {n: c.advertise() for n, c in clients.items()})
    liar = clients[4].secrets
    assert liar is not None
    true_key, liar.mask_private = liar.mask_private, bytes(31) + b"\x01"
    shares = {n: clients[n].share(a.first, a.second) for n, a in server.ask_shares().items()}
    liar.mask_private = true_key
    server.take_shares(shares)
    server.take_masked(
        {n: clients[n].mask(values[n], a.first, a.second) for n, a in server.ask_masked().items() if n != 4}
    )
    server.take_agreement({n: clients[n].agree(a.first) for n, a in server.ask_agreement().items()})
    server.take_revealed({n: clients[n].reveal(a.first, a.second) for n, a in server.ask_reveal().items()})
    with pytest.raises(ProtocolError, match="node 4 has shared another key than the one it advertised"):
        server.total()


def test_less_than_three_clients_are_not_hidden() -> None:
    clients = Group(range(2)).clients(1)
    with pytest.raises(TooFew, match="2 clients have advertised keys; at least 3 are needed"):
        SecAggServer(1, {n: c.advertise() for n, c in clients.items()})


def test_sum_of_masks_alone_is_zero() -> None:
    masker = Masker(7)
    total = np.zeros(7, dtype=np.uint32)
    for own in range(4):
        masker.add_pairs(total, own, {other: bytes([own ^ other]) * 32 for other in range(4) if other != own})
    assert not total.any()
