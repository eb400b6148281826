"""Histories with their judgements, made by hand: right but for the one thing that they show."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from engine.checks.verdict import Judgement, Level, Link, Violation
from engine.checks.view import view_of
from engine.histories.by_hand import OneCall, OneEntry, from_calls
from engine.histories.columns import History
from engine.money import show_cents
from engine.recording import Ended, Kind
from engine.results import HistoryView
from engine.verdicts import Break, Verdict

OPENING = 500_000
NAMES = ("alice", "bob", *(f"user-{number}" for number in range(3, 21)))
US = 1_000


def linear(
    calls: int, clients: int, accounts: int, rng: random.Random, *, unknown: float = 0.01
) -> list[OneCall]:
    """Calls as a correct wallet answers them: each takes effect at one moment inside of it."""
    names = NAMES[:accounts]
    asked = []
    for client in range(clients):
        at = rng.randrange(2_000 * US)
        for _ in range(calls // clients + 1):
            lasts = int(rng.lognormvariate(0, 0.6) * 1_800 * US)
            asked.append((at + int(lasts * rng.uniform(0.1, 0.95)), at, at + lasts, client))
            at += lasts + int(rng.expovariate(1 / (500 * US)))
    state = dict.fromkeys(names, (OPENING, 1))
    told = []
    for number, (_, at, until, client) in enumerate(sorted(asked)[:calls]):
        kind = rng.choices(
            (Kind.BALANCE, Kind.CHECK, Kind.WITHDRAW, Kind.ADD, Kind.TRANSFER), (2, 1, 4, 4, 1)
        )[0]
        touched = rng.sample(names, 2) if kind is Kind.TRANSFER else rng.choices(names, k=1)
        call = _answered(kind, touched, rng.randrange(1, 60_000), state)
        lost = rng.random() < unknown
        told.append(
            call._replace(
                operation=f"op-{number:05d}",
                client=f"client {client + 1}",
                invoked=at,
                completed=None if lost else until,
                ended=Ended.UNKNOWN if lost else call.ended,
            )
        )
    return told


def _answered(
    kind: Kind, accounts: Sequence[str], amount: int, state: dict[str, tuple[int, int]]
) -> OneCall:
    """What the wallet answers, and does to `state`: account to balance and version."""
    signs = {Kind.WITHDRAW: [-1], Kind.ADD: [1], Kind.TRANSFER: [-1, 1]}.get(kind, [0])
    short = any(
        sign < 0 and state[name][0] < amount for name, sign in zip(accounts, signs, strict=True)
    )
    entries = []
    for name, sign in zip(accounts, signs, strict=True):
        balance, version = state[name]
        changed = sign and not short
        state[name] = (balance + sign * amount, version + 1) if changed else (balance, version)
        entries.append(OneEntry(name, sign * amount, balance, *state[name]))
    ended, code = (Ended.REFUSED, "insufficient_funds") if short else (Ended.OK, "")
    return OneCall("", "", kind, 0, 0, ended, code, entries=tuple(entries))


def lost_update(calls: int = 300) -> HistoryView:
    """12 clients; one addition overwrote a withdrawal from alice that ended while it ran."""
    told = linear(calls, 12, 3, random.Random(7))
    writes = _writes(told, "alice")
    lost, over = next(
        (one, other)
        for one, other in pairwise(writes[10:])
        if told[one].kind is Kind.WITHDRAW and told[other].kind is Kind.ADD
        if told[one].invoked < told[other].invoked < (told[one].completed or 0)
    )
    amount = -told[lost].entries[0].amount
    # Whoever came later found what the overwriting call left behind.
    for place in range(over, len(told)):
        told[place] = told[place]._replace(
            entries=tuple(_raised(entry, amount) for entry in told[place].entries)
        )
    names = told[lost].operation, told[over].operation
    history = from_calls(told, openings=dict.fromkeys(NAMES[:3], OPENING))
    places = {history.operations[place]: i for i, place in enumerate(history.operation.tolist())}
    first, second = places[names[0]], places[names[1]]
    found = show_cents(told[over].entries[0].before)
    message = f"{names[1]} overwrote {names[0]} on alice: both had read {found}"
    violation = Violation(
        Break.MONEY,
        "lost update",
        message,
        (first, second),
        history.accounts.index("alice"),
        amount,
    )
    return view_of(history, broken(violation, layer="versions", lost=-amount), title="sample run")


def _writes(told: list[OneCall], account: str) -> list[int]:
    """The calls that wrote the account, in the order of their versions; each answered."""
    versions = {
        entry.version: place
        for place, call in enumerate(told)
        for entry in call.entries
        if entry.account == account and entry.amount and call.ended is Ended.OK
    }
    return [versions[version] for version in sorted(versions) if version - 1 in versions]


def _raised(entry: OneEntry, amount: int) -> OneEntry:
    if entry.account != "alice":
        return entry
    return entry._replace(before=entry.before + amount, after=entry.after + amount)


def stale_cycle(calls: int = 10_000, clients: int = 32) -> HistoryView:
    """A read of alice that saw a balance replaced, and answered over, long before it was asked."""
    told = sorted(linear(calls, clients, 20, random.Random(11)), key=lambda call: call.invoked)
    read = next(
        place
        for place, call in enumerate(told)
        if place > calls * 0.6 and call.kind is Kind.BALANCE and call.entries[0].account == "alice"
        if call.completed
    )
    until = told[read].invoked
    between = max(
        place for place, call in enumerate(told) if call.completed and call.completed < until
    )
    writer = [
        place
        for place in _writes(told, "alice")
        if (told[place].completed or until) < told[between].invoked
    ][-1]
    wrote = next(entry for entry in told[writer].entries if entry.account == "alice")
    version = wrote.version
    stale = OneEntry("alice", 0, wrote.before, wrote.before, version - 1)
    told[read] = told[read]._replace(entries=(stale,))
    names = {place: told[place].operation for place in (read, writer, between)}
    saw = f"{names[read]} read version {version - 1}, {names[writer]} wrote {version}"
    links = (
        Link(read, writer, saw),
        Link(writer, between, f"{names[writer]} returned before {names[between]} was invoked"),
        Link(between, read, f"{names[between]} returned before {names[read]} was invoked"),
    )
    violation = Violation(
        Break.READS,
        "stale read-realtime",
        "; ".join(link.why for link in links) + ": a contradiction",
        (read, writer, between),
        0,
        links=links,
    )
    history = from_calls(told, openings=dict.fromkeys(NAMES, OPENING))
    return view_of(history, broken(violation, layer="graph", level=Level.SERIALIZABLE))


def racing(calls: int = 400, clients: int = 8, accounts: int = 6, *, seed: int = 5) -> History:
    """No lock: each call reads a balance, and writes what follows from it a while later."""
    rng = random.Random(seed)
    names = NAMES[:accounts]
    steps: list[tuple[int, int, str]] = []
    asked: list[tuple[int, int, str, int, str]] = []
    for client in range(clients):
        at = rng.randrange(1_000)
        for _ in range(calls // clients):
            reads, writes = sorted(rng.sample(range(1, 400), 2))
            number, name, amount = len(asked), rng.choice(names), rng.randrange(-900, 1_000) or 1
            asked.append((at * US, (at + 400) * US, name, amount, f"client {client + 1}"))
            steps += [(at + reads, number, "read"), (at + writes, number, "write")]
            at += 400 + rng.randrange(400)
    state, seen, told = dict.fromkeys(names, (OPENING, 1)), {}, []
    for _, number, step in sorted(steps):
        since, until, name, amount, who = asked[number]
        if step == "read":
            seen[number] = state[name][0]
            continue
        state[name] = (seen[number] + amount, state[name][1] + 1)
        entry = OneEntry(name, amount, seen[number], *state[name])
        kind = Kind.ADD if amount > 0 else Kind.WITHDRAW
        told.append(OneCall(f"op-{number:05d}", who, kind, since, until, entries=(entry,)))
    finals = {name: balance for name, (balance, _) in state.items()}
    return from_calls(told, openings=dict.fromkeys(names, OPENING), finals=finals)


def clean(calls: int = 300) -> HistoryView:
    told = linear(calls, 12, 3, random.Random(3))
    history = from_calls(told, openings=dict.fromkeys(NAMES[:3], OPENING))
    judgement = replace(broken(), verdict=Verdict.CLEAN, violations=(), count=0)
    return view_of(history, judgement, title="sample run")


def broken(
    *violations: Violation, layer: str = "graph", level: Level | None = None, lost: int | None = 0
) -> Judgement:
    passed = ("arithmetic", "ledger")
    notes = ("the cache was not checked: no balance of it was recorded",)
    count = len(violations)
    return Judgement(Verdict.BROKEN, layer, level, violations, count, passed, notes, lost)
