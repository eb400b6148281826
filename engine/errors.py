"""One tree of errors. Each has a stable `code`; a message carries the value and the way out.

WalletraceError
├── BusinessError         the request cannot be honoured; nothing was changed; do not just retry
│   ├── InvalidAmount     InvalidAccount   InvalidBatch   InvalidRequest   SameAccount
│   ├── InsufficientFunds BalanceTooLarge  UnknownWallet  WalletExists
│   └── KeyReused         OrderRejected
├── SystemFault           the system could not do it; says whether anything may have changed
│   ├── StoreBusy         StoreFull        StoreForbidden
│   ├── StoreUnavailable  (where it is certain that nothing was changed: Undone)
│   ├── Conflict          VersionChanged   FenceLost         LockTimeout   LockTaken
│   ├── SerializationFailed                DeadlockVictim
│   ├── Timeout           CacheUnavailable LoadFailed
│   └── HistoryIncomplete HistoryMalformed
└── UsageError            a name or option that does not exist (exit status 2)

A conflict is never reported as insufficient funds: one means "try again", the other "you cannot".
"""

from collections.abc import Mapping
from typing import ClassVar


class WalletraceError(Exception):
    """The root. `code` is stable: log it, count it, switch on it."""

    code: ClassVar[str] = "walletrace_error"

    def __init__(self, what: str, way_out: str = "") -> None:
        super().__init__(f"{what}; {way_out}" if way_out else what)


class BusinessError(WalletraceError):
    """The request cannot be honoured as it stands. Nothing was changed.

    `seen`: the balances on which it was refused, account to (cents, version), where that is known.
    """

    code: ClassVar[str] = "business_error"
    seen: Mapping[str, tuple[int, int]] | None = None


class InvalidAmount(BusinessError):
    """Not an exact positive amount within the bounds of `engine.money`."""

    code = "invalid_amount"


class InvalidAccount(BusinessError):
    """Not an account name: see `operations.ACCOUNT_PATTERN`."""

    code = "invalid_account"


class InvalidBatch(BusinessError):
    """An empty batch, one that is too long, or one that holds what is no operation."""

    code = "invalid_batch"


class InvalidRequest(BusinessError):
    """A field that is missing, unknown or malformed."""

    code = "invalid_request"


class SameAccount(BusinessError):
    """A transfer from an account to itself."""

    code = "same_account"


class InsufficientFunds(BusinessError):
    """The account, read afresh under its lock, holds less than the amount."""

    code = "insufficient_funds"


class BalanceTooLarge(BusinessError):
    """The new balance would exceed `money.BALANCE_CENTS_MAX`."""

    code = "balance_too_large"


class UnknownWallet(BusinessError):
    """No wallet has this account name."""

    code = "unknown_wallet"


class WalletExists(BusinessError):
    """A wallet with this account name is there already."""

    code = "wallet_exists"


class KeyReused(BusinessError):
    """An idempotency key came again with another body."""

    code = "key_reused"


class OrderRejected(BusinessError):
    """The order failed after it was paid; the payment was given back, once."""

    code = "order_rejected"


class SystemFault(WalletraceError):
    """The system could not do it. Unless `may_have_happened`, nothing was changed."""

    code: ClassVar[str] = "system_fault"
    may_have_happened: ClassVar[bool] = False


class StoreBusy(SystemFault):
    """The database did not grant its write lock in time. Nothing was changed; retry."""

    code = "store_busy"


class StoreFull(SystemFault):
    """No room left on the database's disk. Nothing was changed."""

    code = "store_full"


class StoreForbidden(SystemFault):
    """The database does not let this role do it. Nothing was changed; grant the right."""

    code = "store_forbidden"


class StoreUnavailable(SystemFault):
    """The database cannot be opened or reached, or its connection was closed."""

    code = "store_unavailable"
    may_have_happened = True


class Undone(StoreUnavailable):
    """The database failed, or could not be reached, and certainly nothing was changed."""

    code = "undone"
    may_have_happened = False


class Conflict(SystemFault):
    """Others changed the same accounts in every one of the bounded retries. Nothing was changed."""

    code = "conflict"


class VersionChanged(SystemFault):
    """A conditional write found another version than the one read. Nothing was changed; re-read."""

    code = "version_changed"


class FenceLost(SystemFault):
    """The lease behind this write has passed to another owner. Nothing was changed; retry."""

    code = "fence_lost"


class LockTimeout(SystemFault):
    """A lock was not granted in time. Nothing was changed; retry."""

    code = "lock_timeout"


class LockTaken(SystemFault):
    """A lock is held by somebody else, and the caller wanted not to wait. Nothing was changed."""

    code = "lock_taken"


class SerializationFailed(SystemFault):
    """The database undid the transaction: no serial order explains it (40001). Retry."""

    code = "serialization_failed"


class DeadlockVictim(SystemFault):
    """The database undid the transaction to end a deadlock (40P01). Nothing was changed; retry."""

    code = "deadlock_victim"


class Timeout(SystemFault):
    """The answer did not come in time: the operation may or may not have happened, now or later.

    Retry with the same idempotency key.
    """

    code = "timeout"
    may_have_happened = True


class CacheUnavailable(SystemFault):
    """The cache failed. The wallet logs a warning and reads the database instead."""

    code = "cache_unavailable"


class LoadFailed(SystemFault):
    """The service or Locust did not do its part, so a load run has no result."""

    code = "load_failed"


class HistoryIncomplete(SystemFault):
    """The file of a history ends in the middle. What it holds may be judged, never as clean."""

    code = "history_incomplete"


class HistoryMalformed(SystemFault):
    """A file, or a row of it, that is no history. Nothing can be said of what cannot be read."""

    code = "history_malformed"


class UsageError(WalletraceError):
    """A name or an option that does not exist. The message lists those that do."""

    code = "usage"


SYSTEM_CODES = frozenset(
    fault.code for fault in (*SystemFault.__subclasses__(), *StoreUnavailable.__subclasses__())
)
