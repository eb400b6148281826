"""The catalogue: Adya's phenomena as ept/hermitage tests them, and three stories about money.

Each script is as small as its phenomenon allows, so that every interleaving can be run. Where
hermitage has several forms of one phenomenon (items, predicates, write predicates), so has this.

Sources: Adya, Weak Consistency (1999); Bailis et al., Highly Available Transactions (2013), for
OTV; Berenson et al., A Critique of ANSI SQL Isolation Levels (1995), for P4; Fekete et al., A
Read-Only Transaction Anomaly (2004), for G2 with two edges.
"""

from engine.isolation.money import MONEY
from engine.isolation.scripts import Anomaly, Ended, Script, Session, Statement
from engine.isolation.statements import (
    READ_1,
    READ_2,
    READ_ALL,
    delete_where,
    insert,
    read_plus,
    read_where,
    write,
)


def mixed(ended: Ended) -> bool:
    """The two rows were not last written by the same transaction."""
    return ended.final not in ({1: 11, 2: 21}, {1: 12, 2: 22})


MIXED = "the rows were last written by different transactions"


def vanished(ended: Ended) -> bool:
    """T3 read row 1 as one transaction left it, and after that row 2 as an earlier one did."""
    first_1, last_1 = (11, 12) if ended.final[1] == 12 else (12, 11)
    first_2, last_2 = (19, 18) if ended.final[1] == 12 else (18, 19)
    seen_1, seen_2 = ended.read("T3", 0)[1], ended.read("T3", 1)[2]
    return (10, first_1, last_1).index(seen_1) > (20, first_2, last_2).index(seen_2)


WRITE_1_THEN_2 = Session("T1", (write(1, 11), write(2, 21)))
UPDATE_BOTH = Session("T2", (write(1, 12), write(2, 18)))

