"""The description of the API in the form OpenAPI 3.1, made from the table of operations."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from web_service.api.failures import (
    DENIED,
    INVALID,
    MALFORMED,
    MEANINGS,
    NOT_FOUND,
    NOT_SIGNED_IN,
    TOO_LARGE,
    TOO_MANY,
    UNAVAILABLE,
    WRONG_TYPE,
)
from web_service.api.operations import LARGEST_ID, PREFIX, Operation, Right, Via
from web_service.documents import Document, Failure
from web_service.inputs import LONGEST_NAME

_REFERENCE: Final = "#/components/schemas/"
_JSON: Final = "application/json"
_RIGHTS: Final = {
    Right.OPEN: "For everybody, without signing in.",
    Right.SELF: "For every account, about itself.",
    Right.BROWSE: "For accounts with UI_USER or UI_ADMIN.",
    Right.ADMIN: "For administrators.",
}
_VIAS: Final = {
    Via.PASSWORD: " With the password only, not with an access token.",
    Via.TOKEN: "",
    Via.LIMITED_TOKEN: " A token that is limited to repositories may be used.",
}
_DESCRIPTION: Final = (
    "Users, roles, rules, groups, robots and tokens of a private container registry. Sign in with Basic (user name, "
    "and password or access token) or Bearer (access token). An access token needs api: read for GET, api: write for "
    "the rest. Times are RFC 3339 in UTC."
)


class OpenAPI(Document):
    """A description of the API."""

    model_config = ConfigDict(extra="allow")

    openapi: str = "3.1.0"
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]
    security: list[dict[str, list[str]]]


def describe(operations: Iterable[Operation], version: str) -> OpenAPI:
    """Return the description of all operations."""
    operations = tuple(operations)
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(PREFIX + one.path, {})[one.method.lower()] = _operation(one)
    components = {
        "schemas": _schemas(operations),
        "responses": {str(status): _failure(status) for status in MEANINGS},
        "securitySchemes": {
            "basic": {"type": "http", "scheme": "basic"},
            "bearer": {"type": "http", "scheme": "bearer", "description": "An access token."},
        },
    }
    info = {"title": "Cangku", "version": version, "description": _DESCRIPTION, "license": {"name": "Apache-2.0"}}
    return OpenAPI(info=info, paths=paths, components=components, security=[{"basic": []}, {"bearer": []}])


def statuses(operation: Operation) -> tuple[int, ...]:
    """Return with which errors an operation may answer."""
    found = {NOT_FOUND, INVALID, *operation.errors}
    if operation.right is not Right.OPEN:
        found |= {NOT_SIGNED_IN, DENIED, TOO_MANY, UNAVAILABLE}
    if operation.takes:
        found |= {MALFORMED, TOO_LARGE, WRONG_TYPE}
    return tuple(sorted(found))


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Failure, "serialization"): None}
    for one in operations:
        if one.takes:
            wanted[one.takes, "validation"] = None
        if one.gives:
            wanted[one.gives, "serialization"] = None
    _, schema = models_json_schema(list(wanted), ref_template=_REFERENCE + "{model}")
    found: dict[str, Any] = schema["$defs"]
    return found


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": _RIGHTS[operation.right] + _VIAS[operation.via],
        "tags": [operation.path.split("/")[1].partition(".")[0]],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": _responses(operation),
    }
    if operation.right is Right.OPEN:
        found["security"] = []
    if operation.takes:
        found["requestBody"] = {"required": True, "content": _content(operation.takes)}
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    if operation.gives:
        success["content"] = _content(operation.gives)
    errors = {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses(operation)}
    return {str(operation.status): success, **errors}


def _content(model: type) -> dict[str, Any]:
    return {_JSON: {"schema": {"$ref": _REFERENCE + model.__name__}}}


def _failure(status: int) -> dict[str, Any]:
    code, meaning = MEANINGS[status]
    found: dict[str, Any] = {"description": f"{code}: {meaning}", "content": _content(Failure)}
    if status == NOT_SIGNED_IN:
        found["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    if status == TOO_MANY:
        found["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return found


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    schemas: Mapping[type, dict[str, Any]] = {
        int: {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
        str: {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME},
    }
    return [
        {"name": name, "in": "path", "required": True, "schema": schemas[kind]}
        for name, kind in operation.parameters.items()
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template=_REFERENCE + "{model}")
    required, defined = schema.get("required", []), schema.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": name in required, **_described(found, defined)}
        for name, found in schema["properties"].items()
    ]


def _described(schema: dict[str, Any], defined: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is a string or left out, never null."""
    schema = {name: value for name, value in schema.items() if name != "title"}
    description = {"description": schema.pop("description")} if "description" in schema else {}
    kinds = [one for one in schema.pop("anyOf", []) if one.get("type") != "null"]
    for one in (*kinds, schema):
        reference = one.pop("$ref", "").removeprefix(_REFERENCE)
        schema |= defined.get(reference, one)
    if schema.get("default", "") is None:
        del schema["default"]
    return {**description, "schema": schema}
