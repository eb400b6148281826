"""Requests into typed messages: bounded, strict, and refused in words."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from starlette.requests import Request

from engine.errors import InvalidRequest
from engine.orders import KEY_PREFIX
from engine.service.problems import HttpRefusal
from engine.wallet import valid_key

T = TypeVar("T")

BODY_BYTES_MAX = 1 << 20


async def read_body(request: Request) -> bytes:
    """The whole body; 413 as soon as more than BODY_BYTES_MAX have come, whatever was announced."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise HttpRefusal(
                413, "body_too_large", f"the body exceeds {BODY_BYTES_MAX} bytes; split it"
            )
    return bytes(body)


def decode_body(body: bytes, wanted: type[T]) -> T:
    """`body` as the message `wanted`. InvalidRequest."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not usable ({error})", "see /openapi.json") from error


def decode_query(query: Mapping[str, str], wanted: type[T]) -> T:
    """The query's parameters as the message `wanted`. InvalidRequest."""
    try:
        return msgspec.convert(dict(query), wanted, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the query is not usable ({error})", "see /openapi.json") from error


def idempotency_key(request: Request) -> str | None:
    """The header `Idempotency-Key`. InvalidRequest for one that belongs to orders."""
    key = valid_key(request.headers.get("idempotency-key"))
    if key is not None and key.startswith(KEY_PREFIX):
        raise InvalidRequest(
            f"idempotency keys that start with {KEY_PREFIX!r} belong to orders",
            "use another one",
        )
    return key