CATALOGUE = (
    Anomaly(
        "G0",
        "dirty writes",
        (
            Script(
                "G0", (WRITE_1_THEN_2, Session("T2", (write(1, 12), write(2, 22)))), mixed, MIXED
            ),
            # In opposite order they deadlock instead, where writers wait for each other.
            Script(
                "G0/crossing",
                (WRITE_1_THEN_2, Session("T2", (write(2, 22), write(1, 12)))),
                mixed,
                MIXED,
            ),
        ),
    ),
    Anomaly(
        "G1a",
        "aborted reads",
        (
            Script(
                "G1a",
                (Session("T1", (write(1, 101),), "ROLLBACK"), Session("T2", (READ_ALL, READ_ALL))),
                lambda ended: any(ended.read("T2", number)[1] == 101 for number in (0, 1)),
                "T2 read what T1 wrote and took back",
                committing=frozenset({"T2"}),
            ),
        ),
    ),
    Anomaly(
        "G1b",
        "intermediate reads",
        (
            Script(
                "G1b",
                (Session("T1", (write(1, 101), write(1, 11))), Session("T2", (READ_ALL, READ_ALL))),
                lambda ended: any(ended.read("T2", number)[1] == 101 for number in (0, 1)),
                "T2 read what T1 wrote and then wrote again",
                committing=frozenset({"T2"}),
            ),
        ),
    ),
    Anomaly(
        "G1c",
        "circular information flow",
        (
            Script(
                "G1c",
                (Session("T1", (write(1, 11), READ_2)), Session("T2", (write(2, 22), READ_1))),
                lambda ended: ended.read("T1", 1)[2] == 22 and ended.read("T2", 1)[1] == 11,
                "each read what the other wrote",
            ),
        ),
    ),
    Anomaly(
        "OTV",
        "observed transaction vanishes",
        (
            Script(
                "OTV",
                (
                    Session("T1", (write(1, 11), write(2, 19))),
                    Session("T2", (write(1, 12), write(2, 18))),
                    Session("T3", (READ_1, READ_2)),
                ),
                vanished,
                "T3 read a transaction's row 1, and then row 2 as it was before that transaction",
            ),
        ),
    ),
    Anomaly(
        "PMP",
        "predicate-many-preceders",
        (
            Script(
                "PMP",
                (
                    Session("T1", (read_where("value = 30"), read_where("value % 3 = 0"))),
                    Session("T2", (insert(3, 30),)),
                ),
                lambda ended: not ended.read("T1", 0) and 3 in ended.read("T1", 1),
                "T1 did not find the row that T2 inserted, and then did",
            ),
            Script(
                "PMP/write",
                (
                    Session("T1", (Statement("w(all+10)", "UPDATE test SET value = value + 10"),)),
                    Session("T2", (delete_where("value = 20"), read_where("value = 20"))),
                ),
                lambda ended: bool(ended.read("T2", 1)),
                "T2 deleted all rows of value 20, and then read one",
            ),
        ),
    ),
    Anomaly(
        "P4",
        "lost update",
        (
            Script(
                "P4",
                (Session("T1", (READ_1, read_plus(1))), Session("T2", (READ_1, read_plus(2)))),
                lambda ended: ended.final[1] != 13,
                "both added, and one addition is gone: 13 is right",
            ),
        ),
    ),
    Anomaly(
        "G-single",
        "read skew",
        (
            Script(
                "G-single",
                (Session("T1", (READ_1, READ_2)), UPDATE_BOTH),
                lambda ended: ended.read("T1", 0)[1] + ended.read("T1", 1)[2] != 30,
                "T1 read one row before T2 and the other after it: their sum was never that",
            ),
            Script(
                "G-single/predicate",
                (
                    Session("T1", (read_where("value % 5 = 0"), read_where("value % 3 = 0"))),
                    Session(
                        "T2",
                        (Statement("w(10 to 12)", "UPDATE test SET value = 12 WHERE value = 10"),),
                    ),
                ),
                lambda ended: 1 in ended.read("T1", 0) and 1 in ended.read("T1", 1),
                "T1 read the row before T2 by one predicate, and after it by another",
            ),
            Script(
                "G-single/write",
                (Session("T1", (READ_1, delete_where("value = 20"))), UPDATE_BOTH),
                lambda ended: ended.read("T1", 0)[1] == 10 and ended.changed("T1", 1) == 0,
                "T1 read row 1 before T2, and its delete met row 2 after it",
            ),
        ),
    ),
    Anomaly(
        "G2-item",
        "write skew",
        (
            Script(
                "G2-item",
                (
                    Session("T1", (READ_ALL, write(1, 11))),
                    Session("T2", (READ_ALL, write(2, 21))),
                ),
                lambda ended: ended.read("T1", 0) == ended.read("T2", 0),
                "neither read what the other wrote: no order of the two explains it",
            ),
        ),
    ),
    Anomaly(
        "G2",
        "anti-dependency cycles",
        (
            Script(
                "G2",
                (
                    Session("T1", (read_where("value % 3 = 0"), insert(3, 30))),
                    Session("T2", (read_where("value % 3 = 0"), insert(4, 42))),
                ),
                lambda ended: ended.read("T1", 0) == ended.read("T2", 0),
                "neither found the row that the other inserted: no order explains it",
            ),
            # T1 before T2 before T3 by what they read, and T3 before T1.
            Script(
                "G2/two-edges",
                (
                    Session("T1", (READ_ALL, write(1, 0))),
                    Session(
                        "T2",
                        (Statement("w(2=v+5)", "UPDATE test SET value = value + 5 WHERE id = 2"),),
                    ),
                    Session("T3", (READ_ALL,)),
                ),
                lambda ended: (
                    ended.read("T1", 0)[2] == 20 and ended.read("T3", 0) == {1: 10, 2: 25}
                ),
                "T1 came before T2, T2 before T3, and T3 before T1",
            ),
        ),
    ),
)
ANOMALIES = {anomaly.name: anomaly for anomaly in (*CATALOGUE, *MONEY)}
