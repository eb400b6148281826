"""Many calls in one transaction: rows locked once, applied one after the other, written at once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg

from engine.errors import BusinessError, Conflict, WalletraceError
from engine.history import Entry, Receipt
from engine.operations import description_for, fingerprint
from engine.ports import Call, Earlier, Row, applied
from engine.stores import postgres_sql as sql
from engine.stores.postgres_statements import TRIES_MAX, earlier_of, read
from engine.stores.postgres_wire import Wire

Answer = Receipt | WalletraceError


@dataclass(slots=True)
class _Sheet:
    """The group's wallets and keys as they become, call by call."""

    rows: dict[str, Row]
    earlier: dict[str, Earlier]
    done: list[tuple[Call, Receipt]] = field(default_factory=list)

    def answer(self, call: Call) -> Answer:
        """Apply `call`, or say why not; a refused one changes nothing."""
        try:
            if call.key is not None and call.key in self.earlier:
                return self.earlier[call.key].answer(call)
            held = {a: self.rows[a] for a in call.accounts if a in self.rows}
            after = applied(call.operation, held)
        except BusinessError as error:
            return error
        entries = []
        for account in sorted(after):
            balance, version = self.rows.get(account, Row(0, 0))
            self.rows[account] = Row(after[account], version + 1)
            entries.append(Entry(account, balance, after[account], version + 1))
        receipt = Receipt(call.id, tuple(entries))
        self.done.append((call, receipt))
        if call.key is not None:
            self.earlier[call.key] = Earlier(receipt, fingerprint(call.operation))
        return receipt


async def group(
    connection: Wire, calls: tuple[Call, ...], time_ms: int | None
) -> tuple[Answer, ...]:
    """The answer to each call, in their order."""
    accounts = tuple(sorted({account for call in calls for account in call.accounts}))
    keys = [call.key for call in calls if call.key is not None]
    for _ in range(TRIES_MAX):
        try:
            async with connection.transaction(isolation="read_committed"):
                before = (await read(connection, accounts, None, "wait")).rows
                # Looked up under the locks: a first attempt that had them has committed its key.
                found = await connection.rows(sql.READ_KEYS, keys) if keys else []
                sheet = _Sheet(dict(before), {row["key"]: earlier_of(row) for row in found})
                answers = tuple(sheet.answer(call) for call in calls)
                if sheet.done:
                    await connection.rows(sql.GROUP, *_written(sheet, before), time_ms)
                return answers
        except asyncpg.UniqueViolationError:
            continue  # a wallet or a key that was not there to be locked came from elsewhere
    raise Conflict(f"others were quicker in each of {TRIES_MAX} tries", "try again")


def _written(sheet: _Sheet, before: Mapping[str, Row]) -> list[list[object]]:
    """The statement's parameters, by column: wallets changed and created, keys, log rows."""
    touched = sorted({entry.account for _, receipt in sheet.done for entry in receipt.entries})
    wallets = [(account, *sheet.rows[account]) for account in touched]
    return [
        *_columns([row for row in wallets if row[0] in before], 3),
        *_columns([row for row in wallets if row[0] not in before], 3),
        *_columns(
            [
                (call.key, fingerprint(call.operation), json.dumps(receipt))
                for call, receipt in sheet.done
                if call.key is not None
            ],
            3,
        ),
        *_columns(
            [
                (
                    *(call.id, entry.account, call.operation.kind),
                    *(entry.before, entry.after, entry.version),
                    description_for(call.operation, entry.account),
                )
                for call, receipt in sheet.done
                for entry in receipt.entries
            ],
            7,
        ),
    ]


def _columns(rows: list[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[number] for row in rows] for number in range(width)]
