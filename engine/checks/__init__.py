"""Judges, one file each. They look at balances, log and answers, never at HTTP statuses.

>>> from engine.checks import judge
>>> from engine.histories.by_hand import OneCall, OneEntry, from_calls
>>> from engine.recording import Kind
>>> history = from_calls([
...     OneCall("a", "A", Kind.WITHDRAW, 0, 10, entries=(OneEntry("u", -500, 1000, 500, 2),)),
...     OneCall("b", "B", Kind.ADD, 5, 20, entries=(OneEntry("u", 300, 1000, 1300, 3),)),
... ], openings={"u": 1000})
>>> judgement = judge(history)
>>> judgement.verdict.value, judgement.layer, str(judgement.level)
('broken', 'ledger', 'read committed')
>>> print(judgement.violations[0].message)
u: b (add 3.00) began from 10.00 and overwrote a (withdraw 5.00), which had left 5.00: 5.00 made
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.checks.judging import judge

__all__ = ["judge"]


def __getattr__(name: str) -> Any:
    # Explorations use one small judge of this package: they need not wait for numpy and scipy.
    if name == "judge":
        from engine.checks.judging import judge

        return judge
    raise AttributeError(name)
