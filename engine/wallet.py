"""The wallet service: what the guide offers, over any lock strategy, store and cache.

Each operation is a transaction of its own. What spans several is the caller's: see `orders`.
"""

import re
from collections.abc import Callable, Sequence

from engine.cached_reads import BalanceReads, DirectReads
from engine.errors import InvalidRequest
from engine.history import Receipt
from engine.operations import (
    Add,
    Balance,
    Batch,
    CheckSufficient,
    Leg,
    Open,
    Operation,
    Question,
    Transfer,
    Withdraw,
)
from engine.ports import Call, LockStrategy, Runtime, Store, Sweepable
from engine.timings import saw

_KEY = re.compile(r"[!-~]{1,128}", re.ASCII)


def valid_key(key: str | None) -> str | None:
    """`key` itself if it is None or an idempotency key, else InvalidRequest."""
    if key is None or (isinstance(key, str) and _KEY.fullmatch(key)):
        return key
    raise InvalidRequest(
        f"idempotency key {str(key)[:40]!r} is not usable",
        "use 1 to 128 printable ASCII characters without spaces",
    )


class WalletService:
    """One service instance. Amounts are whole cents (`money.parse_cents` reads decimals).

    Every method may raise a BusinessError (nothing happened) or a SystemFault. A mutation with an
    idempotency `key` happens once, however often it is asked for; a refusal is not remembered.
    """

    def __init__(
        self,
        lock: LockStrategy,
        sessions: Callable[[], Store],
        runtime: Runtime,
        *,
        reads: BalanceReads | None = None,
    ) -> None:
        self._lock = lock
        self._sessions = sessions
        self._runtime = runtime
        self._reads = reads or DirectReads(sessions)

    async def execute(self, operation: Operation, *, key: str | None = None) -> Receipt:
        """Run any operation; the methods below are its short forms."""
        call = Call(self._runtime.new_id(), operation, valid_key(key))
        with self._reads.changing(call.accounts) as changed:
            receipt = await self._lock.run(call, self._sessions())
            # An earlier call's receipt tells what was true then, which is no news for a cache.
            if receipt.call_id == call.id:
                changed(receipt)
        return receipt

    async def create_account(
        self, account: str, opening: int = 0, description: str = "", *, key: str | None = None
    ) -> Receipt:
        """Create a wallet with `opening` cents. WalletExists."""
        return await self.execute(Open(account, opening, description=description), key=key)

    async def withdraw(
        self, account: str, amount: int, description: str = "", *, key: str | None = None
    ) -> Receipt:
        """Take `amount` cents out. InsufficientFunds, UnknownWallet, InvalidAmount."""
        return await self.execute(Withdraw(account, amount, description=description), key=key)

    async def add(
        self, account: str, amount: int, description: str = "", *, key: str | None = None
    ) -> Receipt:
        """Put `amount` cents in. BalanceTooLarge, UnknownWallet, InvalidAmount."""
        return await self.execute(Add(account, amount, description=description), key=key)

    async def transfer(
        self,
        source: str,
        target: str,
        amount: int,
        description: str = "",
        *,
        key: str | None = None,
    ) -> Receipt:
        """Move `amount` cents, whole or not at all. As `withdraw` and `add`, and SameAccount."""
        return await self.execute(
            Transfer(source, target, amount, description=description), key=key
        )

    async def batch(
        self, legs: Sequence[Leg], description: str = "", *, key: str | None = None
    ) -> Receipt:
        """Several operations, whole or not at all, each account locked once. InvalidBatch."""
        return await self.execute(Batch(tuple(legs), description=description), key=key)

    async def balance(self, account: str) -> int:
        """What the account holds, in cents: from the cache if it can be trusted. UnknownWallet."""
        return int(await self.ask(Balance(account)))

    async def check_sufficient(self, account: str, amount: int) -> bool:
        """Whether the account holds `amount` cents now; a withdrawal decides for itself again.

        UnknownWallet, InvalidAmount.
        """
        return bool(await self.ask(CheckSufficient(account, amount)))

    async def ask(self, question: Question) -> int | bool:
        """Answer any question; the two methods above are its short forms.

        The row behind the answer, from the cache or not, is noted in the current Timings.
        """
        row = await self._reads.row(question.account)
        saw({} if row is None else {question.account: row})
        return question.answer({} if row is None else {question.account: row.balance})

    def sweep(self, idle_s: float) -> int:
        """Let the lock strategy forget locks idle for `idle_s`; how many went."""
        return self._lock.sweep(idle_s) if isinstance(self._lock, Sweepable) else 0
