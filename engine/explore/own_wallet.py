"""A wallet of the user's own in the place of WalletService.

Any class will do whose async methods are named like WalletService's and take whole cents. It is
built from what its parameters name: `sessions` (call it for a Store of one's own, once for each
request or task), `runtime`, `lock` (the strategy of --lock), `cache`, `reads`.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from engine.errors import UsageError
from engine.operations import (
    Add,
    Balance,
    Batch,
    CheckSufficient,
    Open,
    Operation,
    Question,
    Transfer,
    Withdraw,
)
from engine.wallet import WalletService

MakeWallet = Callable[..., Any]
PARTS = ("sessions", "runtime", "lock", "cache", "reads")


class Wallet(Protocol):
    """What the house asks of a wallet."""

    async def execute(self, operation: Operation, *, key: str | None = None) -> Any: ...

    async def ask(self, question: Question) -> int | bool: ...

    def sweep(self, idle_s: float) -> int: ...


def takes_lock(make_wallet: MakeWallet) -> bool:
    """Whether the wallet wants the strategy of --lock."""
    return "lock" in _parameters(make_wallet)


def build(make_wallet: MakeWallet, parts: Mapping[str, Callable[[], Any]]) -> Wallet:
    """The wallet, built from the parts that its parameters name. UsageError."""
    parameters = _parameters(make_wallet)
    missing = [
        name
        for name, parameter in parameters.items()
        if name not in parts
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if "lock" in missing:
        raise UsageError(f"{_name(make_wallet)} takes a lock strategy", "name one with --lock")
    if missing:
        raise UsageError(
            f"{_name(make_wallet)} cannot be built: nobody knows its {', '.join(missing)}",
            f"a wallet's parameters are any of {', '.join(PARTS)}",
        )
    given = {name: make() for name, make in parts.items() if name in parameters}
    try:
        wallet = make_wallet(**given)
    except TypeError as error:
        raise UsageError(
            f"{_name(make_wallet)} cannot be built ({error})",
            f"a wallet's parameters, by name, are any of {', '.join(PARTS)}",
        ) from error
    return wallet if isinstance(wallet, WalletService) else OwnWallet(wallet)


@functools.cache
def _parameters(make_wallet: MakeWallet) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(make_wallet).parameters
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{make_wallet!r} is no wallet ({error})", "name a class, as module:Class"
        ) from error


class OwnWallet:
    """Each operation becomes a call of the wallet's method of that name."""

    def __init__(self, wallet: Any) -> None:
        self.wallet = wallet

    async def execute(self, operation: Operation, *, key: str | None = None) -> Any:
        args: tuple[Any, ...]
        match operation:
            case Withdraw(account, amount):
                method, args = "withdraw", (account, amount)
            case Add(account, amount):
                method, args = "add", (account, amount)
            case Transfer(source, target, amount):
                method, args = "transfer", (source, target, amount)
            case Batch(legs):
                method, args = "batch", (legs,)
            case Open(account, opening):
                method, args = "create_account", (account, opening)
        options = {"key": key, "description": operation.description}
        return await self._call(method, *args, **{k: v for k, v in options.items() if v})

    async def ask(self, question: Question) -> int | bool:
        match question:
            case Balance(account):
                return int(await self._call("balance", account))
            case CheckSufficient(account, amount):
                return bool(await self._call("check_sufficient", account, amount))

    def sweep(self, idle_s: float) -> int:
        """A wallet that keeps no locks to forget needs no method for it."""
        sweep = getattr(self.wallet, "sweep", None)
        return 0 if sweep is None else int(sweep(idle_s) or 0)

    def _call(self, method: str, *args: Any, **options: Any) -> Awaitable[Any]:
        wanted = f"async def {method}(self, {_ARGUMENTS[method]})"
        found = getattr(self.wallet, method, None)
        if found is None:
            raise UsageError(
                f"{_name(self.wallet)} has no method {method!r}, which the scenario needs",
                f"it needs {wanted}",
            )
        try:
            signature = inspect.signature(found)
            if "description" not in signature.parameters:
                options.pop("description", None)  # only for the operation log
            signature.bind(*args, **options)
        except TypeError as error:
            raise UsageError(
                f"{_name(self.wallet)}.{method} cannot be called ({error})", f"it needs {wanted}"
            ) from error
        answer = found(*args, **options)
        if not inspect.isawaitable(answer):
            raise UsageError(f"{_name(self.wallet)}.{method} is not async", f"it needs {wanted}")
        return answer


_ARGUMENTS = {
    "withdraw": "account, amount, *, key=None",
    "add": "account, amount, *, key=None",
    "transfer": "source, target, amount, *, key=None",
    "batch": "legs, *, key=None",
    "create_account": "account, opening=0, *, key=None",
    "balance": "account",
    "check_sufficient": "account, amount",
}


def _name(thing: Any) -> str:
    kind = thing if inspect.isclass(thing) or inspect.isfunction(thing) else type(thing)
    return str(getattr(kind, "__qualname__", kind))
