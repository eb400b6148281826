"""The OpenAPI 3.1 document, made from the route table and the message types."""

from collections.abc import Sequence
from typing import Any

import msgspec

from engine.service import messages
from engine.service.routes import Endpoint, Mutation, Page, Question

Json = dict[str, Any]

_REFUSALS = {400: "Not usable", 404: "No such wallet", 409: "Cannot be done now"}
_POST_REFUSALS = {413: "Body too large", 422: "Key stands for another operation"}
_FAULTS = {503: "Try again", 507: "No room left"}
_KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "1 to 128 printable ASCII characters; the same key happens once",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}
_RECEIPT_HEADERS = {
    "Server-Timing": {
        "description": "lock: wait for locks; db: in the database; dbwait: the part of db spent"
        " waiting; total: the request (ms)",
        "schema": {"type": "string"},
    },
    "Walletrace-Worker": {
        "description": "index of the worker process that answered",
        "schema": {"type": "string"},
    },
    "Idempotency-Replayed": {
        "description": "true when the receipt is an earlier request's",
        "schema": {"type": "string", "const": "true"},
    },
}


def openapi_document(routes: Sequence[Endpoint], version: str) -> Json:
    """The whole document."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    refs = dict(zip(types, schemas, strict=True))
    paths: Json = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "walletrace", "version": version},
        "paths": paths,
        "components": {"schemas": components},
    }


def _types(routes: Sequence[Endpoint]) -> list[type]:
    types: list[type] = [messages.Receipt, messages.Problem]
    for route in routes:
        if isinstance(route, Mutation):
            types.append(type(route.example))
        elif isinstance(route, Question):
            types.append(route.answer)
    return list(dict.fromkeys(types))


def _operation(route: Endpoint, refs: dict[type, Json]) -> Json:
    operation: Json = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": _responses(route, refs),
    }
    if isinstance(route, Mutation):
        example = msgspec.to_builtins(route.example)
        operation["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {"schema": refs[type(route.example)], "example": example}
            },
        }
    return operation


def _parameters(route: Endpoint) -> list[Json]:
    found: list[Json] = []
    if "{account}" in route.path:
        schema = msgspec.json.schema(messages.Account)
        found.append({"name": "account", "in": "path", "required": True, "schema": schema})
    if isinstance(route, Mutation):
        found.append(_KEY_HEADER)
    if isinstance(route, Question):
        _, components = msgspec.json.schema_components([route.query])
        query = components[route.query.__name__]
        found += [
            {"name": name, "in": "query", "required": name in query["required"], "schema": schema}
            for name, schema in query["properties"].items()
        ]
    return found


def _responses(route: Endpoint, refs: dict[type, Json]) -> Json:
    if isinstance(route, Page):
        return {"200": {"description": "OK", "content": {route.media_type: {}}}}
    problem = {"application/problem+json": {"schema": refs[messages.Problem]}}
    refusals = _REFUSALS | (_POST_REFUSALS if isinstance(route, Mutation) else {}) | _FAULTS
    responses: Json = {
        str(status): {"description": text, "content": problem} for status, text in refusals.items()
    }
    if isinstance(route, Mutation):
        receipt = {"application/json": {"schema": refs[messages.Receipt]}}
        responses[str(route.status)] = {
            "description": "The receipt",
            "headers": _RECEIPT_HEADERS,
            "content": receipt,
        }
    else:
        answer = {"application/json": {"schema": refs[route.answer]}}
        responses["200"] = {"description": "OK", "content": answer}
    return dict(sorted(responses.items()))
