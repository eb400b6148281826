"""The requests that users draw."""

import random
from itertools import islice

import pytest

from engine.money import parse_cents
from locustfiles.options import AMOUNT_MAX
from locustfiles.requests import Luck

ACCOUNTS = ("a", "b", "c")


def drawn(seed, accounts=ACCOUNTS, count=2000):
    luck = Luck(random.Random(seed), accounts, parse_cents(AMOUNT_MAX))
    return list(islice(iter(luck.mixed, None), count))


def test_a_seed_repeats_every_request():
    assert drawn("1/0/1") == drawn("1/0/1")
    assert drawn("1/0/1") != drawn("1/0/2")


def test_the_mix_has_every_kind_and_one_account_does_without_transfers():
    kinds = {request.kind for request in drawn(1)}
    assert kinds == {"withdraw", "add", "transfer", "batch", "balance"}
    assert "transfer" not in {request.kind for request in drawn(1, ("hot",))}


def test_amounts_hardly_ever_repeat():
    amounts = [request.body["amount"] for request in drawn(1) if request.kind == "withdraw"]
    assert len(set(amounts)) > 0.99 * len(amounts)


def _moves(body, path):
    if "operations" in body:
        return [move for leg in body["operations"] for move in _moves(leg, leg["kind"])]
    cents = parse_cents(body["amount"])
    if "source" in body:
        return [(body["source"], -cents), (body["target"], cents)]
    account = body.get("account") or path.split("/")[2]
    return [(account, -cents if path.endswith("withdraw") else cents)]


@pytest.mark.parametrize("kind", ["withdraw", "add", "transfer", "batch"])
def test_the_effects_are_those_of_the_body(kind):
    for request in drawn(2):
        if request.kind == kind:
            expected = dict.fromkeys(request.effects, 0)
            for account, cents in _moves(request.body, request.path):
                expected[account] += cents
            assert request.effects == expected


def test_a_balance_is_asked_for_without_a_body():
    question = next(request for request in drawn(1) if request.kind == "balance")
    assert question.body is None
    assert question.effects == {}
