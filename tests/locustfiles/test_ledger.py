"""The interval of what the calls may have done to the money."""

from hypothesis import given
from hypothesis import strategies as st

from locustfiles.ledger import Ledger, differences, effects_of

EFFECTS = st.dictionaries(st.sampled_from("abc"), st.integers(-10_000, 10_000), max_size=3)
CALLS = st.lists(st.tuples(EFFECTS, st.sampled_from(["ok", "refused", "unknown"]), st.booleans()))


@given(CALLS)
def test_whatever_unanswered_calls_did_the_balance_lies_in_the_interval(calls):
    ledger, truth = Ledger(), dict.fromkeys("abc", 0)
    for effects, outcome, landed in calls:
        ledger.sent(effects)
        if outcome == "ok":
            ledger.happened(effects)
        elif outcome == "refused":
            ledger.nothing_happened(effects)
        if outcome == "ok" or (outcome == "unknown" and landed):
            for account, cents in effects.items():
                truth[account] += cents
    assert differences(0, ledger, truth) == {}


@given(CALLS)
def test_the_interval_is_as_wide_as_the_unanswered_calls_and_no_wider(calls):
    ledger, width = Ledger(), 0
    for effects, outcome, _ in calls:
        ledger.sent(effects)
        if outcome == "ok":
            ledger.happened(effects)
        elif outcome == "refused":
            ledger.nothing_happened(effects)
        else:
            width += sum(abs(cents) for cents in effects.values())
    ends = [ledger.interval(account) for account in "abc"]
    assert sum(high - low for low, high in ends) == width


def test_one_cent_below_or_above_the_interval_is_found():
    ledger = Ledger()
    ledger.sent({"u": -500})  # never answered
    ledger.sent({"u": 200})
    ledger.happened({"u": 200})
    held = {"u": 1000 - 300 - 1}
    assert differences(1000, ledger, held) == {"u": -1}
    assert differences(1000, ledger, {"u": 1000 + 200 + 1}) == {"u": 1}


def test_a_wallet_that_nobody_touched_must_hold_its_opening():
    assert differences(1000, Ledger(), {"u": 1000, "v": 900}) == {"v": -100}


def test_sums_of_two_processes_add_up():
    one, other = Ledger(), Ledger()
    one.sent({"u": -500})
    one.happened({"u": -500})
    other.sent({"u": 300})
    one.merge(other.low, other.high)
    assert one.interval("u") == (-500, -200)


def test_a_batch_counts_by_its_net_effect_on_each_account():
    assert effects_of([("u", -500), ("u", 300), ("v", 200)]) == {"u": -200, "v": 200}
