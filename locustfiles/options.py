"""The command line options that these locustfiles add to Locust's own, and what they ask for."""

import argparse
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from engine.errors import UsageError, WalletraceError
from engine.money import BALANCE_CENTS_MAX, parse_cents

ACCOUNTS_MAX = 1_000_000
# A million different amounts: with few of them one lost update could be balanced by another.
AMOUNT_MAX = "10000.00"
# Rich enough that withdrawals alone do not empty the wallet within minutes.
OPENING = "1000000000.00"


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked of one run. Amounts in cents."""

    run_id: str
    accounts: tuple[str, ...]
    opening_cents: int
    amount_cents_max: int
    seed: str


def add_options(parser: Any, **_: Any) -> None:
    """Locust hands its parser to listeners of `init_command_line_parser`.

    Values stay texts: Locust's web page shows them, and hands back what was typed there.
    """
    add: Callable[..., Any] = parser.add_argument
    add("--accounts", type=_valid(_accounts), default="1", help="wallets; 1 is one hot account")
    add("--opening", type=_valid(_opening), default=OPENING, help="what each wallet holds at first")
    add("--amount-max", type=_valid(parse_cents), default=AMOUNT_MAX, help="amounts: 0.01 to this")
    add("--seed", default="0", help="repeats what every user draws")
    add(
        "--service-workers",
        type=int,
        default=0,
        help="processes of the service that must all have served, else the verdict is unknown",
    )
    add(
        "--record",
        default="",
        metavar="FOLDER",
        help="record every call there, for `walletrace check FOLDER`",
    )
    add("--result", default="", metavar="FILE", help="write counts, percentiles and verdict (JSON)")


def plan_of(options: Any, run_id: str) -> Plan:
    """The parsed `options` as a plan, or InvalidAmount or UsageError."""
    return Plan(
        run_id,
        tuple(f"load-{run_id}-{number}" for number in range(_accounts(options.accounts))),
        _opening(options.opening),
        parse_cents(options.amount_max),
        options.seed,
    )


def enough_for(user_classes: Iterable[type], plan: Plan) -> None:
    """UsageError if one of these users needs more accounts than `plan` has."""
    for user in user_classes:
        needed = getattr(user, "accounts_min", 1)
        if len(plan.accounts) < needed:
            raise UsageError(
                f"{user.__name__} with {len(plan.accounts)} accounts",
                f"use --accounts {needed} or more",
            )


def new_run_id() -> str:
    """Tells the wallets of one run from those of any other over the same database."""
    return uuid.uuid4().hex[:8]


def _accounts(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= ACCOUNTS_MAX):
        raise UsageError(f"{text!r} accounts", f"ask for 1 to {ACCOUNTS_MAX}")
    return int(text)


def _opening(text: str) -> int:
    return parse_cents(text, least=0, most=BALANCE_CENTS_MAX)


def _valid(read: Callable[[str], object]) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            read(text)
        except WalletraceError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text

    return check
