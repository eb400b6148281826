"""A history call by call, so that it can be changed by hand, and printed as code that makes it."""

from dataclasses import dataclass, replace

from engine.histories.by_hand import OneCall, OneEntry, OneRow, from_calls
from engine.histories.columns import FOREVER, MISSING, History, Log
from engine.recording import Ended, Kind


@dataclass(frozen=True, slots=True)
class Draft:
    """What `from_calls` takes."""

    calls: tuple[OneCall, ...]
    openings: dict[str, int]
    finals: dict[str, int]
    log: tuple[OneRow, ...] | None
    complete: bool
    opening_version: int

    def history(self) -> History:
        return from_calls(
            self.calls,
            openings=self.openings,
            finals=self.finals,
            log=self.log,
            complete=self.complete,
            opening_version=self.opening_version,
        )

    def code(self) -> str:
        """The Python that makes this history."""
        calls = "\n".join(f"        {_call(call)}," for call in self.calls)
        log = None if self.log is None else f"[{', '.join(map(_row, self.log))}]"
        return (
            f"from_calls(\n    [\n{calls}\n    ],\n    openings={self.openings},\n"
            f"    finals={self.finals},\n    log={log},\n    complete={self.complete},\n"
            f"    opening_version={self.opening_version},\n)"
        )

    def call(self, place: int, call: OneCall) -> "Draft":
        """The same with another call in this place."""
        return replace(self, calls=(*self.calls[:place], call, *self.calls[place + 1 :]))

    def entry(self, place: int, number: int, entry: OneEntry) -> "Draft":
        """The same with another entry of a call."""
        entries = self.calls[place].entries
        changed = (*entries[:number], entry, *entries[number + 1 :])
        return self.call(place, self.calls[place]._replace(entries=changed))


def written_out(history: History) -> Draft:
    """The calls and rows of a history."""
    versions = set(history.opening_versions.tolist())
    assert len(versions) == 1, "all accounts open at one version in what is written by hand"
    names = history.accounts
    return Draft(
        tuple(_calls(history)),
        dict(zip(names, history.openings.tolist(), strict=True)),
        dict(zip(names, history.finals.tolist(), strict=True)),
        None if history.log is None else tuple(_rows(history, history.log)),
        history.complete,
        versions.pop(),
    )


def _rows(history: History, log: Log) -> list[OneRow]:
    columns = zip(*(getattr(log, name).tolist() for name in log.__slots__), strict=True)
    return [
        OneRow(history.operations[operation], history.accounts[account], Kind(kind), *money)
        for operation, account, kind, *money in columns
    ]


def _calls(history: History) -> list[OneCall]:
    per_entry = [
        getattr(history, name).tolist() for name in ("amount", "before", "after", "version", "need")
    ]
    entries = [
        OneEntry(history.accounts[account], *rest)
        for account, *rest in zip(history.account.tolist(), *per_entry, strict=True)
    ]
    first = history.first.tolist()
    columns = ("operation", "client", "kind", "ended", "code", "key", "invoked", "completed")
    rows = zip(*(getattr(history, name).tolist() for name in columns), strict=True)
    return [
        OneCall(
            history.operations[operation],
            history.clients[client],
            Kind(kind),
            invoked,
            None if completed == FOREVER else completed,
            Ended(ended),
            history.codes[code],
            None if key < 0 else f"key-{key}",
            tuple(entries[first[place] : first[place + 1]]),
        )
        for place, (operation, client, kind, ended, code, key, invoked, completed) in enumerate(
            rows
        )
    ]


def _call(call: OneCall) -> str:
    entries = "".join(f"{_entry(entry)}, " for entry in call.entries)
    texts = (call.operation, call.client)
    return (
        f"OneCall({', '.join(map(repr, texts))}, Kind.{call.kind.name}, {call.invoked},"
        f" {call.completed}, Ended.{call.ended.name}, {call.code!r}, {call.key!r}, ({entries}))"
    )


def _entry(entry: OneEntry) -> str:
    return f"OneEntry({', '.join(_number(value) for value in entry)})"


def _row(row: OneRow) -> str:
    return (
        f"OneRow({row.operation!r}, {row.account!r}, Kind.{row.kind.name},"
        f" {', '.join(map(_number, row[3:]))})"
    )


def _number(value: str | int) -> str:
    return "MISSING" if value == MISSING else repr(value)
