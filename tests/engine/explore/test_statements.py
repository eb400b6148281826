"""Single statements on the model's tables."""

from engine.explore.statements import written
from engine.explore.tables import opened
from engine.operations import Open, Withdraw
from engine.ports import Call, Change


def test_rows_stay_sorted_whether_they_are_changed_or_added() -> None:
    tables = opened({"bob": 300, "carol": 500}, keep_log=False).tables
    withdrawal = Call("A.1", Withdraw("carol", 100)), (Change("carol", 500, 400, 1),)
    opening = Call("A.2", Open("alice", 200)), (Change("alice", 0, 200, 0),)
    for call, changes in (withdrawal, opening):
        tables, _ = written(tables, (), call, changes, False, {})
    assert tables.rows == (("alice", (200, 1)), ("bob", (300, 1)), ("carol", (400, 2)))
    assert not tables.gap
