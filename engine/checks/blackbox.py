"""Only answers are known (ok, not enough, and what a balance was): an order, event by event.

The same search as `events`, in which every change has a known amount and an unknown place. Which
pending changes, taken together, lead to a balance that somebody was told, is a subset sum.
"""

from engine.checks.events import check_accounts
from engine.checks.verdict import Budget, Found
from engine.histories.columns import History


def check_blackbox(history: History, budget: Budget) -> Found:
    """Judge each account by outcomes and the answers to questions alone.

    Violations and errors are those of `check_events`. What changes found and left is not looked at,
    even where it is known. Amounts drawn from few values make such histories ambiguous: many orders
    explain them, and the search is slow.
    """
    return check_accounts(history, budget, answers_only=True)
