"""What the explorer asks of PostgreSQL beside its clients, one round trip each."""

# The locks of transactions. $1 the clients' server processes, $2 names of advisory locks to look
# for. A transaction that has changed or locked something holds a lock on its own number ("open"),
# and that number is the `xmax` of each row that it has changed or locked. What it has inserted
# shows nowhere. At the end the leases that somebody owns.
LOOK = """
    WITH held AS MATERIALIZED (
        SELECT pid, locktype, transactionid, classid::bigint << 32 | objid::bigint AS number
        FROM pg_locks
        WHERE granted AND pid = ANY($1::int[]) AND locktype IN ('transactionid', 'advisory')
    )
    SELECT 'row', account, pid FROM walletrace.wallets JOIN held ON transactionid = xmax
    UNION ALL
    SELECT 'lease', key, pid FROM walletrace.leases AS leases
    JOIN held ON transactionid = leases.xmax
    UNION ALL
    SELECT 'advisory', name, pid FROM unnest($2::text[]) AS name
    JOIN held ON locktype = 'advisory' AND number = hashtextextended(name, 0)
    UNION ALL
    SELECT 'open', '', pid FROM held WHERE locktype = 'transactionid'
    UNION ALL
    SELECT 'owned', key, 0 FROM walletrace.leases WHERE owner IS NOT NULL
"""

BALANCES = "SELECT account, balance_cents, version FROM walletrace.wallets"
BOOKS = """
    SELECT NULL, account, '', 0, 0, balance_cents, version, '', 0 FROM walletrace.wallets
    UNION ALL
    SELECT operation_id, account, kind, amount_cents, before_cents, after_cents, version,
        description, time_ms
    FROM walletrace.operation_log ORDER BY 2, 7
"""
# The books as they were, and in the same statement the beginning of the next run. $1 wallets,
# $2 their cents. (TRUNCATE would take ten milliseconds more.)
BOOKS_AND_RESTORE = f"""
    WITH openings AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS opened(account, cents)),
    restored AS (
        UPDATE walletrace.wallets AS wallets SET balance_cents = cents, version = 1
        FROM openings WHERE wallets.account = openings.account
    ),
    closed AS (DELETE FROM walletrace.wallets WHERE account <> ALL($1)),
    unlogged AS (DELETE FROM walletrace.operation_log WHERE operation_id <> 'opening'),
    forgotten AS (DELETE FROM walletrace.idempotency_keys),
    given AS (DELETE FROM walletrace.leases),
    undecided AS (DELETE FROM walletrace.decisions)
    {BOOKS}
"""
# What a statement looks at to know whether it will lock anything.
TABLES = """
    SELECT 'row' AS kind, account AS name, balance_cents AS number, version, '' AS fingerprint,
        '' AS receipt
    FROM walletrace.wallets
    UNION ALL
    SELECT 'key', key, 0, 0, fingerprint, receipt FROM walletrace.idempotency_keys
    UNION ALL
    SELECT 'lease', key, token, 0, '', '' FROM walletrace.leases
    ORDER BY 1, 2
"""
RUN_OUT = "UPDATE walletrace.leases SET expires_ms = 0 WHERE key = $1"

# Whoever else has a transaction or an advisory lock here. $1 our own server processes.
STRANGERS = """
    SELECT pid, application_name FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
        AND pid <> ALL($1::int[]) AND (
            xact_start IS NOT NULL OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')
        )
    ORDER BY pid
"""

# One exploration at a time in a database, held by the probe as long as it is connected.
ALONE = "SELECT pg_try_advisory_lock(hashtextextended('walletrace explore', 0))"
MARK = "made by walletrace explore, which empties it and drops it when it ends"
COMMENT = f"COMMENT ON SCHEMA walletrace IS '{MARK}'"
# No row where there is no such schema; null for one that bears no comment.
WHOSE = """
    SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'walletrace'
"""
IS_USED = "SELECT EXISTS (SELECT FROM walletrace.wallets)"
DROP = "DROP SCHEMA IF EXISTS walletrace CASCADE"
# A connection that is closed may be remembered for a while, and its lock with it.
LEAVE = f"{DROP}; SELECT pg_advisory_unlock_all()"

VERSION = "SELECT version FROM walletrace.wallets WHERE account = $1"
# A statement that the server was told to stop; its transaction has failed.
STOPPED = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'query_canceled'; END $$"
# A client's connection is lost. The server could wait for its end too, a tenth of a second each.
HANG_UP = "SELECT pg_terminate_backend($1)"
IS_THERE = "SELECT EXISTS (SELECT FROM pg_stat_get_activity($1))"
