"""The OpenAPI document says what the service does: it is made from the same table and types."""

import asyncio
import json

import msgspec

from engine.service.openapi import openapi_document
from engine.service.routes import ROUTES, Mutation

DOCUMENT = openapi_document(ROUTES, "1.2.3")


def test_the_service_shows_the_document(service):
    async def act():
        async with service() as client:
            return await client.get("/openapi.json")

    shown = asyncio.run(act()).json()
    assert shown["openapi"] == "3.1.0"
    assert shown["paths"] == json.loads(json.dumps(DOCUMENT["paths"]))


def test_every_route_is_listed_once():
    listed = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert listed == {(route.method, route.path) for route in ROUTES}
    names = [op["operationId"] for item in DOCUMENT["paths"].values() for op in item.values()]
    assert len(set(names)) == len(names) == len(ROUTES)


def test_every_reference_resolves():
    text = json.dumps(DOCUMENT)
    schemas = DOCUMENT["components"]["schemas"]
    for part in text.split('"$ref": "')[1:]:
        reference = part.split('"')[0]
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_every_example_body_is_valid_by_its_own_type_and_schema():
    for route in ROUTES:
        if isinstance(route, Mutation):
            content = DOCUMENT["paths"][route.path]["post"]["requestBody"]["content"]
            example = content["application/json"]["example"]
            assert msgspec.convert(example, type(route.example)) == route.example
            name = content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
            schema = DOCUMENT["components"]["schemas"][name]
            assert set(schema["required"]) <= set(example) <= set(schema["properties"])
            assert schema["additionalProperties"] is False


def test_parameters_of_path_and_query_are_listed():
    page = DOCUMENT["paths"]["/wallets/{account}/log"]["get"]["parameters"]
    assert [(p["name"], p["in"], p["required"]) for p in page] == [
        ("account", "path", True),
        ("after_version", "query", False),
        ("limit", "query", False),
    ]
    assert DOCUMENT["paths"]["/transfers"]["post"]["parameters"][0]["name"] == "Idempotency-Key"
