"""The only module that speaks to the registry: over its HTTP API, with a right for exactly the call at hand.

Manifests and configurations never change under their digest, so what was read once is kept (the newest few thousand).
The connection pool bounds how many requests run at once.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

from shared.names import InvalidDigest, InvalidName, InvalidTag, check_repository, parse_reference
from shared.texts import clean
from shared.tokens import REPOSITORY, Scope
from web_service.access import CONSOLE
from web_service.authority import Authority, Caller
from web_service.cache import Cache
from web_service.errors import N_, DeletionDisabled, RegistryNotFound, RegistryProblem, RegistryUnreachable
from web_service.foreign import parse_json
from web_service.images import MANIFEST_TYPES, ImageConfig, Manifest, parse_config, parse_manifest

_CONNECTIONS: Final = 16
_KEPT: Final = 4096
_LARGEST_BODY: Final = 8 * 1024 * 1024
_GLANCE: Final = "_cangku/tags/list"
_ASK_AGAIN_SECONDS: Final = 600
"""Until a registry that had no list of tags is asked for one again: it may have been replaced by ours."""
_PAGE: Final = 1000
_MOST_PAGES: Final = 1000
_EXCERPT: Final = 200
_ACCEPT: Final = {"Accept": ", ".join(MANIFEST_TYPES)}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    next_query: str


class RegistryClient:
    """Calls of one registry; every method raises RegistryProblem or one of its kinds."""

    def __init__(self, url: str, authority: Authority) -> None:
        self._base = URL(url.rstrip("/"))
        self._authority = authority
        self._manifests = Cache[Manifest](_KEPT)
        self._configs = Cache[ImageConfig](_KEPT)
        self._clock = time.monotonic
        self._no_glance_until = 0.0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=20),
            headers={"User-Agent": CONSOLE},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def check(self) -> None:
        """See that the registry answers and accepts who we are."""
        await self._request("GET", self._base / "", None)

    async def repositories(self) -> list[str]:
        """Return the names of all repositories."""
        scope = Scope("registry", "catalog", ("*",))
        return await self._listed(self._base / "_catalog", scope, "repositories", f"n={_PAGE}")

    async def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository, in no particular order."""
        return await self._listed(self._url(repository, "tags/list"), _pull(repository), "tags", "")

    async def tags_at_a_glance(self, repository: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        """Return a page of our registry's list of tags (docs/extensions.md), None where there is no such list."""
        if self._clock() < self._no_glance_until:
            return None
        url = self._url(repository, _GLANCE).with_query(query)
        try:
            answer = await self._request("GET", url, _pull(repository))
        except RegistryNotFound as problem:
            if problem.code == "NAME_UNKNOWN":
                raise
            self._no_glance_until = self._clock() + _ASK_AGAIN_SECONDS
            return None
        return _json(answer.body)

    async def digest(self, repository: str, tag: str) -> str:
        """Return the digest that a tag points to now."""
        answer = await self._manifest_request("HEAD", repository, tag)
        return _header(answer, "Docker-Content-Digest") or (await self.manifest(repository, tag)).digest

    async def manifest(self, repository: str, reference: str) -> Manifest:
        """Return the manifest under a tag or digest."""
        key = f"{repository}@{reference}"
        kept = self._manifests.get(key)
        if kept is not None:
            return kept
        answer = await self._manifest_request("GET", repository, reference)
        digest = _header(answer, "Docker-Content-Digest") or f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        media_type = _header(answer, "Content-Type").partition(";")[0].strip()
        manifest = parse_manifest(media_type, digest, answer.body)
        self._manifests.put(f"{repository}@{digest}", manifest)  # never under a tag: that may move
        return manifest

    async def config(self, repository: str, digest: str) -> ImageConfig:
        """Return the image configuration under a digest."""
        kept = self._configs.get(digest)
        if kept is not None:
            return kept
        _check_reference(repository, digest)
        answer = await self._request("GET", self._url(repository, f"blobs/{digest}"), _pull(repository))
        config = parse_config(answer.body)
        self._configs.put(digest, config)
        return config

    async def delete(self, repository: str, digest: str, caller: Caller) -> None:
        """Delete a manifest, and with it all tags that point to it, in the name of a user."""
        _check_reference(repository, digest)
        url = self._url(repository, f"manifests/{digest}")
        await self._request("DELETE", url, Scope(REPOSITORY, repository, ("delete",)), caller=caller)

    async def _manifest_request(self, method: str, repository: str, reference: str) -> _Answer:
        _check_reference(repository, reference)
        url = self._url(repository, f"manifests/{reference}")
        return await self._request(method, url, _pull(repository), headers=_ACCEPT)

    async def _listed(self, url: URL, scope: Scope, key: str, query: str) -> list[str]:
        found: list[str] = []
        for _ in range(_MOST_PAGES):
            answer = await self._request("GET", url.with_query(query), scope)
            names = _json(answer.body).get(key)
            found += [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
            if not answer.next_query:
                break
            query = answer.next_query
        return list(dict.fromkeys(found))

    async def _request(
        self,
        method: str,
        url: URL,
        scope: Scope | None,
        *,
        headers: Mapping[str, str] | None = None,
        caller: Caller | None = None,
    ) -> _Answer:
        caller = caller or Caller()
        sent = {**(headers or {}), **await self._authority.headers(scope, caller)}
        if caller.address:
            sent["X-Forwarded-For"] = caller.address
        try:
            async with self._session.request(method, url, headers=sent) as response:
                answer = _Answer(response.status, response.headers, await _body(response), _next_query(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise RegistryUnreachable(
                N_("The registry at %(url)s cannot be reached: %(reason)s"),
                url=self._base,
                reason=reason,
            ) from error
        if answer.status >= 300:  # noqa: PLR2004 - redirects were followed, so no success
            raise _problem(answer)
        return answer

    def _url(self, repository: str, rest: str) -> URL:
        try:
            return URL(f"{self._base}/{check_repository(repository)}/{rest}")
        except InvalidName:
            raise RegistryNotFound(N_("The registry has no such repository.")) from None


def _pull(repository: str) -> Scope:
    return Scope(REPOSITORY, repository, ("pull",))


def _check_reference(repository: str, reference: str) -> None:
    """See that a reference cannot lead anywhere else in the registry's API."""
    try:
        check_repository(repository)
        parse_reference(reference)
    except (InvalidName, InvalidTag, InvalidDigest):
        raise RegistryNotFound(N_("The registry has no such image.")) from None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for part in response.content.iter_chunked(64 * 1024):
        body += part
        if len(body) > _LARGEST_BODY:
            raise RegistryProblem(N_("The registry's answer is too large to be shown."))
    return body


def _header(answer: _Answer, name: str) -> str:
    return clean(answer.headers.get(name, ""))


def _next_query(response: aiohttp.ClientResponse) -> str:
    """Return the query of the next page; only that, so that no answer sends our token elsewhere."""
    link = response.links.get("next")
    return URL(str(link["url"])).query_string if link else ""


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = parse_json(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RegistryProblem(N_("The registry's answer cannot be read; is registry.url the address of its /v2 API?"))
    return document


def _problem(answer: _Answer) -> RegistryProblem:
    code, message = _first_error(answer.body)
    if answer.status in (401, 403):
        return RegistryProblem(
            N_(
                "The registry refuses the console (%(status)d %(message)s). Its auth.token section must name the same "
                "issuer and service, and trust the certificate of our key."
            ),
            status=answer.status,
            message=message,
        )
    if answer.status == 404:  # noqa: PLR2004
        return RegistryNotFound(N_("The registry has no such image."), code)
    if code == "UNSUPPORTED":
        return DeletionDisabled(N_("The registry deletes nothing: set storage.delete.enabled: true in its config.yml."))
    return RegistryProblem(
        N_("The registry answered %(status)d: %(message)s"), status=answer.status, message=message or code
    )


def _first_error(body: bytes) -> tuple[str, str]:
    try:
        error = _json(body)["errors"][0]
        return str(error.get("code", "")), str(error.get("message", ""))
    except (RegistryProblem, LookupError, TypeError, AttributeError):
        return "", body[:_EXCERPT].decode(errors="replace")
