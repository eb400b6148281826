"""A judged history as one self-contained, interactive page: lanes, arrows, balances, words.

The calls go into the page as columns of small numbers, and are drawn there on a canvas. The page
loads nothing, and its policy forbids it to: names come from other people's logs.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from heapq import heappop, heappush
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from engine.money import made_words
from engine.results import HistoryView, ViewedCalls
from engine.verdicts import Break, Verdict
from reports.reading import SYMBOLS
from reports.theme import BLUE, DARK, GREEN, LIGHT, ORANGE, PURPLE, SKY

# What every reader of JSON numbers holds exactly; larger money goes as text.
EXACT_MAX = 2**53 - 1
# Calls of one client that overlap each other stand in lanes of their own, up to so many.
LANES_MAX = 64
CALLS_LISTED = 20
# In this order, as one program.
SCRIPTS = ("data", "draw", "marks", "strips", "input")
_WRONG_FROM = {
    Break.MONEY: "money is wrong from here",
    Break.LIVENESS: "stuck from here",
    Break.ORDER: "no order is left from here",
    Break.READS: "no order is left from here",
}

Column = Sequence[int | None]


def write_history_page(path: Path, view: HistoryView) -> None:
    """Write the page: one file, UTF-8, readable offline in any present browser."""
    path.write_text(history_page(view), encoding="utf-8")


def history_page(view: HistoryView) -> str:
    """The page's text."""
    # A program whose hash the policy names; nothing else on the page can run.
    script = "".join(
        (files("reports") / "templates" / f"history_{name}.js").read_text(encoding="utf-8")
        for name in SCRIPTS
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    columns = _columns(view)
    lanes_are = columns["lanesAre"]
    words = {
        "view": view,
        "headline": _headline(view),
        "decided": _decided(view),
        "lane_words": lanes_are,
        "all_words": f"{_count(view.calls.kind, 'call')} of {_count(view.clients, lanes_are)}.",
        "shown_words": _shown_words(view),
        "columns": columns,
        "lanes": len(columns["lanes"]),
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
    }
    return _environment(view.decimals).get_template("history.html").render(words)


def _environment(decimals: int) -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.filters["made"] = lambda amount: made_words(amount, decimals)
    colours = {"sky": SKY, "orange": ORANGE, "green": GREEN, "purple": PURPLE, "blue": BLUE}
    environment.globals |= {
        "SYMBOLS": SYMBOLS,
        "CALLS_LISTED": CALLS_LISTED,
        "light": LIGHT,
        "dark": DARK,
        **colours,
    }
    return environment


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"


def _headline(view: HistoryView) -> str:
    if view.verdict is Verdict.BROKEN and view.violations:
        first = view.violations[0]
        amount = f", {made_words(first.amount, view.decimals)}" if first.amount else ""
        if view.count == 1:
            return f"one {first.anomaly}{amount}"
        return f"{view.count:,} violations, first: {first.anomaly}{amount}"
    if view.verdict is Verdict.CLEAN:
        return f"nothing wrong was found, at the layer {view.layer}"
    return "it could not be decided whether something is wrong"


def _decided(view: HistoryView) -> str:
    """Which layer decided, what passed, and what the history satisfies."""
    passed = [layer for layer in view.passed if layer != view.layer]
    level = "no isolation level" if view.level == "none" else view.level
    sentences = [
        f"Decided by the layer {view.layer}" if view.layer else "",
        f"nothing was found by {', '.join(passed)}" if passed else "",
        f"the strongest level this history satisfies: {level}" if level else "",
        f"the accounts together: {made_words(-view.lost, view.decimals)}" if view.lost else "",
    ]
    return "; ".join(filter(None, sentences)) + "."


def _shown_words(view: HistoryView) -> str:
    """What is left out; "" where nothing is."""
    shown = len(view.calls.kind)
    if shown == view.calls_total:
        return ""
    which = "those around what is wrong" if view.violations else "the first ones"
    return (
        f"Shown: {shown:,} of {view.calls_total:,} calls, {which}; the verdict is on all of them."
    )


def _columns(view: HistoryView) -> dict[str, Any]:
    calls = view.calls
    money: tuple[Column, ...] = (calls.amount, calls.before, calls.after)
    big = any(value is not None and abs(value) > EXACT_MAX for column in money for value in column)
    amount, before, after = (_texts(column) if big else _steps(column) for column in money)
    lane, lanes = lanes_of(calls, view.clients)
    return {
        "decimals": view.decimals,
        "step": view.step_ns,
        "big": big,
        "clients": view.clients,
        "accounts": view.accounts,
        "codes": view.codes,
        "lanes": lanes,
        # A log by itself knows no clients: its operations stand by account.
        "lanesAre": "account" if view.clients == view.accounts else "client",
        "lane": lane,
        "operation": calls.operation,
        "client": calls.client,
        "kind": calls.kind,
        "ended": calls.ended,
        "code": calls.code,
        "invoked": _steps(calls.invoked_ns),
        "lasted": [
            None if end is None else end - begin
            for begin, end in zip(calls.invoked_ns, calls.completed_ns, strict=True)
        ],
        "first": _steps(calls.first),
        "account": calls.account,
        "amount": amount,
        "before": before,
        "after": after,
        "version": _steps(calls.version),
        "wrongFrom": _WRONG_FROM,
        "violations": [
            {
                "kind": one.kind,
                "anomaly": one.anomaly,
                "message": one.message,
                "calls": one.calls,
                "account": one.account,
                "amount": str(one.amount) if one.amount else "",
                "links": one.links,
                "at": one.at_ns,
            }
            for one in view.violations
        ],
    }


def _steps(column: Column) -> list[int | None]:
    """A column as differences, which are short where its values are long; None stays None."""
    last, steps = 0, []
    for value in column:
        steps.append(None if value is None else value - last)
        last = last if value is None else value
    return steps


def _texts(column: Column) -> list[str | None]:
    return [None if value is None else str(value) for value in column]


def lanes_of(calls: ViewedCalls, clients: Sequence[str]) -> tuple[list[int], list[int]]:
    """The lane of each call, and the client of each lane: clients by name, no calls overlapping.

    A call that was never answered holds its lane for no time, since its client went on.
    """
    rows: list[int] = []
    free: dict[int, list[int]] = {}
    busy: dict[int, list[tuple[int, int]]] = {}
    for client, begin, end in zip(calls.client, calls.invoked_ns, calls.completed_ns, strict=True):
        mine, ends = free.setdefault(client, list(range(LANES_MAX))), busy.setdefault(client, [])
        while ends and ends[0][0] <= begin:
            heappush(mine, heappop(ends)[1])
        row = heappop(mine) if mine else LANES_MAX - 1
        if row < LANES_MAX - 1:
            heappush(ends, (begin if end is None else end, row))
        rows.append(row)
    used = sorted(
        set(zip(calls.client, rows, strict=True)),
        key=lambda each: (_by_number(clients[each[0]]), each),
    )
    place = {each: number for number, each in enumerate(used)}
    lane = [place[each] for each in zip(calls.client, rows, strict=True)]
    return lane, [client for client, _ in used]


def _by_number(name: str) -> list[tuple[int, str]]:
    """A key that puts "client 9" before "client 10"."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]
