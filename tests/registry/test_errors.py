"""The error table, as the specifications have it."""

import json

import pytest

from registry_service.errors import Code, Problem, RegistryError

SPECIFIED = [
    ("UNKNOWN", 500, "unknown error"),
    ("UNSUPPORTED", 405, "The operation is unsupported."),
    ("UNAUTHORIZED", 401, "authentication required"),
    ("DENIED", 403, "requested access to the resource is denied"),
    ("UNAVAILABLE", 503, "service unavailable"),
    ("TOOMANYREQUESTS", 429, "too many requests"),
    ("DIGEST_INVALID", 400, "provided digest did not match uploaded content"),
    ("SIZE_INVALID", 400, "provided length did not match content length"),
    ("RANGE_INVALID", 416, "invalid content range"),
    ("NAME_INVALID", 400, "invalid repository name"),
    ("TAG_INVALID", 400, "manifest tag did not match URI"),
    ("NAME_UNKNOWN", 404, "repository name not known to registry"),
    ("MANIFEST_UNKNOWN", 404, "manifest unknown"),
    ("MANIFEST_INVALID", 400, "manifest invalid"),
    ("MANIFEST_BLOB_UNKNOWN", 400, "blob unknown to registry"),
    ("BLOB_UNKNOWN", 404, "blob unknown to registry"),
    ("BLOB_UPLOAD_UNKNOWN", 404, "blob upload unknown to registry"),
    ("BLOB_UPLOAD_INVALID", 404, "blob upload invalid"),
    ("PAGINATION_NUMBER_INVALID", 400, "invalid number of results requested"),
]
OURS = [
    ("NOT_FOUND", 404, "no such page in the registry API"),
    ("PRECONDITION_FAILED", 412, "someone else has changed it in the meantime"),
]


@pytest.mark.parametrize(("name", "status", "message"), SPECIFIED + OURS)
def test_a_code_has_the_status_and_message_of_the_specification(name, status, message):
    error = RegistryError(Code[name])
    assert error.status == status
    assert json.loads(error.body()) == {"errors": [{"code": name, "message": message, "detail": None}]}


def test_the_table_above_is_complete():
    assert {code.name for code in Code} == {name for name, _, _ in SPECIFIED + OURS}


def test_detail_message_status_and_headers_can_be_given():
    error = RegistryError(Code.MANIFEST_INVALID, {"a": "仓库"}, "too large", status=413, headers={"X": "y"})
    assert (error.status, error.headers) == (413, {"X": "y"})
    assert error.body() == (
        '{"errors":[{"code":"MANIFEST_INVALID","message":"too large","detail":{"a":"仓库"}}]}\n'.encode()
    )


def test_several_problems_are_told_at_once_and_the_first_decides_the_status():
    problems = [Problem(Code.MANIFEST_BLOB_UNKNOWN, {"digest": "a"}), Problem(Code.NAME_UNKNOWN)]
    error = RegistryError.of(problems)
    assert error.status == 400
    assert [one["code"] for one in json.loads(error.body())["errors"]] == ["MANIFEST_BLOB_UNKNOWN", "NAME_UNKNOWN"]


def test_the_body_is_one_line():
    assert RegistryError(Code.UNKNOWN, "a\nb").body().count(b"\n") == 1
