"""The description of the API: it says of every operation what it takes, gives and refuses."""

import re

import pytest

from tests.kit.api import PREFIX, program
from web_service.api import OPERATIONS
from web_service.api.failures import MEANINGS
from web_service.api.openapi import describe
from web_service.api.operations import Right

DESCRIPTION = describe(OPERATIONS, "1.2.3").model_dump(by_alias=True)


async def test_it_is_open_to_everybody(console):
    found = await (await program(console, "")).done("GET", "/openapi.json")
    assert found["openapi"] == "3.1.0"
    assert found["paths"] == DESCRIPTION["paths"]


def references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


def test_every_reference_leads_somewhere():
    found = set(references(DESCRIPTION))
    assert len(found) > 40
    for reference in found:
        at = DESCRIPTION
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_every_operation_is_described(operation):
    found = DESCRIPTION["paths"][PREFIX + operation.path][operation.method.lower()]
    assert found["operationId"] == operation.id
    assert found["summary"]
    assert [one for one in found["responses"] if one < "300"] == [str(operation.status)]
    assert ("requestBody" in found) == (operation.takes is not None)
    in_path = {one["name"] for one in found["parameters"] if one["in"] == "path"}
    assert in_path == set(re.findall(r"{(\w+)}", operation.path))
    is_open = operation.right is Right.OPEN
    assert found.get("security", DESCRIPTION["security"]) == ([] if is_open else [{"basic": []}, {"bearer": []}])
    assert ("401" in found["responses"]) is not is_open
    assert {int(one) for one in found["responses"] if one >= "400"} <= set(MEANINGS)


def test_what_is_taken_names_all_its_fields_and_refuses_others():
    schemas = DESCRIPTION["components"]["schemas"]
    for model in {one.takes for one in OPERATIONS if one.takes}:
        assert schemas[model.__name__]["additionalProperties"] is False
        assert set(schemas[model.__name__]["properties"]) == set(model.model_fields)


def test_a_secret_is_shown_by_nothing_but_what_makes_it():
    schemas = DESCRIPTION["components"]["schemas"]
    showing = {name for name, one in schemas.items() if {"secret", "password_hash"} & set(one.get("properties", {}))}
    assert showing == {"NewToken"}
