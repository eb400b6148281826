"""The tree of errors is a promise: codes are stable, and each error stands on its side of it."""

import inspect
from collections.abc import Callable

import pytest

from engine import errors
from engine.catalog import lock_strategy
from engine.errors import SYSTEM_CODES, BusinessError, SystemFault, WalletraceError
from engine.operations import Add, Batch, Open, Transfer, Withdraw

BUSINESS = {
    "InvalidAmount": "invalid_amount",
    "InvalidAccount": "invalid_account",
    "InvalidBatch": "invalid_batch",
    "InvalidRequest": "invalid_request",
    "SameAccount": "same_account",
    "InsufficientFunds": "insufficient_funds",
    "BalanceTooLarge": "balance_too_large",
    "UnknownWallet": "unknown_wallet",
    "WalletExists": "wallet_exists",
    "KeyReused": "key_reused",
    "OrderRejected": "order_rejected",
}
SYSTEM = {
    "StoreBusy": "store_busy",
    "StoreFull": "store_full",
    "StoreUnavailable": "store_unavailable",
    "StoreForbidden": "store_forbidden",
    "Undone": "undone",
    "Conflict": "conflict",
    "VersionChanged": "version_changed",
    "FenceLost": "fence_lost",
    "LockTimeout": "lock_timeout",
    "LockTaken": "lock_taken",
    "SerializationFailed": "serialization_failed",
    "DeadlockVictim": "deadlock_victim",
    "Timeout": "timeout",
    "CacheUnavailable": "cache_unavailable",
    "LoadFailed": "load_failed",
    "HistoryIncomplete": "history_incomplete",
    "HistoryMalformed": "history_malformed",
}
OTHERS = {
    "WalletraceError": "walletrace_error",
    "BusinessError": "business_error",
    "SystemFault": "system_fault",
    "UsageError": "usage",
}


def classes() -> dict[str, type[WalletraceError]]:
    return {
        name: found
        for name, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, WalletraceError)
    }


def test_every_error_keeps_its_own_code() -> None:
    codes = {name: found.code for name, found in classes().items()}
    assert codes == BUSINESS | SYSTEM | OTHERS
    assert len(set(codes.values())) == len(codes)


def test_refusals_of_business_and_faults_of_the_system_never_mix() -> None:
    found = classes()
    assert {name for name in found if issubclass(found[name], BusinessError)} == {
        "BusinessError",
        *BUSINESS,
    }
    assert {name for name in found if issubclass(found[name], SystemFault)} == {
        "SystemFault",
        *SYSTEM,
    }
    assert frozenset(SYSTEM.values()) == SYSTEM_CODES


def test_only_a_lost_answer_leaves_open_whether_it_happened() -> None:
    unsure = {name for name in SYSTEM if classes()[name].may_have_happened}  # type: ignore[attr-defined]
    assert unsure == {"StoreUnavailable", "Timeout"}


def test_the_docstring_draws_every_error() -> None:
    assert [name for name in classes() if name not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize(
    ("wrong", "value", "way_out"),
    [
        (lambda: Withdraw("no spaces", 1), "'no spaces'", "use 1 to 64 letters"),
        (lambda: Withdraw("u", -5), "-0.05", "use 0.01 to"),
        (lambda: Transfer("u", "u", 1), "'u'", "name two accounts"),
        (lambda: Batch(()), "a batch of 0", "send 1 to 1000"),
        (lambda: Batch((Open("u"),)), "Open(account='u'", "use withdraw, add and transfer"),  # type: ignore[arg-type]
        (lambda: Add("u", 1).apply({}), "'u'", "create it first"),
        (lambda: Open("u").apply({"u": 0}), "'u'", "use another name"),
        (lambda: Withdraw("u", 500).apply({"u": 100}), "u holds 1.00", "5.00 asked for"),
        (lambda: lock_strategy("gloabl"), "'gloabl'", "known: none, global, per-user, db-row"),
    ],
)
def test_a_message_carries_the_value_and_the_way_out(
    wrong: Callable[[], object], value: str, way_out: str
) -> None:
    with pytest.raises(WalletraceError) as refusal:
        wrong()
    assert value in str(refusal.value)
    assert way_out in str(refusal.value)
