"""What is counted wrongly: rows that are not there yet, floats, and the tests themselves."""

from contextlib import AsyncExitStack

from engine.errors import WalletExists
from engine.explore.client import Client
from engine.history import Receipt
from engine.locks.body import changes
from engine.locks.global_lock import GlobalLock
from engine.locks.none import NoLock
from engine.locks.per_user import PerUserLock
from engine.money import parse_cents
from engine.operations import Open
from engine.ports import Call, Change, Runtime, Store
from engine.verdicts import Break
from scenarios.zoo.exhibit import RACE, RACE_CORRECT, Run, add, exhibit, in_turn


class LocksFoundRows(PerUserLock):
    """Locks the rows it finds, as SELECT … FOR UPDATE does; then INSERT … ON CONFLICT DO UPDATE.

    A row that is not there yet cannot be locked, so two first deposits do not wait.
    """

    async def run(self, call: Call, store: Store) -> Receipt:
        found = (await store.read(call.accounts)).rows
        async with AsyncExitStack() as held:
            for account in sorted(found):
                await held.enter_async_context(self.locks.hold(account))
            seen = await store.read(call.accounts, call.key)
            planned = changes(call, seen.rows)
            try:
                return await store.write(call, planned)
            except WalletExists:
                rows = (await store.read(call.accounts)).rows
                upserted = (c._replace(version=rows[c.account].version) for c in planned)
                return await store.write(call, tuple(upserted))


class FloatMoney:
    """Computes in floats and cuts off what is less than a cent."""

    def __init__(self, runtime: Runtime) -> None:
        self._mutex = runtime.mutex("wallet")

    async def run(self, call: Call, store: Store) -> Receipt:
        async with self._mutex:
            seen = await store.read(call.accounts, call.key)
            planned = tuple(_in_floats(change) for change in changes(call, seen.rows))
            return await store.write(call, planned)


def _in_floats(change: Change) -> Change:
    after = change.before / 100 + (change.after - change.before) / 100
    return change._replace(after=int(after * 100))


def _first_deposit(amount: str) -> Run:
    async def run(client: Client) -> None:
        try:
            await client.execute(Open("bob", parse_cents(amount)))
        except WalletExists:
            await client.add("bob", amount)

    return run


FIRST_TOUCH = exhibit(
    "first-touch",
    "Two first deposits: there is no row to lock yet, and the second one replaces the first.",
    number=13,
    breaks=Break.MONEY,
    openings={},
    clients={"A": _first_deposit("100.00"), "B": _first_deposit("50.00")},
    correct={"bob": 150_00},
    wrong=LocksFoundRows,
    right=PerUserLock,
)
FLOAT_MONEY = exhibit(
    "float-money",
    "1000.00 and twice 0.30 are 1000.59 in floats that are cut off at the cent.",
    number=16,
    breaks=Break.MONEY,
    clients={"A": in_turn(add("0.30"), add("0.30"))},
    correct={"alice": 1000_60},
    wrong=FloatMoney,
    right=GlobalLock,
)
WEAK_ORACLE = exhibit(
    "weak-oracle",
    "A test that counts answered requests calls this race fine: every one of them says ok.",
    number=17,
    breaks=Break.MONEY,
    clients=RACE,
    correct=RACE_CORRECT,
    wrong=NoLock,
    right=PerUserLock,
)

EXHIBITS = (FIRST_TOUCH, FLOAT_MONEY, WEAK_ORACLE)
