"""The store's SQL. Every text is a constant, so each connection prepares it once.

A statement that writes is one `WITH`: `entries` changes the wallets and says what it changed, and
the log rows and the idempotency key are inserted from it. Nothing in `entries` means refused:
nothing was changed. Who is to change several wallets locks them first, in sorted order, so that
two statements never wait for each other in a ring.

Parameters: $1 call id, $2 kind, $3 milliseconds since the epoch (null: the server's clock), then
the statement's own, then idempotency key and fingerprint if there is a key.
"""

_CLOCK_MS = "coalesce($%d::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)"


def _writing(head: str, entries: str, own: int) -> dict[bool, str]:
    """The statement without and with a key; `own` parameters are its own, from $4 on."""
    key, fingerprint = f"${own + 4}::text", f"${own + 5}::text"
    free = f"NOT EXISTS (SELECT FROM walletrace.idempotency_keys WHERE key = {key})"
    keyed = f""",
    keyed AS (
        INSERT INTO walletrace.idempotency_keys
        SELECT {key}, {fingerprint}, json_build_array(
            $1::text, json_agg(json_build_array(account, before, after, version) ORDER BY account)
        )::text
        FROM entries HAVING count(*) > 0
    )"""
    logged = f"""
    INSERT INTO walletrace.operation_log
    SELECT $1::text, account, $2::text, after - before, before, after, version, description,
        {_CLOCK_MS % 3}
    FROM entries
    RETURNING account, before_cents, after_cents, version"""
    return {
        False: f"WITH {head}{entries.format(free='true')}{logged}",
        True: f"WITH {head}{entries.format(free=free)}{keyed}{logged}",
    }


# Absolute balances for one wallet. $4 account, $5 description, $6 before, $7 after,
# $8 the version it must have (null: any).
WRITE_ONE = _writing(
    "",
    """entries AS (
        UPDATE walletrace.wallets SET balance_cents = $7::bigint, version = version + 1
        WHERE account = $4::text AND ($8::bigint IS NULL OR version = $8) AND {free}
        RETURNING account, $5::text AS description, $6::bigint AS before,
            $7::bigint AS after, version
    )""",
    5,
)

# Absolute balances for any number of wallets. $4 accounts, $5 descriptions, $6 before, $7 after,
# $8 versions read (0 creates the wallet), $9 whether those must still hold, $10 and $11 keys and
# tokens of leases. A lease is locked too: it cannot pass on before this write has been committed.
WRITE = _writing(
    """asked AS (
        SELECT * FROM unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[])
            AS asked(account, description, before, after, version)
    ), fenced AS MATERIALIZED (
        SELECT FROM walletrace.leases JOIN unnest($10::text[], $11::bigint[]) AS fence(key, token)
            USING (key, token) ORDER BY key FOR SHARE OF leases
    ), locked AS MATERIALIZED (
        SELECT account, version FROM walletrace.wallets
        WHERE account = ANY($4) ORDER BY account FOR UPDATE
    ),""",
    """granted AS (
        SELECT WHERE {free}
            AND (SELECT count(*) FROM fenced) = cardinality($10)
            AND (SELECT count(*) FROM locked) = (SELECT count(*) FROM asked WHERE version > 0)
            AND (
                SELECT count(*) FROM locked JOIN asked USING (account) WHERE asked.version > 0
                AND (NOT $9::boolean OR locked.version = asked.version)
            ) = (SELECT count(*) FROM asked WHERE version > 0)
    ), changed AS (
        UPDATE walletrace.wallets AS wallets
        SET balance_cents = asked.after, version = wallets.version + 1 FROM asked, granted
        WHERE wallets.account = asked.account AND asked.version > 0
        RETURNING wallets.account, asked.description, asked.before, asked.after, wallets.version
    ), created AS (
        INSERT INTO walletrace.wallets
        SELECT account, after, 1 FROM asked, granted WHERE version = 0
        RETURNING account, version
    ), entries AS (
        SELECT * FROM changed UNION ALL
        SELECT account, description, before, after, created.version
        FROM created JOIN asked USING (account)
    )""",
    8,
)

# Guarded update of one wallet. $4 account, $5 description, $6 to $8 its guard (`guards.Guard`):
# what is added to the balance, and the least and the most that it may be before.
GUARDED_ONE = _writing(
    "",
    """entries AS (
        UPDATE walletrace.wallets
        SET balance_cents = balance_cents + $6::bigint, version = version + 1
        WHERE account = $4::text AND balance_cents BETWEEN $7::bigint AND $8::bigint AND {free}
        RETURNING account, $5::text AS description, balance_cents - $6 AS before,
            balance_cents AS after, version
    )""",
    5,
)

# The same for several wallets, each parameter an array. Computed from the rows as they were locked:
# PostgreSQL checks `balance_cents >= 0` for the statement's snapshot of a row too, before it finds
# that there is a newer one.
GUARDED = _writing(
    """asked AS (
        SELECT * FROM unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[])
            AS asked(account, description, delta, least, most)
    ), locked AS MATERIALIZED (
        SELECT account, balance_cents, version FROM walletrace.wallets
        WHERE account = ANY($4) ORDER BY account FOR UPDATE
    ),""",
    """granted AS (
        SELECT WHERE {free} AND cardinality($4) = (
            SELECT count(*) FROM locked JOIN asked USING (account)
            WHERE balance_cents BETWEEN least AND most
        )
    ), entries AS (
        UPDATE walletrace.wallets AS wallets
        SET balance_cents = locked.balance_cents + delta, version = locked.version + 1
        FROM granted, asked JOIN locked USING (account) WHERE wallets.account = asked.account
        RETURNING wallets.account, description, locked.balance_cents AS before,
            wallets.balance_cents AS after, wallets.version
    )""",
    5,
)

