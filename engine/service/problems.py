"""Errors as RFC 9457 problems, with the engine's stable codes and one table of statuses."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from engine.errors import BusinessError, WalletraceError
from engine.money import show_cents
from engine.service.messages import Balance, Problem

RETRY_AFTER_S = 1

# Those that are not here: 400 for what the request did wrong, 503 for what the system could not do.
STATUSES = {
    "unknown_wallet": 404,
    "wallet_exists": 409,
    "insufficient_funds": 409,
    "balance_too_large": 409,
    "order_rejected": 409,
    "key_reused": 422,
    "store_full": 507,
}


class HttpRefusal(Exception):
    """What only HTTP can get wrong: routes, methods, bodies."""

    def __init__(
        self, status: int, code: str, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers


def status_of(error: WalletraceError) -> int:
    """The HTTP status of an engine's error."""
    return STATUSES.get(error.code, 400 if isinstance(error, BusinessError) else 503)


def problem(
    status: int,
    code: str,
    detail: str,
    headers: dict[str, str] | None = None,
    seen: Mapping[str, tuple[int, int]] | None = None,
) -> Response:
    """A problem as a response; 503 says when to come back. `seen`: account to cents and version."""
    body = Problem(
        type=f"urn:walletrace:error:{code}",
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=detail,
        code=code,
        seen=[
            Balance(account, show_cents(cents), version)
            for account, (cents, version) in sorted((seen or {}).items())
        ],
    )
    response = Response(
        msgspec.json.encode(body), status, headers, media_type="application/problem+json"
    )
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def problem_of(error: Exception, seen: Mapping[str, tuple[int, int]] | None = None) -> Response:
    """The problem that `error` is; what nobody expected tells the client nothing.

    `seen` goes with a refusal by the wallet: what an undone transaction read need never have been.
    """
    if isinstance(error, HttpRefusal):
        return problem(error.status, error.code, str(error), error.headers)
    if isinstance(error, WalletraceError):
        told = seen if isinstance(error, BusinessError) else None
        return problem(status_of(error), error.code, str(error), seen=told)
    return problem(500, "internal_error", "an unexpected error; the service's log has it")
