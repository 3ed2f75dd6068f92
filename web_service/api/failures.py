"""Errors of the API: a code for programs, a message for people, and what is wrong with which field."""

from collections.abc import Iterable, Sequence
from typing import Final, get_args

from aiohttp import web
from multidict import CIMultiDict
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.texts import clean
from web_service.documents import Detail, Error, Failure
from web_service.errors import Invalid, Problem

MALFORMED: Final = 400
NOT_SIGNED_IN: Final = 401
DENIED: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409
TOO_LARGE: Final = 413
WRONG_TYPE: Final = 415
INVALID: Final = 422
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503

MEANINGS: Final = {
    MALFORMED: ("MALFORMED", "What was sent cannot be read."),
    NOT_SIGNED_IN: ("UNAUTHORIZED", "Nobody, or not validly, signed in."),
    DENIED: (
        "DENIED",
        "The rights of the account or of the token, or a rule that protects the installation, forbid it.",
    ),
    NOT_FOUND: ("NOTFOUND", "There is no such thing."),
    CONFLICT: ("CONFLICT", "It contradicts what is already there."),
    TOO_LARGE: ("TOOLARGE", "What was sent is too large."),
    WRONG_TYPE: ("UNSUPPORTEDTYPE", "What was sent is not application/json."),
    INVALID: ("INVALID", "What was sent can be read but not used; the detail names the fields."),
    TOO_MANY: (
        "TOOMANYREQUESTS",
        "Too many failed attempts to sign in, or somebody else tries a change of rules: wait as Retry-After says.",
    ),
    UNAVAILABLE: ("UNAVAILABLE", "The database does not answer at the moment."),
}
"""The code of each status, and what it means."""
_MOST_DETAILS: Final = 20
_LONGEST_FIELD: Final = 100
_LONGEST_MESSAGE: Final = 1000


class Failed(Exception):
    """The request is not done; `headers` go along."""

    def __init__(
        self, status: int, message: str, detail: Sequence[Detail] = (), headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.detail = tuple(detail)
        self.headers = tuple(headers)


def of_problem(problem: Problem) -> Failed:
    """Return how the API tells what the domain says."""
    headers = [("Retry-After", str(problem.seconds))] if problem.seconds else []
    status = INVALID if isinstance(problem, Invalid) else problem.status
    return Failed(status, str(problem), headers=headers)


def of_validation(error: ValidationError, kind: type[BaseModel], noun: str = "field") -> Failed:
    """Return what is wrong with a document of a kind: that it is no JSON, or which fields cannot be used.

    `noun` is what a field is called where the document is a query.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(one["type"] == "json_invalid" for one in found):
        return Failed(MALFORMED, f"{found[0]['msg']}.")
    detail = [_detail(".".join(map(str, one["loc"])), _reason(one, kind, noun)) for one in found[:_MOST_DETAILS]]
    return Failed(INVALID, "; ".join(f"{one.field}: {one.reason}" for one in detail), detail)


def of_field(field: str, problem: Problem) -> Failed:
    """Return what is wrong with one field, as the domain says it."""
    detail = _detail(field, str(problem))
    return Failed(INVALID, f"{field}: {detail.reason}", [detail])


def answer(failed: Failed) -> web.Response:
    """Return the answer."""
    code, _ = MEANINGS[failed.status]
    error = Error(code=code, message=clean(failed.message)[:_LONGEST_MESSAGE], detail=list(failed.detail) or None)
    body = Failure(errors=[error]).model_dump_json(exclude_none=True).encode()
    headers = CIMultiDict(failed.headers)
    return web.Response(status=failed.status, body=body, content_type="application/json", headers=headers)


def _reason(found: ErrorDetails, kind: type[BaseModel], noun: str) -> str:
    if found["type"] != "extra_forbidden":
        return str(found["msg"])
    known = ", ".join(_fields(kind, found["loc"][:-1]))
    return f"There is no such {noun} here; there is: {known}." if known else f"There is no {noun} here."


def _fields(kind: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the names of the fields of a document, or of one within it."""
    for name in place:
        inner = kind.model_fields.get(str(name))
        kinds = [] if inner is None else [inner.annotation, *get_args(inner.annotation)]
        kind = next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), kind)
    return [field.alias or name for name, field in kind.model_fields.items()]


def _detail(field: str, reason: str) -> Detail:
    return Detail(field=clean(field)[:_LONGEST_FIELD] or "(body)", reason=clean(reason.removeprefix("Value error, ")))