# What a group of calls comes to, computed by us under locks on all its wallets. $1 to $3 wallets
# changed, $4 to $6 wallets created, $7 to $9 keys, $10 to $16 log rows, $17 clock.
GROUP = f"""
    WITH changed AS (
        UPDATE walletrace.wallets AS wallets
        SET balance_cents = asked.balance_cents, version = asked.version
        FROM unnest($1::text[], $2::bigint[], $3::bigint[])
            AS asked(account, balance_cents, version)
        WHERE wallets.account = asked.account
    ), created AS (
        INSERT INTO walletrace.wallets
        SELECT * FROM unnest($4::text[], $5::bigint[], $6::bigint[])
    ), keyed AS (
        INSERT INTO walletrace.idempotency_keys
        SELECT * FROM unnest($7::text[], $8::text[], $9::text[])
    )
    INSERT INTO walletrace.operation_log
    SELECT operation_id, account, kind, after - before, before, after, version, description,
        {_CLOCK_MS % 17}
    FROM unnest(
        $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[],
        $16::text[]
    ) AS logged(operation_id, account, kind, before, after, version, description)
"""

# Most calls are about one account: no array to be encoded and taken apart, and nothing to sort.
READ_ONE = "SELECT account, balance_cents, version FROM walletrace.wallets WHERE account = $1"
READ = "SELECT account, balance_cents, version FROM walletrace.wallets WHERE account = ANY($1)"
READ_KEY = "SELECT fingerprint, receipt FROM walletrace.idempotency_keys WHERE key = $1"
READ_KEYS = "SELECT key, fingerprint, receipt FROM walletrace.idempotency_keys WHERE key = ANY($1)"
# One snapshot for both, and a row in any case.
READ_WITH_KEY = """
    SELECT account, balance_cents, version, fingerprint, receipt
    FROM (SELECT) AS always
    LEFT JOIN walletrace.idempotency_keys ON key = $2
    LEFT JOIN walletrace.wallets ON account = ANY($1)
"""
# What a locking read does about a row that is locked already.
_WAITING = {"wait": "", "nowait": "NOWAIT"}
READ_LOCKING_ONE = {lock: f"{READ_ONE} FOR UPDATE {waiting}" for lock, waiting in _WAITING.items()}
READ_LOCKING = {
    lock: f"{READ} ORDER BY account FOR UPDATE {waiting}" for lock, waiting in _WAITING.items()
}
# Answers with rows as they are once the locks are granted, but with keys as they were before.
# `changed` says whether a wallet was written in between, as by a first attempt with the same key
# that this one has waited for; only then the key has to be looked up again.
READ_LOCKING_WITH_KEY = {
    lock: f"""
    WITH locked AS MATERIALIZED ({locked})
    SELECT account, locked.balance_cents, locked.version, fingerprint, receipt,
        EXISTS (
            SELECT FROM walletrace.wallets AS before
            WHERE before.account = locked.account AND before.version <> locked.version
        ) AS changed
    FROM (SELECT) AS always
    LEFT JOIN walletrace.idempotency_keys ON key = $2
    LEFT JOIN locked ON true
"""
    for lock, locked in READ_LOCKING.items()
}

# Collisions of the hash only make two names wait for each other.
ADVISORY = "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest($1::text[]) AS name"

LEASE_HELD = f"""
    SELECT FROM walletrace.leases
    WHERE key = $1 AND owner IS NOT NULL AND expires_ms > {_CLOCK_MS % 3}
"""
# A look first: an upsert locks the row even where it changes nothing, and waiters ask often.
TAKE = f"""
    INSERT INTO walletrace.leases AS held
    SELECT $1, $2, 1, {_CLOCK_MS % 3} + $4::bigint WHERE NOT EXISTS ({LEASE_HELD})
    ON CONFLICT (key) DO UPDATE
    SET owner = excluded.owner, token = held.token + 1, expires_ms = excluded.expires_ms
    WHERE held.owner IS NULL OR held.expires_ms <= {_CLOCK_MS % 3}
    RETURNING token
"""
GIVE = "UPDATE walletrace.leases SET owner = NULL WHERE key = $1 AND owner = $2"
TOKENS = "SELECT key, token FROM walletrace.leases WHERE key = ANY($1)"

DECIDE = """
    WITH first AS (
        INSERT INTO walletrace.decisions VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING value
    )
    SELECT value FROM first UNION ALL SELECT value FROM walletrace.decisions WHERE key = $1
"""
DECISION = "SELECT value FROM walletrace.decisions WHERE key = $1"

BALANCES = "SELECT account, balance_cents, version FROM walletrace.wallets"
LOG = """
    SELECT operation_id, account, kind, amount_cents, before_cents, after_cents, version,
        description, time_ms
    FROM walletrace.operation_log WHERE version > $2 AND ($1::text IS NULL OR account = $1)
    ORDER BY account, version LIMIT $3
"""
