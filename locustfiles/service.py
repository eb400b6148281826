"""What happens before and after the load, over plain HTTP: open wallets, read balances, audit.

The standard library's client: it needs no user, leaves no trace in Locust's statistics, and works
in a master, which has no users at all.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from engine.errors import StoreUnavailable, UsageError
from engine.history import LogRow
from engine.money import parse_balance, show_cents
from engine.verdicts import Break, Finding, Verdict
from locustfiles.judgement import Holdings

ANSWER_S_MAX = 60.0
# Rows of the operation log in one answer; the service gives no more.
PAGE = 1000
# How often the books are read before the wallets count as still changing.
BOOKS_TRIES_MAX = 5


class Service:
    """One connection to the wallet service at `base_url`. All methods raise StoreUnavailable."""

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise UsageError(f"{base_url!r} is no address", "write it like http://127.0.0.1:8000")
        connect = HTTPSConnection if url.scheme == "https" else HTTPConnection
        self._base_url = base_url
        self._connection = connect(url.hostname, url.port, timeout=ANSWER_S_MAX)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def open_wallets(self, accounts: Iterable[str], opening_cents: int) -> None:
        """Create every wallet with the same opening balance."""
        for account in accounts:
            body = {"account": account, "opening": show_cents(opening_cents)}
            self._ask("POST", "/wallets", body)

    def holdings(self, accounts: Iterable[str], *, audited: bool) -> Holdings:
        """Balances straight from the database, and, if `audited`, the service's own audit."""
        balances = {
            account: parse_balance(self._ask("GET", f"/wallets/{account}?fresh=true")["balance"])
            for account in accounts
        }
        return Holdings(balances, self.audit() if audited else None)

    def books(
        self, accounts: Sequence[str], *, settled: bool
    ) -> tuple[dict[str, tuple[int, int]], list[LogRow]] | None:
        """What each account holds (cents and version), and its operation log, at one instant.

        Unless `settled`, calls that nobody awaits any more may still change the accounts: what is
        read counts only if all versions are the same before and after; None if they never are.
        """
        for _ in range(BOOKS_TRIES_MAX):
            before = {account: self._held(account) for account in accounts}
            log = [row for account in accounts for row in self._log(account)]
            if settled or before == {account: self._held(account) for account in accounts}:
                return before, log
        return None

    def _held(self, account: str) -> tuple[int, int]:
        told = self._ask("GET", f"/wallets/{account}?fresh=true")
        return parse_balance(told["balance"]), told["version"]

    def _log(self, account: str) -> Iterator[LogRow]:
        after: int | None = 0
        while after is not None:
            page = self._ask("GET", f"/wallets/{account}/log?limit={PAGE}&after_version={after}")
            for row in page["rows"]:
                money = {name: parse_balance(row[name]) for name in ("amount", "before", "after")}
                yield LogRow(**(row | money))
            after = page["next_after_version"]

    def audit(self) -> tuple[Finding, ...]:
        """What the service finds wrong in its operation log, of all times and wallets."""
        return _audit_findings(self._ask("GET", "/audit"))

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        try:
            self._connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
            )
            response = self._connection.getresponse()
            text = response.read()
            if response.status >= 300:
                raise StoreUnavailable(
                    f"{method} {path} was answered {response.status}: {text[:200].decode()}",
                    "look at the service's log",
                )
            return json.loads(text)
        except (OSError, HTTPException, ValueError) as error:
            raise StoreUnavailable(
                f"no service answers at {self._base_url} ({error})", "start it, or name its --host"
            ) from error


def _audit_findings(audit: Mapping[str, Any]) -> tuple[Finding, ...]:
    found = tuple(
        Finding(
            Break(finding["kind"]), f"audit: {finding['message']}", parse_balance(finding["amount"])
        )
        for finding in audit["findings"]
    )
    if audit["verdict"] == Verdict.BROKEN and not found:
        return (Finding(Break.MONEY, "audit: broken"),)
    return found
