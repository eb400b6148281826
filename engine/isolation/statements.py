"""The statements that the catalogue's transactions are made of, on the table test (id, value)."""

from engine.isolation.scripts import Statement, from_own_reads

WITHDRAWN = 80
READ_1 = Statement("r(1)", "SELECT id, value FROM test WHERE id = 1")
READ_2 = Statement("r(2)", "SELECT id, value FROM test WHERE id = 2")
READ_ALL = Statement("r(all)", "SELECT id, value FROM test")


def write(key: int, value: int) -> Statement:
    return Statement(f"w({key}={value})", f"UPDATE test SET value = {value} WHERE id = {key}")


def insert(key: int, value: int) -> Statement:
    return Statement(f"i({key}={value})", f"INSERT INTO test (id, value) VALUES ({key}, {value})")


def read_where(predicate: str) -> Statement:
    return Statement(f"r({_brief(predicate)})", f"SELECT id, value FROM test WHERE {predicate}")


def delete_where(predicate: str) -> Statement:
    return Statement(f"d({_brief(predicate)})", f"DELETE FROM test WHERE {predicate}")


def _brief(predicate: str) -> str:
    return predicate.replace("value", "v").replace(" ", "")


def read_plus(amount: int) -> Statement:
    """Write row 1 as the session's latest read plus `amount`."""
    return Statement(
        f"w(1=v+{amount})",
        "UPDATE test SET value = $1 WHERE id = 1",
        from_own_reads(lambda rows: (rows[0][1] + amount,)),
    )


def withdraw(key: int) -> Statement:
    """Take 80 from row `key`, unless what the session itself read says that it cannot.

    Whoever withdraws whatever was read overdraws at every level, one transaction after the other.
    """
    return Statement(
        f"w({key}-{WITHDRAWN})", f"UPDATE test SET value = value - $1 WHERE id = {key}", _COVERED
    )


_COVERED = from_own_reads(
    lambda rows: (WITHDRAWN,) if sum(value for _, value in rows) >= WITHDRAWN else None
)
