"""Answers to plain questions that come for the first time: a manifest, a blob that is small or only asked for.

The long way takes the framework a task, a route, a request object and a response object, which is most of the time of
such an answer. What the storage can tell at once, from memory, is answered here without them, by the same functions of
the registry and with the same headers. All else (conditions, ranges, lists, events to record, refusals, and what would
have to wait for a disk) has no answer here, and goes the long way.
"""

import re
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

from multidict import CIMultiDict

from registry_service.api.headers import add_common, blob_headers, manifest_headers
from registry_service.api.lines import line_for_all
from registry_service.api.questions import BEARING, Question
from registry_service.api.remembered import Answer, head_around_date
from registry_service.api.requests import Parts
from registry_service.auth import Need, requirement
from registry_service.errors import RegistryError
from registry_service.manifests import DOCKER_LIST
from registry_service.notifications.events import BLOB_TYPE
from registry_service.registry import Witness
from shared.names import (
    Digest,
    InvalidDigest,
    InvalidName,
    InvalidTag,
    Reference,
    Tag,
    check_repository,
    parse_reference,
)
from shared.tokens import Claims, Scope

T = TypeVar("T")

READ_AT_ONCE_BYTES: Final = 128 << 10
"""From memory, so much costs less than a change of threads."""
_UNCLEAR: Final = re.compile("from|%")
"""In a query `from` names a repository that must be readable as well, and may be written in other ways."""
_CONDITIONS: Final = tuple(number for number, name in enumerate(BEARING) if name not in (b"host", b"accept"))


class Fresh(NamedTuple):
    """An answer without marks, the claims of who asks, and what it rests on; None where it is not to be remembered."""

    answer: Answer
    claims: Claims | None
    witnesses: tuple[Witness, ...] | None


class _Told(NamedTuple):
    """What the registry tells; the body is `size` bytes long, also where it is not here."""

    status: int
    headers: dict[str, str]
    body: bytes
    size: int
    witnesses: tuple[Witness, ...] | None = None


class Answering:
    """Answers what is asked plainly, from the parts of a service."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._prefix = f"{parts.config.http.prefix.rstrip('/')}/v2/"

    def answer(self, question: Question) -> Fresh | None:
        """Return the answer to a question, None where only the long way has one; raises nothing."""
        line, *bearing = question.key
        if any(bearing[number] for number in _CONDITIONS):
            return None
        method, _, target = (line or b"").decode("ascii").partition(" ")
        path, _, query = target.partition("?")
        place, _, reference = path.rpartition("/")
        place, _, kind = place.rpartition("/")
        if kind not in ("manifests", "blobs") or not place.startswith(self._prefix) or _UNCLEAR.search(query):
            return None
        try:
            name, named = check_repository(place.removeprefix(self._prefix)), parse_reference(reference)
        except (InvalidName, InvalidTag, InvalidDigest):
            return None
        auth = self._parts.auth
        needed = () if auth is None else requirement(Need.PULL, name)
        claims = None if auth is None else auth.permits(question.authorization, needed)
        if claims is None and auth is not None:
            return None
        told = _at_once(self._told(kind, name, named, whole=method == "GET"))
        return None if told is None else Fresh(self._answer(told, method, path, needed), claims, told.witnesses)

    def _answer(self, told: _Told, method: str, path: str, needed: Sequence[Scope]) -> Answer:
        lines = CIMultiDict(told.headers)
        lines["Content-Length"] = str(told.size)
        add_common(lines, self._parts.config.http)
        before, after = head_around_date(told.status, lines.items())
        silent = self._parts.config.log.accesslog.disabled
        line = None if silent else line_for_all((method, path, told.status), told.size)
        return Answer((), needed, before, after + told.body if method == "GET" else after, line)

    async def _told(self, kind: str, name: str, named: Reference, *, whole: bool) -> _Told | None:
        """Return what is told of a manifest or a blob, None as above."""
        try:
            if kind == "manifests":
                return await self._manifest(name, named)
            return await self._blob(name, named, whole=whole) if isinstance(named, Digest) else None
        except RegistryError as error:
            body = error.body()
            return _Told(error.status, {**error.headers, "Content-Type": "application/json"}, body, len(body))

    async def _manifest(self, name: str, reference: Reference) -> _Told | None:
        registry = self._parts.registry
        stored = await registry.manifest(name, reference)
        is_negotiable = stored.media_type == DOCKER_LIST and isinstance(reference, Tag)
        if is_negotiable or self._parts.notifier.wants("pull", stored.media_type):
            return None
        witnesses = registry.witnesses_of_manifest(name, reference, stored)
        return _Told(200, manifest_headers(stored), stored.body, len(stored.body), witnesses)

    async def _blob(self, name: str, digest: Digest, *, whole: bool) -> _Told | None:
        registry = self._parts.registry
        blob = await registry.blob(name, digest)
        if (whole and blob.size > READ_AT_ONCE_BYTES) or self._parts.notifier.wants("pull", BLOB_TYPE):
            return None
        body = await registry.driver.read(blob.key) if whole else b""
        size = len(body) if whole else blob.size  # what is announced is sent, whoever changes the file meanwhile
        return _Told(200, blob_headers(digest), body, size, registry.witnesses_of_blob(name, blob))


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T | None:
    """Run what need not wait; None for what would have to, before it has begun anything, or has failed."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    except Exception:  # noqa: BLE001 - it fails the long way as well, which knows what to say of it
        return None
    coroutine.close()
    return None
