"""What the stores are measured beside: pgbench, and Python's `sqlite3` module with nothing around.

Both do the wallet's transaction on the very tables that walletrace has made: lock and read the
balance, write it, insert a row into the operation log, commit. One transaction is one operation.
"""

import asyncio
import os
import re
import sqlite3
import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.errors import LoadFailed
from engine.operations import Operation
from engine.stores.postgres_server import program

# Beyond what it was told to run for: connecting, and the last transactions.
PGBENCH_S_MORE_MAX = 60.0

_PGBENCH = r"""
\set amount random(-1000000, 1000000)
{draw}
BEGIN;
SELECT balance_cents AS before, version FROM walletrace.wallets WHERE account = {account}
    FOR UPDATE \gset
\set after :before + :amount
\set next :version + 1
UPDATE walletrace.wallets SET balance_cents = :after, version = :next WHERE account = {account};
INSERT INTO walletrace.operation_log VALUES ('pgbench', {account}, 'add', :amount, :before, :after,
    :next, '', (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
COMMIT;
"""


def pgbench_script(accounts: str) -> str:
    """The transaction for "hot" or "uniform:N"."""
    if accounts == "hot":
        return _PGBENCH.format(draw="", account="'hot'")
    last = int(accounts.removeprefix("uniform:")) - 1
    return _PGBENCH.format(draw=rf"\set n random(0, {last})", account="'user-' || :n")


async def pgbench(
    url: str, *, clients: int, accounts: str, seconds: float, synchronous_commit: bool
) -> float:
    """Transactions per second, without the time to connect. It runs for whole seconds, at least 1.

    Statements are prepared; one thread serves all clients, as one event loop does. LoadFailed.
    """
    setting = "on" if synchronous_commit else "off"
    with TemporaryDirectory(prefix="walletrace-pgbench-") as folder:
        script = Path(folder) / "wallet.sql"
        script.write_text(pgbench_script(accounts), encoding="utf-8")
        command = [
            *(str(program("pgbench")), "--no-vacuum", "--protocol=prepared", "--jobs=1"),
            *(f"--client={clients}", f"--time={ceil(seconds)}", f"--file={script}", url),
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", "PGOPTIONS": f"-c synchronous_commit={setting}"},
        )
        try:
            async with asyncio.timeout(seconds + PGBENCH_S_MORE_MAX):
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    told = re.search(rb"^tps = ([0-9.]+)", output, re.MULTILINE)
    if process.returncode or told is None:
        raise LoadFailed(f"pgbench failed: {errors.decode(errors='replace')[:500]}")
    return float(told[1])


def bare_sqlite(
    path: str, wanted: Sequence[Operation], *, seconds: float, warmup_s: float, synchronous: str
) -> float:
    """Transactions per second of one connection in one thread. sqlite3.Error comes through."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        _transactions(connection, wanted, warmup_s)
        done, took_s = _transactions(connection, wanted, seconds)
        return done / took_s
    finally:
        connection.close()


def _transactions(
    connection: sqlite3.Connection, wanted: Sequence[Operation], seconds: float
) -> tuple[int, float]:
    """How many were done in how many seconds, at least one."""
    from_s = now_s = time.perf_counter()
    done = 0
    while now_s < from_s + seconds or not done:
        operation = wanted[done % len(wanted)]
        (account,) = operation.written
        connection.execute("BEGIN IMMEDIATE")
        [(before, version)] = connection.execute(
            "SELECT balance_cents, version FROM wallets WHERE account = ?", (account,)
        ).fetchall()
        after = operation.apply({account: before})[account]
        connection.execute(
            "UPDATE wallets SET balance_cents = ?, version = ? WHERE account = ?",
            (after, version + 1, account),
        )
        connection.execute(
            "INSERT INTO operation_log VALUES ('bare', ?, ?, ?, ?, ?, ?, '', ?)",
            (account, operation.kind, after - before, before, after, version + 1, int(now_s)),
        )
        connection.execute("COMMIT")
        done, now_s = done + 1, time.perf_counter()
    return done, now_s - from_s
